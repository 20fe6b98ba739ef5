//! A service from start to stop: the order of starting and stopping, and what each stage waits for.
//!
//! Start: extensions, exporters, processor stages, receivers; then "ready". Stop: "not ready", receivers, stages,
//! exporters (drained until the deadline), extensions. Pipelines stop side by side, the stages of one in their order;
//! all of it has one deadline. Signals and reload are the command's business (`cli`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use exporter::ExporterNode;
use futures_util::future::{join_all, select_all};
use proto::{BuildContext, Next, Stop};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::assemble::{Assembly, StageTask, connect, join};

/// Longest time for the whole stop; ECS kills a task 30 s after SIGTERM by default.
const STOP: Duration = Duration::from_secs(27);
/// Longest time a receiver gets to hand over what it has taken, and an extension to end.
const RECEIVER_STOP: Duration = Duration::from_secs(5);
/// Longest time the stages get; those that come one after the other share it.
const STAGE_STOP: Duration = Duration::from_secs(10);
/// Longest time queues get to empty.
const EXPORTER_STOP: Duration = Duration::from_secs(12);
/// Time of the whole stop that is kept for what comes after the exporters.
const REST_STOP: Duration = Duration::from_secs(2);
/// Time for a task to let go of what it holds when it is ended.
const ABORT: Duration = Duration::from_secs(1);

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
    /// Between receivers and several pipelines.
    joints: Vec<Part>,
    /// Of each pipeline, what is nearest to the receivers first.
    stages: Vec<Vec<Part>>,
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
            joints: Vec::new(),
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
        for pipeline in assembly.pipelines {
            let (id, receivers, mut stages) = (pipeline.id.clone(), pipeline.receivers.clone(), Vec::new());
            let entry = connect(pipeline, &self.exporters, context, &mut stages);
            self.stages.push(stages.into_iter().map(spawn).collect());
            for receiver in receivers {
                entries.entry(receiver).or_default().push((id.clone(), entry.clone()));
            }
        }
        let mut joined = Vec::new();
        let mut nexts = BTreeMap::new();
        for (receiver, entries) in entries {
            nexts.insert(receiver.clone(), join(&receiver, entries, context, &mut joined));
        }
        self.joints = joined.into_iter().map(spawn).collect();
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
        let stages = self.joints.iter_mut().chain(self.stages.iter_mut().flatten());
        let parts = self.extensions.iter_mut().chain(&mut self.receivers).chain(stages);
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
        let end = Instant::now() + STOP;
        self.ready.send_replace(false);
        stop_parts(&mut self.receivers, Instant::now() + RECEIVER_STOP).await;
        self.stop_stages().await;
        let drained = (end - REST_STOP).saturating_duration_since(Instant::now()).min(EXPORTER_STOP);
        join_all(self.exporters.values().map(|e| e.shutdown(drained))).await;
        // What still waited for an answer has it now.
        let late = self.joints.iter_mut().chain(self.stages.iter_mut().flatten());
        end_parts(late, Instant::now() + ABORT).await;
        tracing::info!("Stopping extensions...");
        stop_parts(&mut self.extensions, end.min(Instant::now() + RECEIVER_STOP)).await;
    }

    /// Stops the stages and waits for them while there is time. One that waits longer for an exporter's answer goes
    /// on: only the answer tells whether it has to count its points as lost.
    async fn stop_stages(&mut self) {
        let end = Instant::now() + STAGE_STOP;
        let longest = self.stages.iter().map(Vec::len).max().unwrap_or(0);
        let joints = self.joints.iter_mut().map(|part| part.stop(share(end, longest + 1)));
        join_all(joints).await;
        join_all(self.stages.iter_mut().map(|stages| async move {
            let count = stages.len();
            for (index, part) in stages.iter_mut().enumerate() {
                part.stop(share(end, count - index)).await;
            }
        }))
        .await;
    }
}

fn spawn(stage: StageTask) -> Part {
    Part { kind: "processor", id: stage.id, stop: stage.stop, handle: tokio::spawn(stage.task) }
}

/// Until when the first of `count` parts may take, if each gets an equal share of the time.
fn share(end: Instant, count: usize) -> Instant {
    let now = Instant::now();
    now + end.saturating_duration_since(now) / u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

impl Part {
    /// Asks it to stop and waits for that.
    async fn stop(&mut self, until: Instant) {
        self.stop.cancel();
        self.wait(until).await;
    }

    /// Waits until it has stopped; says how it ended.
    async fn wait(&mut self, until: Instant) {
        if self.handle.is_finished() {
            return;
        }
        match tokio::time::timeout_at(until, &mut self.handle).await {
            Ok(Ok(Ok(()))) | Err(_) => {}
            Ok(Ok(Err(error))) => {
                tracing::error!(
                    component_id = self.id,
                    component_kind = self.kind,
                    error,
                    "component failed while stopping"
                );
            }
            Ok(Err(panic)) => {
                tracing::error!(component_id = self.id, component_kind = self.kind, error = %panic, "component panicked");
            }
        }
    }
}

/// Stops parts at the same time and ends those that are late.
async fn stop_parts(parts: &mut [Part], until: Instant) {
    parts.iter().for_each(|part| part.stop.cancel());
    end_parts(parts.iter_mut(), until).await;
}

/// Waits for parts that were asked to stop, and ends those that are late.
async fn end_parts(parts: impl Iterator<Item = &mut Part>, until: Instant) {
    join_all(parts.map(|part| async move {
        part.wait(until).await;
        if part.handle.is_finished() {
            return;
        }
        part.handle.abort();
        tracing::warn!(
            component_id = part.id,
            component_kind = part.kind,
            "component did not stop in time and was ended"
        );
        // Until it has counted what it held.
        drop(tokio::time::timeout(ABORT, &mut part.handle).await);
    }))
    .await;
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
