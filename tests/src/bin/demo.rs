//! The demo: the AWS guide's scenario on this machine, without an account. Starts the real agent, a scripted AWS and
//! sample applications, and prints what is found, written and measured until Ctrl-C or the end of `--seconds`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::agent::binary;
use tests::fake::cloudwatch::{MetricId, extract};
use tests::guide::{CONFIG, Guide, LOG_GROUP, Traffic};
use tests::{Agent, Signal};
use tokio::signal::unix::{SignalKind, signal};

/// Time between two reports.
const REPORT: Duration = Duration::from_secs(5);
/// When a task joins, and when it leaves again.
const JOINS: Duration = Duration::from_secs(12);
const LEAVES: Duration = Duration::from_secs(27);
/// The agent may take this long to drain.
const DRAIN: Duration = Duration::from_secs(20);

const USAGE: &str = "usage: demo [--seconds N]
Starts the agent with a scripted AWS and sample applications; Ctrl-C ends all of it.
With --seconds it ends by itself and fails when no metric arrived.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seconds = match (args.next().as_deref(), args.next()) {
        (None, _) => None,
        (Some("--seconds"), Some(number)) => match number.parse() {
            Ok(number) => Some(Duration::from_secs(number)),
            Err(_) => return usage(&format!("{number} is not a number of seconds")),
        },
        (Some(other), _) => return usage(&format!("unknown or incomplete argument {other}")),
    };
    println!("otelcol-ecs demo. Looking for the agent, building it when there is none ...");
    println!("agent           {}", binary().display());
    let mut interrupts = match Interrupts::listen() {
        Ok(interrupts) => interrupts,
        Err(error) => return usage(&format!("cannot listen for signals: {error}")),
    };
    // Dropping a half-started demo kills the agent.
    let mut demo = tokio::select! {
        demo = Demo::start() => demo,
        () = interrupts.next() => return ExitCode::SUCCESS,
    };
    demo.introduce();
    let interrupted = demo.run(seconds, &mut interrupts).await;
    demo.end().await;
    let arrived = demo.metrics.values().map(|seen| seen.data).sum::<u64>();
    if arrived == 0 && !interrupted {
        eprintln!("no metric arrived in CloudWatch");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("{problem}\n{USAGE}");
    ExitCode::FAILURE
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupts {
    fn listen() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

struct Demo {
    guide: Guide,
    agent: Agent,
    started: Instant,
    joined: bool,
    left: bool,
    last_event: u64,
    metrics: BTreeMap<MetricId, Seen>,
    problems: BTreeMap<String, u64>,
}

/// What arrived for one CloudWatch metric.
#[derive(Default)]
struct Seen {
    data: u64,
    sum: f64,
    last: f64,
}

impl Demo {
    async fn start() -> Self {
        let guide = Guide::start(Traffic::Waves).await;
        let agent = Agent::with_config(CONFIG).aws(&guide.aws).own_metrics().start().await;
        Self {
            guide,
            agent,
            started: Instant::now(),
            joined: false,
            left: false,
            last_event: 0,
            metrics: BTreeMap::new(),
            problems: BTreeMap::new(),
        }
    }

    fn introduce(&self) {
        println!("configuration   {}", self.agent.dir().join("config.yaml").display());
        println!("AWS             {} (scripted: ECS, EC2, CloudWatch Logs)", self.guide.aws.url());
        println!("applications");
        for app in self.guide.apps.iter().chain([&self.guide.bystander]) {
            println!("  {:<11} {:<13} {:<16} {}", app.task, app.definition, app.launch, app.target.url());
        }
    }

    /// Reports until it is told to end; answers whether a person ended it.
    async fn run(&mut self, seconds: Option<Duration>, interrupts: &mut Interrupts) -> bool {
        let mut reports = tokio::time::interval_at(tokio::time::Instant::now() + REPORT, REPORT);
        let end = async {
            match seconds {
                Some(seconds) => tokio::time::sleep(seconds).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = interrupts.next() => return true,
                () = &mut end => {
                    self.report();
                    return false;
                }
                _ = reports.tick() => {
                    if !self.agent.is_running() {
                        self.agent.show_log("the agent ended");
                        return false;
                    }
                    self.play().await;
                    self.report();
                }
            }
        }
    }

    /// Tasks come and go.
    async fn play(&mut self) {
        let elapsed = self.started.elapsed();
        if !self.joined && elapsed >= JOINS {
            self.joined = true;
            let addr = self.guide.run_on_fargate("fargate-3").await;
            println!("\n>>> task fargate-3 starts at {addr}");
        }
        if !self.left && elapsed >= LEAVES {
            self.left = true;
            self.guide.stop("fargate-3");
            println!("\n>>> task fargate-3 stops");
        }
    }

    fn report(&mut self) {
        println!("\n--- after {} s ---", self.started.elapsed().as_secs());
        let targets = self.targets();
        println!("targets found in ECS: {}", targets.len());
        for (address, job, group) in targets {
            let scrapes = self.guide.apps.iter().find(|app| app.target.addr().to_string() == address);
            let scrapes = scrapes.map_or(0, |app| app.target.scrapes());
            println!("  {address:<22} job={job}  {group}  scraped {scrapes} times");
        }
        let before = self.last_event;
        self.read_events();
        println!("EMF events written to {LOG_GROUP}: {} ({} new)", self.last_event, self.last_event - before);
        println!("CloudWatch metrics they become: {}", self.metrics.len());
        for (metric, seen) in &self.metrics {
            println!("  {metric}\n      {} values, last {}, sum {}", seen.data, seen.last, seen.sum);
        }
        for (problem, times) in &self.problems {
            println!("  not a valid event ({times} times): {problem}");
        }
    }

    /// Address, job and task group of every target in the file that discovery writes.
    fn targets(&self) -> Vec<(String, String, String)> {
        let file = self.agent.read_file("ecs_targets.yaml").unwrap_or_default();
        let groups: Vec<serde_json::Value> = serde_yaml::from_str(&file).unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let target = |group: &serde_json::Value| {
            let labels = &group["labels"];
            (text(&group["targets"][0]), text(&labels["prometheus_job"]), text(&labels["__meta_ecs_task_group"]))
        };
        groups.iter().map(target).collect()
    }

    fn read_events(&mut self) {
        for event in self.guide.aws.events_after(self.last_event) {
            self.last_event = event.number;
            match extract(&event.message) {
                Ok(data) => {
                    for datum in data {
                        let seen = self.metrics.entry(datum.metric).or_default();
                        seen.data += 1;
                        seen.last = datum.value.sum();
                        seen.sum += seen.last;
                    }
                }
                Err(problems) => problems.into_iter().for_each(|text| *self.problems.entry(text).or_default() += 1),
            }
        }
    }

    async fn end(&mut self) {
        println!("\nending the agent ...");
        if self.agent.is_running() {
            self.agent.signal(Signal::Term);
            let status = self.agent.wait_exit(DRAIN).await;
            println!("the agent ended: {status}");
        }
        self.read_events();
        println!("{} events in all", self.last_event);
    }
}
