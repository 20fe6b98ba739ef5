//! `service::telemetry` put into effect: log settings, the page of own metrics and its listener.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use config::{Encoding, Level, LogLevel, PrometheusReader, Service};
use proto::{Stop, Telemetry};
use serde_json::Map;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::build_info::{NAME, VERSION};
use crate::telemetry::logs::{self, Logs, Output, Settings};
use crate::telemetry::page::Page;
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
    pub async fn start(service: &Service, telemetry: &Telemetry, logs: &Logs) -> Result<OwnTelemetry, String> {
        let resource = resource(service);
        logs.apply(log_settings(service, &resource)?);
        let stop = Stop::new();
        let mut servers = Vec::new();
        if service.telemetry.metrics.level != Level::None && !service.telemetry.metrics.readers.is_empty() {
            let page = Page::new(telemetry.clone(), resource)?;
            let process = Process::new(telemetry);
            for reader in &service.telemetry.metrics.readers {
                servers.push(serve(reader, page.clone(), process.clone(), stop.clone()).await?);
            }
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

async fn serve(reader: &PrometheusReader, page: Page, process: Process, stop: Stop) -> Result<JoinHandle<()>, String> {
    let host = if reader.host.value.is_empty() { "0.0.0.0" } else { &reader.host.value };
    let address = format!("{host}:{}", reader.port.value);
    let listener = TcpListener::bind(&address).await.map_err(|e| {
        format!(
            "failed to create meter provider: binding address {address} for Prometheus exporter: {e}; \
             set service::telemetry::metrics::readers to another port, or level to none"
        )
    })?;
    let render = move || {
        process.refresh();
        let body = page.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body) }
    };
    let app = Router::new().route("/metrics", get(render));
    Ok(tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(e) = served.await {
            tracing::error!(error = %e, "the page of own metrics stopped");
        }
    }))
}

fn resource(service: &Service) -> Vec<(String, String)> {
    let mut resource = vec![
        ("service.name".to_owned(), NAME.to_owned()),
        ("service.version".to_owned(), VERSION.to_owned()),
        ("service.instance.id".to_owned(), uuid::Uuid::new_v4().to_string()),
    ];
    for attribute in &service.telemetry.resource {
        resource.retain(|(name, _)| *name != attribute.name);
        if let Some(value) = &attribute.value {
            resource.push((attribute.name.clone(), value.clone()));
        }
    }
    resource
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
