//! Runs one of the client programs of `tests/clients` as an application would be run: told by `OTEL_*` variables.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// Names the folder that `tests/clients/run.sh` installed the clients into.
const CLIENTS: &str = "SDK_CLIENTS";
/// A client starts, pushes three times and ends within this.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    JavaScript,
    Go,
}

impl Language {
    /// What its SDK has exporters for, as `OTEL_EXPORTER_OTLP_PROTOCOL` names it.
    pub(crate) fn protocols(self) -> &'static [&'static str] {
        match self {
            Self::Python | Self::Go => &["grpc", "http/protobuf"],
            Self::JavaScript => &["grpc", "http/protobuf", "http/json"],
        }
    }

    fn command(self, clients: &Path) -> Command {
        let (program, script) = match self {
            Self::Python => (clients.join("python/bin/python"), Some("python/client.py")),
            Self::JavaScript => (PathBuf::from("node"), Some("javascript/client.mjs")),
            Self::Go => (clients.join("go/client"), None),
        };
        let mut command = Command::new(program);
        command.args(script.map(|script| clients.join(script)));
        command
    }
}

/// Which instruments report differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// None.
    Cumulative,
    /// All but up-down counters: what OpenTelemetry calls the preference `delta`.
    Delta,
    /// Up-down counters, too.
    EverythingDelta,
}

/// One run of a client.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) language: Language,
    pub(crate) protocol: &'static str,
    pub(crate) temporality: Temporality,
    pub(crate) endpoint: String,
    pub(crate) gzip: bool,
    /// The authority to trust.
    pub(crate) ca: Option<PathBuf>,
    /// Value of the header, percent-encoded.
    pub(crate) authorization: Option<&'static str>,
}

impl Push {
    pub(crate) fn new(language: Language, protocol: &'static str, temporality: Temporality, endpoint: &str) -> Self {
        let endpoint = endpoint.to_owned();
        Self { language, protocol, temporality, endpoint, gzip: false, ca: None, authorization: None }
    }

    /// A `service.name` that no other run against the same agent has.
    pub(crate) fn service(&self) -> String {
        format!("{:?}-{}-{:?}", self.language, self.protocol.replace('/', "-"), self.temporality)
    }

    /// Runs the client to its end.
    ///
    /// # Panics
    /// When the clients are not installed or it does not end.
    pub(crate) async fn run(&self) -> Output {
        let clients = std::env::var_os(CLIENTS).map(PathBuf::from);
        let clients = clients.expect("the clients are installed and this is run by tests/clients/run.sh");
        let mut command = self.language.command(&clients);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &clients);
        command.env("OTEL_SERVICE_NAME", self.service());
        command.env("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint);
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", self.protocol);
        let preference = if self.temporality == Temporality::Delta { "delta" } else { "cumulative" };
        command.env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference);
        if self.temporality == Temporality::EverythingDelta {
            command.arg("--all-delta");
        }
        if self.gzip {
            command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
        }
        if let Some(ca) = &self.ca {
            command.env("OTEL_EXPORTER_OTLP_CERTIFICATE", ca);
        }
        if let Some(authorization) = self.authorization {
            command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={authorization}"));
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{self:?} still runs after {PATIENCE:?}"));
        output.unwrap_or_else(|error| panic!("cannot run {self:?}: {error}; install it with tests/clients/run.sh"))
    }
}
