//! Authentication that extensions offer and other components use by the extension's id (`auth: {authenticator: ID}`).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use crate::BoxFuture;

/// A request that is not let in. The text must not repeat credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It does not show what it should.
    Unauthenticated(String),
    /// There are too many to check; it may come again.
    Busy(String),
}

/// Who was let in: the name of the user, where there is one (`from_context: auth.username`).
pub type User = Option<Arc<str>>;

/// An authenticator's answer.
pub enum Check<'a> {
    /// It is known at once.
    Done(Result<User, Denied>),
    /// It takes work that would hold up other requests.
    Later(BoxFuture<'a, Result<User, Denied>>),
}

impl Check<'_> {
    /// The answer, when it is there.
    pub async fn answer(self) -> Result<User, Denied> {
        match self {
            Check::Done(answer) => answer,
            Check::Later(answer) => answer.await,
        }
    }
}

/// Checks incoming requests (`bearertokenauth`, `basicauth` as server).
pub trait ServerAuth: Send + Sync {
    /// Accepts the request's headers or says why not. Must not block.
    fn authenticate(&self, headers: &HeaderMap) -> Check<'_>;
}

/// Adds credentials to outgoing requests (`sigv4auth`, `bearertokenauth`, `basicauth` as client).
pub trait ClientAuth: Send + Sync {
    /// Adds headers to the request. `body` is what will be sent, after compression.
    fn sign<'a>(
        &'a self,
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a mut HeaderMap,
        body: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// What one extension offers.
#[derive(Clone, Default)]
pub struct AuthOffer {
    /// For receivers.
    pub server: Option<Arc<dyn ServerAuth>>,
    /// For exporters.
    pub client: Option<Arc<dyn ClientAuth>>,
}

/// Offers by component id (`sigv4auth`, `bearertokenauth/withscheme`).
pub type AuthOffers = HashMap<String, AuthOffer>;
