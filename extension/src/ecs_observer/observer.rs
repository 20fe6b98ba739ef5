//! The loop: a round at once, then one per interval; what failed keeps the old targets. It joins fetching, deciding
//! and handing over, and is itself none of them.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_types::SdkConfig;
use proto::{BuildContext, Stop, TargetGroup};
use tokio::time::sleep;

use super::call::{ApiError, Caller};
use super::config::Settings;
use super::ec2::Ec2Api;
use super::ecs_api::EcsApi;
use super::fetch::{Fetched, Fetcher};
use super::file::ResultFile;
use super::metadata;
use super::report::Report;
use super::targets::{Memory, Target, discover};
use super::yaml_text::yaml;

/// Longest wait between attempts as long as there never was an answer; shorter than an interval usually is.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// Discovery of one cluster.
pub struct Observer {
    settings: Settings,
    context: BuildContext,
    /// Credentials and endpoints to use instead of what the environment says.
    session: Option<SdkConfig>,
    file: ResultFile,
    memory: Memory,
    /// What was handed over last; `None` until the first round succeeded.
    published: Option<Vec<Target>>,
    report: Report,
}

impl Observer {
    /// Opens nothing. Credentials and endpoints are the SDK's usual ones, or those of `session`; the region is always
    /// the settings'.
    pub fn new(settings: Settings, context: &BuildContext, session: Option<SdkConfig>) -> Observer {
        Observer {
            file: ResultFile::new(&settings.result_file),
            report: Report::new(&context.telemetry, &context.id),
            context: context.clone(),
            session,
            settings,
            memory: Memory::default(),
            published: None,
        }
    }

    /// Runs until `stop` fires.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up; nothing that AWS answers ends it.
    pub async fn run(mut self, stop: Stop) -> Result<(), String> {
        let Some(fetcher) = stop.run_until_cancelled(self.open()).await else { return Ok(()) };
        let mut fetcher = fetcher?;
        loop {
            let Some(answer) = stop.run_until_cancelled(fetcher.round(&self.settings.rules)).await else {
                return Ok(());
            };
            // Not cancelled: a file is written whole.
            let wait = self.take_in(answer).await;
            if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Finds out where to ask, however long that takes, and sets up the clients.
    async fn open(&mut self) -> Result<Fetcher, String> {
        let (cluster, region) = self.place().await;
        let region = Region::new(region);
        let session = match &self.session {
            Some(session) => session.to_builder().region(region).build(),
            None => aws_config::defaults(BehaviorVersion::latest()).region(region).load().await,
        };
        let caller = Arc::new(Caller::new(self.context.telemetry.clone(), &self.context.id));
        let user_agent = format!("otelcol-ecs/{}", self.context.version);
        let ec2 = Ec2Api::new(&session, caller.clone(), &user_agent)?;
        let ecs = EcsApi::new(&session, caller, &cluster);
        tracing::info!(extension = %self.context.id, cluster, "discovering tasks");
        self.report.cluster(&cluster);
        Ok(Fetcher::new(ecs, ec2, &cluster))
    }

    /// Cluster and region: configured, or from the task metadata.
    async fn place(&mut self) -> (String, String) {
        let Settings { cluster, fallback_cluster, region, metadata_endpoint, .. } = &self.settings;
        if let (Some(cluster), Some(region)) = (cluster, region) {
            return (cluster.clone(), region.clone());
        }
        let Some(endpoint) = metadata_endpoint else {
            // Settings without cluster or region are only accepted with an endpoint or a fallback.
            let cluster = cluster.as_ref().or(fallback_cluster.as_ref());
            return (cluster.cloned().unwrap_or_default(), region.clone().unwrap_or_default());
        };
        let mut wait = Duration::from_millis(250);
        loop {
            match metadata::place(endpoint).await {
                Ok(place) if region.is_some() || !place.region.is_empty() => {
                    let cluster = cluster.clone().unwrap_or(place.cluster);
                    return (cluster, region.clone().unwrap_or(place.region));
                }
                Ok(_) => self.report.no_place(&format!("the task metadata at {endpoint} names no region")),
                Err(error) => self.report.no_place(&error),
            }
            sleep(wait).await;
            wait = (wait * 2).min(self.settings.refresh_interval);
        }
    }

    /// Takes in the outcome of a round; returns how long to wait for the next.
    async fn take_in(&mut self, answer: Result<Fetched, ApiError>) -> Duration {
        let interval = self.settings.refresh_interval;
        let ok = match answer {
            Ok(fetched) => {
                self.hand_over(fetched).await;
                true
            }
            Err(error) => {
                self.report.failed(&error, self.published.as_ref().map(Vec::len));
                false
            }
        };
        let wait = if ok || self.published.is_some() { interval } else { interval.min(FIRST_RETRY) };
        varied(wait)
    }

    /// Decides what the targets are now, and publishes and writes them if they changed.
    async fn hand_over(&mut self, Fetched { world, gaps }: Fetched) {
        let found = discover(&world, &self.settings.rules);
        let targets = self.memory.merge(found.tasks);
        self.report.round(&world, &targets, &found.problems, &gaps, self.published.as_deref());
        if targets.is_empty() && !gaps.is_empty() {
            // Nothing was found because it could not be read; an earlier run's file may know more.
            self.report.nothing_known();
            return;
        }
        let text = yaml(&targets);
        if self.published.as_ref() != Some(&targets) {
            let groups = targets.iter().map(group).collect();
            self.context.targets.publish(&self.settings.result_file, Arc::new(groups));
            self.published = Some(targets);
        }
        self.report.file(self.file.update(&text).await);
    }
}

/// A tenth more or less: collectors that started together shall not ask together.
fn varied(wait: Duration) -> Duration {
    wait.mul_f64(0.9 + fastrand::f64() * 0.2)
}

fn group(target: &Target) -> TargetGroup {
    let labels = target.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    TargetGroup { targets: vec![target.address.clone()], labels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_not_in_step() {
        let waits: Vec<Duration> = (0..100).map(|_| varied(Duration::from_secs(30))).collect();
        assert!(waits.iter().all(|wait| (27..=33).contains(&wait.as_secs())), "{waits:?}");
        assert!(
            waits.iter().max() > waits.iter().min().map(|wait| *wait + Duration::from_secs(1)).as_ref(),
            "{waits:?}"
        );
    }
}
