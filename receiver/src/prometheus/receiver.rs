//! The receiver itself: from its section to running jobs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use config::{Built, Diagnostic, Node, has_errors};
use proto::{BoxFuture, BuildContext, Next, Stop, Task};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::body::BufferPool;
use super::body_budget::BodyBudget;
use super::client::Clients;
use super::config::{self as settings, JobSettings, Settings};
use super::discovery::DiscoveryContext;
use super::failure_log::FailureLog;
use super::fetch::Fetcher;
use super::job::{Job, WAITING_UPDATES};
use super::schedule;
use super::scrape::JobShared;
use super::series::{Capacity, SampleRules};
use super::telemetry::ReceiverMetrics;
use crate::{Receiver, ReceiverFactory};

/// The `prometheus` receiver.
pub static FACTORY: ReceiverFactory = ReceiverFactory { kind: "prometheus", build };

struct PrometheusReceiver {
    settings: Settings,
    context: BuildContext,
}

fn build(node: &Node, context: &BuildContext) -> Built<Box<dyn Receiver>> {
    let (settings, mut found): (_, Vec<Diagnostic>) = settings::settings(node, &*context.env);
    for gate in ["receiver.prometheusreceiver.EnableCreatedTimestampZeroIngestion"] {
        if context.gates.contains(gate) {
            found.push(
                Diagnostic::error(format!("feature gate {gate} is not supported")).on(node).help("remove the gate"),
            );
        }
    }
    let receiver = settings.filter(|_| !has_errors(&found)).map(|settings| {
        let receiver: Box<dyn Receiver> = Box::new(PrometheusReceiver { settings, context: context.clone() });
        receiver
    });
    (receiver, found)
}

impl Receiver for PrometheusReceiver {
    fn start(self: Box<Self>, next: Next, stop: Stop) -> BoxFuture<'static, Result<Task, String>> {
        Box::pin(async move {
            let metrics = ReceiverMetrics::new(&self.context.telemetry, &self.context.id);
            let shared = Shared {
                next,
                stop,
                metrics,
                clients: Clients::new(self.context.env.clone()),
                buffers: BufferPool::default(),
                body_budget: BodyBudget::new(
                    self.settings.jobs.iter().map(|job| job.body_limit_bytes).max().unwrap_or(0),
                ),
                user_agent: format!("otelcol-ecs/{}", self.context.version).into(),
                seed: seed(&self.settings, &self.context),
            };
            let mut jobs = Vec::new();
            for job in &self.settings.jobs {
                let started = self.job(job, &shared);
                jobs.push(started.map_err(|error| format!("job {:?}: {error}", job.name))?);
            }
            let task: Task = Box::pin(async move {
                let mut running = JoinSet::new();
                for (job, context, updates) in jobs {
                    running.spawn(job.run(context, updates));
                }
                let mut result = Ok(());
                while let Some(ended) = running.join_next().await {
                    result = result.and(ended.map_err(|error| format!("a scrape job has failed: {error}")));
                }
                result
            });
            Ok(task)
        })
    }
}

/// What the jobs of a receiver share.
struct Shared {
    next: Next,
    stop: Stop,
    metrics: Arc<ReceiverMetrics>,
    clients: Clients,
    buffers: BufferPool,
    body_budget: BodyBudget,
    user_agent: Arc<str>,
    seed: u64,
}

type StartedJob = (Job, DiscoveryContext, mpsc::Receiver<super::discovery::Update>);

impl PrometheusReceiver {
    fn job(&self, job: &JobSettings, shared: &Shared) -> Result<StartedJob, String> {
        let client = shared.clients.get(&job.http)?;
        let metrics = shared.metrics.job(&job.name);
        let (sender, updates) = mpsc::channel(WAITING_UPDATES);
        let context = DiscoveryContext {
            job: job.name.as_str().into(),
            hub: self.context.targets.clone(),
            clients: shared.clients.clone(),
            user_agent: shared.user_agent.clone(),
            metrics: metrics.clone(),
            updates: sender,
            stop: shared.stop.clone(),
        };
        let failure_log = match job.failure_log.as_str() {
            "" => None,
            path => Some(FailureLog::open(path)?),
        };
        let loops = JobShared {
            job: job.name.clone(),
            rules: Arc::new(self.rules(job)),
            fetcher: Fetcher::new(job, &shared.user_agent, client, shared.buffers.clone(), shared.body_budget.clone()),
            metrics,
            next: shared.next.clone(),
            stop: shared.stop.clone(),
            target_limit: job.target_limit,
            over_limit: AtomicU64::new(0),
            scrape_on_shutdown: self.settings.scrape_on_shutdown,
            initial_offset: self.settings.initial_scrape_offset,
            seed: shared.seed,
            failure_log,
        };
        Ok((Job::new(job.clone(), Arc::new(loops)), context, updates))
    }

    fn rules(&self, job: &JobSettings) -> SampleRules {
        SampleRules {
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            track_timestamps_staleness: job.track_timestamps_staleness,
            trim_metric_suffixes: self.settings.trim_metric_suffixes,
            type_by_original_name: self.settings.type_by_original_name,
            extra_scrape_metrics: job.extra_scrape_metrics,
            limits: job.limits,
            capacity: Capacity::default(),
            validation: job.validation,
            metric_relabel: job.metric_relabel.clone(),
            external_labels: self.settings.external_labels.clone(),
            version: self.context.version,
        }
    }
}

/// Host name and external labels: replicas on other hosts scrape at other moments.
fn seed(settings: &Settings, context: &BuildContext) -> u64 {
    let host = (context.env)("HOSTNAME").filter(|name| !name.is_empty());
    let host = host.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok()).unwrap_or_default();
    let labels = settings.external_labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    schedule::seed(std::iter::once(host.trim()).chain(labels))
}
