//! What a person and the own metrics learn of each round: changes once, not everything every time.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::{Counter, Gauge, Telemetry};

use super::call::{ApiError, Kind, Operation};
use super::gap::Gap;
use super::targets::{Problem, Reason, Target};
use super::world::World;

/// New problems that are logged one by one in a round; the rest as a number.
const MAX_LOGGED: usize = 20;

/// What tells one error from another.
type Trouble = (Operation, Kind, String);

/// Logs and metrics of one extension.
pub(crate) struct Report {
    id: String,
    cluster: String,
    rounds_ok: Counter,
    rounds_partial: Counter,
    rounds_failed: Counter,
    file_errors: Counter,
    tasks: Gauge,
    targets: Gauge,
    last_success: Gauge,
    problems: [Gauge; Reason::ALL.len()],
    /// Reasons why there is no cluster or region yet that were logged.
    known_places: HashSet<String>,
    /// The errors of the last round, so that each is logged when it begins and not every round.
    known_errors: HashSet<Trouble>,
    known_problems: HashSet<Problem>,
    known_file_error: Option<String>,
}

impl Report {
    pub(crate) fn new(telemetry: &Telemetry, id: &str) -> Report {
        let gauge = |name, help| telemetry.gauge(name, help, &[("extension", id)]);
        let rounds = |outcome| {
            let help = "Rounds of ECS discovery, by outcome: partial means that some calls failed.";
            let labels = [("extension", id), ("outcome", outcome)];
            telemetry.counter("otelcol_ecs_observer_rounds_total", help, &labels)
        };
        let problems = Reason::ALL.map(|reason| {
            let help = "Tasks and ports that the last round could not turn into targets, by reason.";
            let labels = [("extension", id), ("reason", reason.as_str())];
            telemetry.gauge("otelcol_ecs_observer_problems", help, &labels)
        });
        Report {
            id: id.to_owned(),
            cluster: String::new(),
            rounds_ok: rounds("ok"),
            rounds_partial: rounds("partial"),
            rounds_failed: rounds("failed"),
            file_errors: telemetry.counter(
                "otelcol_ecs_observer_file_errors_total",
                "Failed attempts to write the result file.",
                &[("extension", id)],
            ),
            tasks: gauge("otelcol_ecs_observer_tasks", "Tasks that the last round saw."),
            targets: gauge("otelcol_ecs_observer_targets", "Targets handed over."),
            last_success: gauge(
                "otelcol_ecs_observer_last_success_seconds",
                "Unix time of the last round that read the cluster's tasks.",
            ),
            problems,
            known_places: HashSet::new(),
            known_errors: HashSet::new(),
            known_problems: HashSet::new(),
            known_file_error: None,
        }
    }

    pub(crate) fn cluster(&mut self, cluster: &str) {
        self.cluster = cluster.to_owned();
    }

    /// The cluster or region is not known yet.
    pub(crate) fn no_place(&mut self, error: &str) {
        if self.known_places.insert(error.to_owned()) {
            tracing::warn!(extension = %self.id, "{error}; trying again");
        }
    }

    /// The tasks could not be read.
    pub(crate) fn failed(&mut self, error: &ApiError, kept: Option<usize>) {
        self.rounds_failed.add(1);
        let kept = kept.map_or_else(|| "no targets yet".to_owned(), |n| format!("keeping what is known ({n} targets)"));
        let trouble = (error.operation, error.kind, error.text.clone());
        if !self.known_errors.contains(&trouble) {
            tracing::error!(
                extension = %self.id,
                "cannot read cluster {:?}: {error}; {kept}, trying again", self.cluster
            );
        }
        self.known_errors = HashSet::from([trouble]);
    }

    /// A round that read the tasks.
    pub(crate) fn round(
        &mut self,
        world: &World,
        targets: &[Target],
        problems: &[Problem],
        gaps: &[Gap],
        before: Option<&[Target]>,
    ) {
        if gaps.is_empty() { &self.rounds_ok } else { &self.rounds_partial }.add(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        self.last_success.set(i64::try_from(now).unwrap_or(i64::MAX));
        self.tasks.set(count(world.tasks.len()));
        self.targets.set(count(targets.len()));
        for (gauge, reason) in self.problems.iter().zip(Reason::ALL) {
            gauge.set(count(problems.iter().filter(|p| p.reason == reason).count()));
        }
        self.gaps(gaps);
        self.problems(problems);
        if before.is_none_or(|before| before != targets) {
            let before = before.unwrap_or_default();
            let added = targets.iter().filter(|t| before.binary_search(t).is_err()).count();
            let removed = before.iter().filter(|t| targets.binary_search(t).is_err()).count();
            let (id, cluster, tasks) = (&self.id, &self.cluster, world.tasks.len());
            tracing::info!(extension = %id, cluster, tasks, targets = targets.len(), added, removed, "targets changed");
        }
    }

    /// Zero targets, and calls failed.
    pub(crate) fn nothing_known(&self) {
        tracing::debug!(extension = %self.id, "no targets are known because of the errors; the result file stays");
    }

    /// The result file was written, or not.
    pub(crate) fn file(&mut self, result: Result<bool, String>) {
        match result {
            Ok(wrote) => {
                if self.known_file_error.take().is_some() {
                    tracing::info!(extension = %self.id, "the result file is written again");
                } else if wrote {
                    tracing::debug!(extension = %self.id, "result file written");
                }
            }
            Err(error) => {
                self.file_errors.add(1);
                if self.known_file_error.as_ref() != Some(&error) {
                    let hint = "scrape jobs of this collector get the targets in memory all the same";
                    tracing::warn!(extension = %self.id, "{error}; {hint}");
                    self.known_file_error = Some(error);
                }
            }
        }
    }

    fn gaps(&mut self, gaps: &[Gap]) {
        let (id, cluster) = (&self.id, &self.cluster);
        let mut troubles = HashSet::new();
        for gap in gaps {
            let (operation, kind, text) = gap.key();
            let trouble = (operation, kind, text.to_owned());
            if !self.known_errors.contains(&trouble) {
                tracing::error!(
                    extension = %id,
                    "cluster {cluster:?}: {gap}; the tasks concerned keep their last targets, trying again"
                );
            }
            troubles.insert(trouble);
        }
        if troubles.is_empty() && !self.known_errors.is_empty() {
            tracing::info!(extension = %id, "cluster {cluster:?} can be read again");
        }
        self.known_errors = troubles;
    }

    fn problems(&mut self, problems: &[Problem]) {
        let id = &self.id;
        let new: Vec<_> = problems.iter().filter(|p| !self.known_problems.contains(p)).collect();
        for problem in new.iter().take(MAX_LOGGED) {
            tracing::warn!(extension = %id, reason = problem.reason.as_str(), "{problem}");
        }
        if new.len() > MAX_LOGGED {
            tracing::warn!(extension = %id, "{} more tasks or ports have problems", new.len() - MAX_LOGGED);
        }
        self.known_problems = problems.iter().cloned().collect();
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
