//! `service::telemetry` put into effect: log settings, the page of own metrics and its listener.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header;
use axum::routing::get;
use config::{Encoding, Level, LogLevel, PrometheusReader, Service};
use proto::listen::{Family, listen};
use proto::{BuildContext, Stop};
use serde_json::Map;
use tokio::task::JoinHandle;

use crate::build_info::{NAME, VERSION};
use crate::telemetry::logs::{self, Logs, Output, Settings};
use crate::telemetry::page::{Look, Page};
use crate::telemetry::process::Process;

/// The running part: listeners of the metrics pages.
pub struct OwnTelemetry {
    stop: Stop,
    servers: Vec<JoinHandle<()>>,
}

impl OwnTelemetry {
    /// Applies log settings and opens the metrics pages.
    ///
    /// # Errors
    /// A log file or an address that cannot be opened.
    pub async fn start(service: &Service, context: &BuildContext, logs: &Logs) -> Result<OwnTelemetry, String> {
        let resource = resource(service, (context.env)(RESOURCE_VARIABLE).as_deref());
        logs.apply(log_settings(service, &resource)?);
        let stop = Stop::new();
        let mut servers = Vec::new();
        let metrics = &service.telemetry.metrics;
        for reader in metrics.readers.iter().filter(|_| metrics.level != Level::None) {
            let look = Look {
                basic: metrics.level == Level::Basic,
                type_suffix: !reader.without_type_suffix,
                scope_info: !reader.without_scope_info,
            };
            let page = Page::new(context.telemetry.clone(), resource.clone(), look)?;
            servers.push(serve(reader, page.with(Process::new(process_start()))?, stop.clone()).await?);
        }
        Ok(OwnTelemetry { stop, servers })
    }

    /// Closes the pages.
    pub async fn stop(self) {
        self.stop.cancel();
        for server in self.servers {
            drop(tokio::time::timeout(Duration::from_secs(1), server).await);
        }
    }
}

/// When this process began to measure itself: a reload does not reset its uptime.
fn process_start() -> Instant {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    *STARTED.get_or_init(Instant::now)
}

async fn serve(reader: &PrometheusReader, page: Page, stop: Stop) -> Result<JoinHandle<()>, String> {
    let host = if reader.host.value.is_empty() { "0.0.0.0" } else { &reader.host.value };
    let port = reader.port.value;
    let listener = listen(host, port, Family::Any).await.map_err(|e| {
        format!(
            "failed to create meter provider: binding address {host}:{port} for Prometheus exporter: {e}; \
             set service::telemetry::metrics::readers to another port, or level to none"
        )
    })?;
    let render = move || {
        let body = page.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body) }
    };
    let app = Router::new().route("/metrics", get(render));
    Ok(tokio::spawn(extension::pages::serve(listener, app, stop)))
}

/// Further attributes of the resource, which OpenTelemetry's specification defines for every program.
const RESOURCE_VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The defaults, which the variable adds to and does not replace, and over them what is configured.
fn resource(service: &Service, variable: Option<&str>) -> Vec<(String, String)> {
    let mut resource = vec![
        ("service.name".to_owned(), NAME.to_owned()),
        ("service.version".to_owned(), VERSION.to_owned()),
        ("service.instance.id".to_owned(), uuid::Uuid::new_v4().to_string()),
    ];
    for pair in variable.unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').map(|(name, value)| (name.trim(), percent_decoded(value.trim()))) {
            Some((name, Some(value))) if !name.is_empty() => {
                if !resource.iter().any(|(known, _)| known == name) {
                    resource.push((name.to_owned(), value));
                }
            }
            _ => tracing::warn!(pair, "{RESOURCE_VARIABLE} has a part that is not name=value; it is left out"),
        }
    }
    for attribute in &service.telemetry.resource {
        resource.retain(|(name, _)| *name != attribute.name);
        if let Some(value) = &attribute.value {
            resource.push((attribute.name.clone(), value.clone()));
        }
    }
    resource
}

/// `%2C` as a comma; `None` when the escapes are not hexadecimal or do not make text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

fn log_settings(service: &Service, resource: &[(String, String)]) -> Result<Settings, String> {
    let logs = &service.telemetry.logs;
    let resource = match logs.disable_zap_resource {
        true => Map::new(),
        false => resource.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect(),
    };
    Ok(Settings {
        level: match logs.level {
            LogLevel::Debug => tracing::Level::DEBUG,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Error => tracing::Level::ERROR,
        },
        encoding: match logs.encoding {
            Encoding::Console => logs::Encoding::Console,
            Encoding::Json => logs::Encoding::Json,
        },
        sampling: logs.sampling.as_ref().filter(|s| s.enabled).map(|s| logs::Sampling {
            tick: s.tick.to_std(),
            initial: s.initial.into(),
            thereafter: s.thereafter.into(),
        }),
        disable_caller: logs.disable_caller,
        initial_fields: logs.initial_fields.clone().into_iter().collect(),
        resource,
        outputs: logs.output_paths.iter().map(|path| output(path)).collect::<Result<_, _>>()?,
    })
}

fn output(path: &str) -> Result<Output, String> {
    match path {
        "stderr" => Ok(Output::Stderr),
        "stdout" => Ok(Output::Stdout),
        path => {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|e| format!("cannot open service::telemetry::logs::output_paths {path:?}: {e}"))?;
            Ok(Output::File(Arc::new(Mutex::new(file))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::ResourceAttribute;

    #[test]
    fn the_resource_is_made_of_defaults_the_variable_and_the_configuration() {
        let mut service = Service::default();
        let attribute = |name: &str, value: Option<&str>| ResourceAttribute {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        service.telemetry.resource = vec![attribute("team", Some("b")), attribute("service.version", None)];
        let text = "team=a, service.name=other ,zone=a%2Cb%3D1,bad,=x,odd=%zz,odd2=%2";
        let resource = resource(&service, Some(text));
        let get = |name: &str| resource.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!((get("service.name"), get("team"), get("zone")), (Some(NAME), Some("b"), Some("a,b=1")));
        assert_eq!((get("service.version"), get("bad"), get("odd"), get("odd2")), (None, None, None, None));
        assert_eq!(resource.len(), 4, "{resource:?}");
    }
}
