//! Runs the real binary: finds or builds it, gives it a config and a scripted AWS, watches its log, sends it signals,
//! reads its own metrics and ends it with the test.

mod binary;

pub use binary::binary;

use crate::exposition::Exposition;
use crate::fake::FakeAws;
use crate::net::free_port;
use crate::wait::{wait_for, wait_until};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// What the agent logs when every component runs.
pub const READY: &str = "Everything is ready";
/// The environment variable that names the agent's own directory, for configs: `${env:AGENT_DIR}/targets.yaml`.
pub const AGENT_DIR: &str = "AGENT_DIR";
/// Start, reload or stop within this, even on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Signals that mean something to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`: drain and end.
    Term,
    /// `SIGINT`: the same, from a terminal.
    Int,
    /// `SIGHUP`: read the config again.
    Hup,
    /// `SIGKILL`: a crash.
    Kill,
    /// `SIGSTOP`: freeze.
    Stop,
    /// `SIGCONT`: go on.
    Cont,
}

/// How to start an agent.
pub struct AgentBuilder {
    dir: TempDir,
    config: Option<String>,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    own_metrics: Option<u16>,
}

/// A running agent; it is killed when this is dropped.
pub struct Agent {
    child: Child,
    dir: TempDir,
    stderr: Arc<Mutex<String>>,
    stdout: Arc<Mutex<String>>,
    /// What reads the two, until the agent has ended.
    readers: Vec<JoinHandle<()>>,
    own_metrics: Option<u16>,
}

impl Agent {
    /// An agent with this config, written to `config.yaml` in its directory and named by `--config`.
    pub fn with_config(config: &str) -> AgentBuilder {
        AgentBuilder { config: Some(config.to_owned()), ..Self::with_args([""; 0]) }
    }

    /// An agent with these arguments only.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn with_args<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> AgentBuilder {
        let dir = tempfile::Builder::new().prefix("otelcol-ecs-").tempdir().expect("a temporary directory");
        let args = args.into_iter().map(Into::into).collect();
        AgentBuilder { dir, config: None, args, env: Vec::new(), own_metrics: None }
    }

    /// Its directory: holds `config.yaml` and the files given to the builder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id; absent once it ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// When the system cannot say.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Everything it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.stderr.lock().expect("no holder panics").clone()
    }

    /// Everything it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("no holder panics").clone()
    }

    /// Waits until the log contains a text.
    ///
    /// # Panics
    /// With the log when it does not within [`PATIENCE`].
    pub async fn wait_log(&self, text: &str) {
        self.wait_log_times(text, 1).await;
    }

    /// Waits until the log contains a text so many times.
    ///
    /// # Panics
    /// With the log when it does not within [`PATIENCE`].
    pub async fn wait_log_times(&self, text: &str, times: usize) {
        wait_until(&format!("{text:?} {times} times in the agent's log"), PATIENCE, || {
            (self.log().matches(text).count() >= times).then_some(())
        })
        .await;
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has ended or cannot be signalled.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("the agent runs");
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Hup => "HUP",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        };
        // The shell's own `kill`: there on every machine, and no unsafe call.
        let status = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
        assert!(status.is_ok_and(|status| status.success()), "cannot send {signal:?} to the agent");
    }

    /// Waits for the process to end by itself or by a signal sent before.
    ///
    /// # Panics
    /// With the log when it still runs after `deadline`.
    pub async fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        match tokio::time::timeout(deadline, self.child.wait()).await {
            Ok(status) => {
                // What it wrote last is read after it has ended.
                for reader in self.readers.drain(..) {
                    tokio::time::timeout(deadline, reader)
                        .await
                        .expect("the pipes end with the agent")
                        .expect("no panic");
                }
                status.expect("a child can be waited for")
            }
            Err(_) => panic!("the agent still runs after {deadline:?}; its log:\n{}", self.log()),
        }
    }

    /// Ends it with SIGTERM and gives its exit status.
    ///
    /// # Panics
    /// With the log when it does not end within [`PATIENCE`].
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::Term);
        self.wait_exit(PATIENCE).await
    }

    /// Replaces the config file; [`Signal::Hup`] makes the agent read it.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn rewrite_config(&self, config: &str) {
        self.write_file("config.yaml", config);
    }

    /// Writes a file into the agent's directory.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_file(&self, name: &str, content: &str) {
        std::fs::write(self.dir().join(name), content).expect("the agent's directory can be written");
    }

    /// Reads a file of the agent's directory; absent while there is none.
    pub fn read_file(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.dir().join(name)).ok()
    }

    /// Its own metrics now; needs [`AgentBuilder::own_metrics`]. Absent while nobody answers.
    ///
    /// # Panics
    /// When the page is not in the text format.
    pub async fn metrics(&self) -> Option<Exposition> {
        let port = self.own_metrics.expect("the agent was built with own_metrics");
        let page = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.ok()?.text().await.ok()?;
        Some(Exposition::parse(&page).unwrap_or_else(|error| panic!("{error} in its own metrics:\n{page}")))
    }

    /// Waits until its own metrics satisfy a condition, and returns what the condition answered.
    ///
    /// # Panics
    /// When they do not within [`PATIENCE`].
    pub async fn wait_metrics<T>(&self, what: &str, mut condition: impl FnMut(&Exposition) -> Option<T>) -> T {
        wait_for(what, PATIENCE, async || condition(&self.metrics().await?)).await
    }

    /// Largest resident set so far, in bytes (`VmHWM`); absent once it ended.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// Prints the end of the log, for a test that is about to fail.
    pub fn show_log(&self, why: &str) {
        const LINES: usize = 40;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let mut shown = format!("--- {why}; the end of the agent's log ({} lines):\n", lines.len());
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            shown.extend(line.chars().take(400));
            shown.push('\n');
        }
        std::io::Write::write_all(&mut std::io::stderr(), shown.as_bytes()).expect("stderr can be written");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_log("the test failed");
        }
    }
}

impl AgentBuilder {
    /// Uses this scripted AWS, with static keys.
    pub fn aws(mut self, aws: &FakeAws) -> Self {
        self.env.extend(aws.environment());
        self
    }

    /// Runs as a container of an ECS task of this scripted AWS: keys from the credentials endpoint, cluster and task
    /// from the metadata endpoint.
    pub fn aws_task(mut self, aws: &FakeAws) -> Self {
        self.env.extend(aws.task_environment());
        self
    }

    /// Sets an environment variable. Nothing but `PATH` is inherited.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Writes a file into the agent's directory before the start.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(self, name: &str, content: &str) -> Self {
        std::fs::write(self.dir.path().join(name), content).expect("the agent's directory can be written");
        self
    }

    /// The agent's directory, for a config that has to name it.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Serves its own metrics on a free port, read with [`Agent::metrics`].
    pub fn own_metrics(mut self) -> Self {
        let port = free_port();
        let readers = format!("[{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {port}}}}}}}}}]");
        self.args.push(format!("--set=service.telemetry.metrics.readers={readers}").into());
        self.own_metrics = Some(port);
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// With its log when it ends or is not ready within [`PATIENCE`].
    pub async fn start(self) -> Agent {
        let mut agent = self.spawn();
        let started = tokio::time::Instant::now();
        while !agent.log().contains(READY) {
            if let Some(status) = agent.child.try_wait().expect("a child can be waited for") {
                // The readers may be behind the end of the process.
                tokio::time::sleep(Duration::from_millis(100)).await;
                panic!("the agent ended with {status} before it was ready");
            }
            assert!(started.elapsed() < PATIENCE, "the agent is not ready after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        agent
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// When there is no binary and it cannot be built, or it cannot be run.
    pub fn spawn(self) -> Agent {
        let mut command = self.command();
        if self.own_metrics.is_none() && self.config.is_some() {
            // Agents of tests that run side by side cannot all have port 8888.
            command.arg("--set=service.telemetry.metrics.level=none");
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", binary().display()));
        let (stderr, errors) = collect(child.stderr.take().expect("stderr is piped"));
        let (stdout, output) = collect(child.stdout.take().expect("stdout is piped"));
        let readers = vec![errors, output];
        Agent { child, dir: self.dir, stderr, stdout, readers, own_metrics: self.own_metrics }
    }

    /// Runs it to its end, for sub-commands and failing starts.
    ///
    /// # Panics
    /// When it cannot be run or does not end within [`PATIENCE`].
    pub async fn run(self) -> std::process::Output {
        let output = tokio::time::timeout(PATIENCE, self.command().output()).await;
        output.expect("the agent ends by itself").expect("the agent can be run")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.args(&self.args).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.dir.path());
        command.env("HOME", self.dir.path()).env("TMPDIR", self.dir.path()).env(AGENT_DIR, self.dir.path());
        if let Some(config) = &self.config {
            // Named without its folder, so that messages are the same every time.
            std::fs::write(self.dir.path().join("config.yaml"), config).expect("the agent's directory can be written");
            command.arg("--config=config.yaml");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// Reads a pipe to its end in the background.
fn collect(pipe: impl AsyncRead + Unpin + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = text.clone();
    let reading = tokio::spawn(async move {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            kept.lock().expect("no holder panics").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    (text, reading)
}
