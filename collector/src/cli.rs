//! The command line: flags and sub-commands, signals and reload. Exit codes are the Collector's: 0 after a graceful
//! stop, 1 after any error.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use config::{Config, Diagnostic, ProcessEnv};
use proto::{BuildContext, TargetHub, Telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::assemble::{Assembly, assemble};
use crate::build_info::{NAME, VERSION};
use crate::extra::Extra;
use crate::own::OwnTelemetry;
use crate::run::Service;
use crate::telemetry::logs::Logs;
use crate::{gates, known, pages, sources};

/// OpenTelemetry Collector for Amazon ECS: discovers, scrapes and receives metrics, writes EMF to CloudWatch Logs.
#[derive(Parser)]
#[command(name = NAME, version = VERSION, disable_help_subcommand = true)]
pub struct Cli {
    /// Where the configuration is: a file, file:PATH, env:NAME or yaml:TEXT; several are merged left to right. The
    /// CloudWatch agent's JSON is taken as well, also a folder of it. Without any: AOT_CONFIG_CONTENT, then what the
    /// CloudWatch agent reads (/etc/cwagentconfig, CW_CONFIG_CONTENT).
    #[arg(long, global = true, value_name = "URI")]
    pub config: Vec<String>,
    /// Sets one value after all --config: --set exporters.awsemf.region=eu-west-1 (the value is YAML).
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Comma-separated feature gates; a leading - disables one.
    #[arg(long = "feature-gates", global = true, value_name = "GATES", allow_hyphen_values = true)]
    pub feature_gates: Vec<String>,
    /// What extracfg.txt says.
    #[arg(skip)]
    pub(crate) extra: Extra,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Checks the configuration, names every problem, starts nothing.
    Validate,
    /// Lists the components of this binary.
    Components,
    /// Prints the merged and expanded configuration, secrets redacted.
    PrintConfig,
    /// Prints a CloudWatch agent's JSON as a configuration of this collector, with the JSON key at each line.
    Translate {
        /// File or folder with the JSON, env:NAME; without any, what the CloudWatch agent would read.
        files: Vec<String>,
    },
    /// Asks the health_check extension of a running collector; for container health checks.
    Health {
        /// Port on 127.0.0.1.
        #[arg(long, default_value_t = 13133)]
        port: u16,
        /// Path of the extension.
        #[arg(long, default_value = "/")]
        path: String,
    },
}

/// ADOT's images have a second binary `/healthcheck`, which task definitions name. A link of that name to this binary
/// does the same: it asks `http://127.0.0.1:13133/`.
#[derive(Parser)]
#[command(name = "healthcheck", version = VERSION)]
struct HealthCheck {
    /// Port on 127.0.0.1.
    #[arg(long, default_value_t = 13133, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

fn is_called(name: &str) -> bool {
    std::env::args_os().next().is_some_and(|path| Path::new(&path).file_name().is_some_and(|own| own == name))
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    if is_called("healthcheck") {
        return match HealthCheck::try_parse() {
            Ok(check) => block_on(crate::health::ask(check.port, "/")),
            Err(e) => explain(&e),
        };
    }
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return explain(&e),
    };
    let reads_configuration = !matches!(cli.command, Some(Command::Components | Command::Health { .. }));
    if reads_configuration {
        match Extra::read(&ProcessEnv).and_then(|extra| extra.enter().map(|()| extra)) {
            Ok(extra) => cli.extra = extra,
            Err(error) => {
                complain(&error);
                return ExitCode::FAILURE;
            }
        }
    }
    match cli.command {
        Some(Command::Components) => known::print_components(),
        Some(Command::Health { port, ref path }) => block_on(crate::health::ask(port, path)),
        Some(Command::Validate) => validate(&cli),
        Some(Command::PrintConfig) => print_config(&cli),
        Some(Command::Translate { ref files }) => translate(files),
        None => run(&cli),
    }
}

/// Help and version, or what is wrong with the arguments.
fn explain(e: &clap::Error) -> ExitCode {
    drop(e.print());
    ExitCode::from(u8::from(e.use_stderr()))
}

fn validate(cli: &Cli) -> ExitCode {
    let logs = Logs::install();
    logs.quiet();
    let Ok(gates) = gates::parse(&cli.feature_gates).map_err(|e| complain(&e)) else { return ExitCode::FAILURE };
    let (loaded, mut problems) = sources::load(cli);
    let mut ok = loaded.is_some();
    if let Some(config) = &loaded {
        let (assembly, found) = block_on(async { assemble(config, &context(gates, Telemetry::default(), true)) });
        ok = assembly.is_some();
        problems.extend(found);
    }
    report(&problems);
    if ok && !config::has_errors(&problems) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_config(cli: &Cli) -> ExitCode {
    let (text, problems) = sources::print(cli);
    report(&problems);
    print_good(text, &problems)
}

fn translate(files: &[String]) -> ExitCode {
    let (text, problems) = sources::translate(files);
    report(&problems);
    print_good(text, &problems)
}

fn print_good(text: Option<String>, problems: &[Diagnostic]) -> ExitCode {
    match text.filter(|_| !config::has_errors(problems)) {
        Some(text) => {
            write_stdout(&text);
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

fn run(cli: &Cli) -> ExitCode {
    let logs = Logs::install();
    let Ok(gates) = gates::parse(&cli.feature_gates).map_err(|e| complain(&e)) else { return ExitCode::FAILURE };
    let result = block_on(serve(cli, &logs, gates));
    // A start that failed before the settings applied has told nothing yet.
    logs.release();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

async fn serve(cli: &Cli, logs: &Logs, gates: gates::Enabled) -> Result<(), String> {
    let unix = |kind| signal(kind).map_err(|e| format!("cannot listen for signals: {e}"));
    let mut signals = Signals {
        terminate: unix(SignalKind::terminate())?,
        interrupt: unix(SignalKind::interrupt())?,
        hangup: unix(SignalKind::hangup())?,
    };
    if let Some(path) = &cli.extra.path {
        let variables: Vec<&str> = cli.extra.variables.iter().map(|(name, _)| name.as_str()).collect();
        tracing::info!(path, variables = ?variables, log_level = cli.extra.log_level, "read the extra configuration");
    }
    let context = context(gates, Telemetry::default(), false);
    let (mut current, assembly) = prepare(cli, &context)?;
    let mut own = OwnTelemetry::start(&current.service, &context, logs).await?;
    tracing::info!(Version = VERSION, NumCPU = num_cpus(), "Starting otelcol-ecs...");
    let mut service = tokio::select! {
        started = Service::start(assembly, &context) => started?,
        _ = signals.terminate.recv() => return Ok(()),
        _ = signals.interrupt.recv() => return Ok(()),
    };
    tracing::info!("Everything is ready. Begin running and processing data.");
    let mut settling = tokio::spawn(pages::release_after_start());
    loop {
        tokio::select! {
            error = service.failure() => {
                tracing::error!(error, "Asynchronous error received, terminating process");
                break;
            }
            _ = signals.terminate.recv() => {
                tracing::info!(signal = "terminated", "Received signal from OS");
                break;
            }
            _ = signals.interrupt.recv() => {
                tracing::info!(signal = "interrupt", "Received signal from OS");
                break;
            }
            _ = signals.hangup.recv() => {
                match prepare(cli, &context) {
                    Err(error) => tracing::error!(error, "the new configuration is bad; the old one keeps running"),
                    Ok((config, assembly)) => {
                        tracing::info!("Config updated, restart service");
                        (service, current, own) = reload(service, current, own, config, assembly, &context, logs).await?;
                        settling.abort();
                        settling = tokio::spawn(pages::release_after_start());
                    }
                }
            }
        }
    }
    tracing::info!("Starting shutdown...");
    service.stop().await;
    own.stop().await;
    tracing::info!("Shutdown complete.");
    Ok(())
}

/// Stops the old service, starts the new one; when that cannot start (a port is taken), goes back to the old one.
async fn reload(
    old: Service,
    old_config: Config,
    own: OwnTelemetry,
    config: Config,
    assembly: Assembly,
    context: &BuildContext,
    logs: &Logs,
) -> Result<(Service, Config, OwnTelemetry), String> {
    old.stop().await;
    own.stop().await;
    let own = OwnTelemetry::start(&config.service, context, logs).await;
    let started = match own {
        Ok(own) => match Service::start(assembly, context).await {
            Ok(service) => Ok((service, own)),
            Err(error) => {
                own.stop().await;
                Err(error)
            }
        },
        Err(error) => Err(error),
    };
    match started {
        Ok((service, own)) => {
            tracing::info!("Everything is ready. Begin running and processing data.");
            Ok((service, config, own))
        }
        Err(error) => {
            tracing::error!(error, "the new configuration cannot start; going back to the old one");
            let (assembly, problems) = assemble(&old_config, context);
            let assembly = assembly.ok_or_else(|| lines(&problems))?;
            let own = OwnTelemetry::start(&old_config.service, context, logs).await?;
            let service = Service::start(assembly, context).await?;
            tracing::info!("Everything is ready. Begin running and processing data.");
            Ok((service, old_config, own))
        }
    }
}

/// Loads and builds; warnings are logged, errors are one text with every problem.
fn prepare(cli: &Cli, context: &BuildContext) -> Result<(Config, Assembly), String> {
    tracing::info!(from = sources::describe(cli), "reading the configuration");
    let (config, mut problems) = sources::load(cli);
    let mut assembly = None;
    if let Some(config) = &config {
        let (built, found) = assemble(config, context);
        assembly = built;
        problems.extend(found);
    }
    match (config, assembly) {
        (Some(config), Some(assembly)) if !config::has_errors(&problems) => {
            for warning in &problems {
                tracing::warn!("{warning}");
            }
            Ok((config, assembly))
        }
        _ => Err(format!("invalid configuration:\n{}", lines(&problems))),
    }
}

fn context(gates: gates::Enabled, telemetry: Telemetry, dry_run: bool) -> BuildContext {
    BuildContext {
        id: String::new(),
        telemetry,
        targets: TargetHub::default(),
        auth: Arc::default(),
        gates: Arc::new(gates),
        version: VERSION,
        env: Arc::new(|name| std::env::var(name).ok()),
        dry_run,
    }
}

fn lines(problems: &[Diagnostic]) -> String {
    config::render(problems, false)
}

#[expect(clippy::print_stderr, reason = "what validate found is for the person at the terminal")]
fn report(problems: &[Diagnostic]) {
    eprint!("{}", config::render(problems, std::io::stderr().is_terminal()));
}

#[expect(clippy::print_stderr, reason = "the last word of a process that could not run")]
fn complain(error: &str) {
    eprintln!("Error: {}", error.trim_end());
}

#[expect(clippy::print_stdout, reason = "the output of a sub-command")]
pub(crate) fn write_stdout(text: &str) {
    print!("{text}");
}

/// One worker per CPU that the container's quota gives, at least one.
fn num_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(num_cpus())
        .enable_all()
        .build()
        .expect("the runtime starts: threads and epoll are available")
        .block_on(future)
}
