//! Authentication that extensions offer and other components use by the extension's id (`auth: {authenticator: ID}`).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use crate::BoxFuture;

/// Checks incoming requests (`bearertokenauth`, `basicauth` as server).
pub trait ServerAuth: Send + Sync {
    /// Accepts the request's headers or says why not; the text must not repeat credentials.
    fn authenticate(&self, headers: &HeaderMap) -> Result<(), String>;
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
