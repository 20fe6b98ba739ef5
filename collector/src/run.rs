//! A service from start to stop: the order of starting and stopping, and what each stage waits for.
//!
//! Start: extensions, exporters, processor stages, receivers; then "ready". Stop: "not ready", receivers, stages,
//! exporters (drained until the deadline), extensions. Signals and reload are the command's business (`cli`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use exporter::ExporterNode;
use futures_util::future::{join_all, select_all};
use proto::{BuildContext, Next, Stop};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::assemble::{Assembly, connect, join};

/// Longest time a receiver gets to hand over what it has taken.
const RECEIVER_STOP: Duration = Duration::from_secs(5);
/// Longest time the buffers of processors get.
const STAGE_STOP: Duration = Duration::from_secs(10);
/// Longest time queues get to empty; ECS kills a task 30 s after SIGTERM by default.
const EXPORTER_STOP: Duration = Duration::from_secs(12);

struct Part {
    kind: &'static str,
    id: String,
    stop: Stop,
    handle: JoinHandle<Result<(), String>>,
}

/// A running service.
pub struct Service {
    ready: watch::Sender<bool>,
    extensions: Vec<Part>,
    receivers: Vec<Part>,
    stages: Vec<Part>,
    exporters: BTreeMap<String, Arc<dyn ExporterNode>>,
}

impl Service {
    /// Starts everything in order. On failure what was started is stopped again.
    ///
    /// # Errors
    /// The component that could not start and why.
    pub async fn start(assembly: Assembly, context: &BuildContext) -> Result<Service, String> {
        let (ready, _) = watch::channel(false);
        let mut service = Service {
            ready,
            extensions: Vec::new(),
            receivers: Vec::new(),
            stages: Vec::new(),
            exporters: BTreeMap::new(),
        };
        match service.start_parts(assembly, context).await {
            Ok(()) => {
                service.ready.send_replace(true);
                Ok(service)
            }
            Err(error) => {
                service.stop().await;
                Err(error)
            }
        }
    }

    async fn start_parts(&mut self, assembly: Assembly, context: &BuildContext) -> Result<(), String> {
        tracing::info!("Starting extensions...");
        for (id, extension) in assembly.extensions {
            tracing::info!(component_id = id, component_kind = "extension", "Extension is starting...");
            let stop = Stop::new();
            let task = extension
                .start(self.ready.subscribe(), stop.clone())
                .await
                .map_err(|e| format!("failed to start extensions: failed to start {id:?} extension: {e}"))?;
            self.extensions.push(Part { kind: "extension", id, stop, handle: tokio::spawn(task) });
        }
        for (id, exporter) in assembly.exporters {
            exporter
                .start()
                .await
                .map_err(|e| format!("cannot start pipelines: failed to start {id:?} exporter: {e}"))?;
            self.exporters.insert(id, exporter);
        }
        let mut entries: BTreeMap<String, Vec<(String, Next)>> = BTreeMap::new();
        let mut stages = Vec::new();
        for pipeline in assembly.pipelines {
            let (id, receivers) = (pipeline.id.clone(), pipeline.receivers.clone());
            let entry = connect(pipeline, &self.exporters, context, &mut stages);
            for receiver in receivers {
                entries.entry(receiver).or_default().push((id.clone(), entry.clone()));
            }
        }
        let mut joined = Vec::new();
        let mut nexts = BTreeMap::new();
        for (receiver, entries) in entries {
            nexts.insert(receiver.clone(), join(&receiver, entries, context, &mut joined));
        }
        // Stages stop in this order: what is nearest to the receivers first.
        for stage in joined.into_iter().chain(stages) {
            let handle = tokio::spawn(stage.task);
            self.stages.push(Part { kind: "processor", id: stage.id, stop: stage.stop, handle });
        }
        for (id, receiver) in assembly.receivers {
            let Some(next) = nexts.remove(&id) else { continue };
            let stop = Stop::new();
            let task = receiver
                .start(next, stop.clone())
                .await
                .map_err(|e| format!("cannot start pipelines: failed to start {id:?} receiver: {e}"))?;
            self.receivers.push(Part { kind: "receiver", id, stop, handle: tokio::spawn(task) });
        }
        Ok(())
    }

    /// Resolves when a component stops by itself: its kind, id and error. Components do not stop by themselves
    /// unless something is wrong; a panic is reported here like an error.
    pub async fn failure(&mut self) -> String {
        let parts = self.extensions.iter_mut().chain(&mut self.receivers).chain(&mut self.stages);
        let running: Vec<_> = parts
            .map(|part| {
                Box::pin(async {
                    let result = (&mut part.handle).await;
                    (part.kind, part.id.clone(), result)
                })
            })
            .collect();
        if running.is_empty() {
            return std::future::pending().await;
        }
        let ((kind, id, result), _, _) = select_all(running).await;
        match result {
            Ok(Ok(())) => format!("{kind} {id:?} stopped"),
            Ok(Err(error)) => format!("{kind} {id:?} failed: {error}"),
            Err(panic) => format!("{kind} {id:?} panicked: {panic}"),
        }
    }

    /// Stops everything in order; what is queued is sent until the deadline.
    pub async fn stop(mut self) {
        self.ready.send_replace(false);
        stop_parts(&mut self.receivers, RECEIVER_STOP).await;
        for stage in &mut self.stages {
            stop_parts(std::slice::from_mut(stage), STAGE_STOP).await;
        }
        join_all(self.exporters.values().map(|e| e.shutdown(EXPORTER_STOP))).await;
        tracing::info!("Stopping extensions...");
        stop_parts(&mut self.extensions, RECEIVER_STOP).await;
    }
}

async fn stop_parts(parts: &mut [Part], deadline: Duration) {
    parts.iter().for_each(|part| part.stop.cancel());
    join_all(parts.iter_mut().filter(|part| !part.handle.is_finished()).map(|part| async move {
        match tokio::time::timeout(deadline, &mut part.handle).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => {
                tracing::error!(component_id = part.id, component_kind = part.kind, error, "component failed while stopping");
            }
            Ok(Err(panic)) => {
                tracing::error!(component_id = part.id, component_kind = part.kind, error = %panic, "component panicked");
            }
            Err(_) => {
                part.handle.abort();
                tracing::warn!(
                    component_id = part.id,
                    component_kind = part.kind,
                    deadline_s = deadline.as_secs(),
                    "component did not stop in time and was ended"
                );
            }
        }
    }))
    .await;
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
