//! What a component may reach beside its own configuration.

use std::collections::HashSet;
use std::sync::Arc;

use crate::auth::AuthOffers;
use crate::targets::TargetHub;
use crate::telemetry::Telemetry;

/// Looks up an environment variable.
pub type EnvLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Passed to every factory: the only way to shared things. Tests build one with [`BuildContext::for_test`].
#[derive(Clone)]
pub struct BuildContext {
    /// Full id of the component to build, `awsemf/2`.
    pub id: String,
    /// Own metrics.
    pub telemetry: Telemetry,
    /// Discovered targets, of this service alone.
    pub targets: TargetHub,
    /// Authentication offered by the extensions of this service.
    pub auth: Arc<AuthOffers>,
    /// Enabled feature gates, by name.
    pub gates: Arc<HashSet<String>>,
    /// Version of the collector, for scopes and user agents.
    pub version: &'static str,
    /// Looks up an environment variable; components never read the environment themselves.
    pub env: EnvLookup,
    /// True in `validate`: build checks everything but opens and starts nothing.
    pub dry_run: bool,
}

impl BuildContext {
    /// A context for tests of one component, with an empty environment.
    pub fn for_test(id: &str) -> BuildContext {
        BuildContext {
            id: id.to_owned(),
            telemetry: Telemetry::default(),
            targets: TargetHub::default(),
            auth: Arc::default(),
            gates: Arc::default(),
            version: "0.0.0-test",
            env: Arc::new(|_| None),
            dry_run: false,
        }
    }

    /// The same context for another component.
    pub fn with_id(&self, id: &str) -> BuildContext {
        BuildContext { id: id.to_owned(), ..self.clone() }
    }
}
