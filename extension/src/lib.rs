//! What stands beside the pipelines: the extension trait and the table of extensions this binary has.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod basicauth;
pub mod bearertokenauth;
mod credentials;
pub mod ecs_observer;
pub mod health_check;
pub mod pages;
pub mod sigv4auth;

use config::{Built, Node};
use proto::auth::AuthOffer;
use proto::{BoxFuture, BuildContext, Stop, Task};
use tokio::sync::watch;

/// Tells an extension whether the service is ready: false before every receiver runs and during shutdown.
pub type Readiness = watch::Receiver<bool>;

/// Something that runs beside the pipelines.
pub trait Extension: Send {
    /// Authentication that it offers to other components; asked once, before they are built.
    fn auth(&self) -> AuthOffer {
        AuthOffer::default()
    }

    /// Result files whose targets it will publish in the `TargetHub`; announced before receivers are built.
    fn publishes_targets(&self) -> Vec<String> {
        Vec::new()
    }

    /// Opens what it needs and starts. The outer future resolves when it runs; the [`Task`] inside runs until
    /// `stop` fires. Extensions start before everything else and stop last.
    ///
    /// # Errors
    /// A text for people: what could not be opened, where and why.
    fn start(self: Box<Self>, ready: Readiness, stop: Stop) -> BoxFuture<'static, Result<Task, String>>;
}

/// How an extension of one kind is made from its configuration.
pub struct ExtensionFactory {
    /// Component type (the config crate knows other spellings of it), `ecs_observer`.
    pub kind: &'static str,
    /// Checks the section (null when empty) and builds; reports every problem it finds.
    pub build: fn(&Node, &BuildContext) -> Built<Box<dyn Extension>>,
}

/// The extensions of this binary.
pub static FACTORIES: &[&ExtensionFactory] = &[
    &basicauth::FACTORY,
    &bearertokenauth::FACTORY,
    &ecs_observer::FACTORY,
    &ecs_observer::CLOUDWATCH_AGENT_FACTORY,
    &health_check::FACTORY,
    &sigv4auth::FACTORY,
];
