//! What this build is called.

/// Name of the binary.
pub const NAME: &str = "otelcol-ecs";

/// Version of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
