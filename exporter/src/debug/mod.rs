//! The `debug` exporter: what passes through, as text in the agent's log or on standard output. Keeps nothing.

mod config;
mod sampler;
mod text;
mod walk;

#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{Arc, Mutex};

use ::config::{Built, Node, decode, has_errors};
use proto::{Batch, BoxFuture, BuildContext};

use crate::sender::Sender;
use crate::{Encoded, Encoder, Exporter, ExporterFactory, ExporterNode, Outcome, OutgoingRequest};
pub use config::{DebugConfig, DebugSettings, Verbosity};
use sampler::Sampler;

/// The factory of `debug`.
pub static FACTORY: ExporterFactory = ExporterFactory { kind: "debug", build };

fn build(node: &Node, context: &BuildContext) -> Built<Box<dyn ExporterNode>> {
    let (config, mut found) = decode::<DebugConfig>(node);
    let Some(config) = config else { return (None, found) };
    let settings = config.check(&mut found);
    if has_errors(&found) {
        return (None, found);
    }
    let sending = settings.sending.clone();
    let sampler = Mutex::new(Sampler::new(settings.sampling_initial, settings.sampling_thereafter));
    let exporter = DebugExporter { settings, sampler, outputs: Arc::default() };
    (Some(Box::new(Sender::new(exporter, sending, context))), found)
}

struct DebugExporter {
    settings: DebugSettings,
    sampler: Mutex<Sampler>,
    outputs: Arc<Mutex<Vec<Box<dyn Write + Send>>>>,
}

struct DebugEncoder(Verbosity);

/// What is written of a batch.
struct Report {
    resources: usize,
    metrics: usize,
    points: u64,
    /// Empty with `basic`.
    dump: String,
}

impl OutgoingRequest for Report {
    fn size_bytes(&self) -> usize {
        self.dump.len()
    }
    fn points(&self) -> u64 {
        self.points
    }
    fn lane(&self) -> Option<u64> {
        Some(0)
    }
}

impl Encoder for DebugEncoder {
    type Request = Report;

    fn encode(&mut self, batch: &Batch, out: &mut Vec<Report>) -> Encoded {
        let resources = walk::walk(batch);
        let metrics = resources.iter().flat_map(|r| &r.scopes).map(|s| s.metrics.len()).sum();
        let dump = match self.0 {
            Verbosity::Basic => String::new(),
            Verbosity::Normal => text::normal(batch),
            Verbosity::Detailed => text::detailed(batch),
        };
        let points = batch.points() as u64;
        out.push(Report { resources: resources.len(), metrics, points, dump });
        Encoded { kept: points, dropped: Vec::new() }
    }
}

impl Exporter for DebugExporter {
    type Encoder = DebugEncoder;

    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            for path in self.settings.outputs.iter().flatten() {
                let output = open(path)?;
                self.outputs.lock().expect("no panic while locked").push(output);
            }
            Ok(())
        })
    }

    fn encoder(&self) -> DebugEncoder {
        DebugEncoder(self.settings.verbosity)
    }

    fn send<'a>(&'a self, report: &'a Report) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (headline, dump) = {
                let mut sampler = self.sampler.lock().expect("no panic while locked");
                (sampler.passes("Metrics"), !report.dump.is_empty() && sampler.passes(&report.dump))
            };
            if self.settings.outputs.is_none() {
                if headline {
                    tracing::info!(
                        "resource metrics" = report.resources,
                        "metrics" = report.metrics,
                        "data points" = report.points,
                        "Metrics"
                    );
                }
                if dump {
                    tracing::info!("{}", report.dump);
                }
                return Outcome::Delivered { rejected: Vec::new() };
            }
            let mut text = String::new();
            if headline {
                text = format!(
                    "Metrics\t{{\"resource metrics\": {}, \"metrics\": {}, \"data points\": {}}}\n",
                    report.resources, report.metrics, report.points
                );
            }
            if dump {
                text.push_str(&report.dump);
                text.push('\n');
            }
            self.write(text).await
        })
    }
}

impl DebugExporter {
    /// Writes on the blocking pool: a reader of the pipe may be slow.
    async fn write(&self, text: String) -> Outcome {
        let outputs = self.outputs.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut outputs = outputs.lock().expect("no panic while locked");
            outputs.iter_mut().try_for_each(|out| out.write_all(text.as_bytes()).and_then(|()| out.flush()))
        });
        let error = match written.await {
            Ok(Ok(())) => return Outcome::Delivered { rejected: Vec::new() },
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Outcome::Permanent {
            reason: "output".into(),
            code: None,
            error: format!("cannot write to output_paths: {error}"),
        }
    }
}

fn open(path: &str) -> Result<Box<dyn Write + Send>, String> {
    match path {
        "stdout" => Ok(Box::new(std::io::stdout())),
        "stderr" => Ok(Box::new(std::io::stderr())),
        _ => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            Ok(Box::new(file.map_err(|e| format!("cannot open {path:?} of output_paths: {e}"))?))
        }
    }
}
