//! Logs in the Collector's console and JSON forms, with its sampling. Where they go and from which level on is
//! settable while running. The first records come before the configuration is read: they wait for its settings.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// `service.telemetry.logs.encoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Tab-separated columns, a JSON object of fields last.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}

/// Sampling of repeated messages: per `tick`, the first `initial`, then each `thereafter`-th.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Length of the window.
    pub tick: Duration,
    /// Messages that pass first.
    pub initial: u64,
    /// Then one of so many passes; 0 lets none through.
    pub thereafter: u64,
}

/// Where lines go.
#[derive(Clone)]
pub enum Output {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(Arc<Mutex<std::fs::File>>),
}

/// What can change while running.
#[derive(Clone)]
pub struct Settings {
    /// Lowest level that is written.
    pub level: Level,
    /// Form of a line.
    pub encoding: Encoding,
    /// None switches sampling off.
    pub sampling: Option<Sampling>,
    /// Leaves out the caller column.
    pub disable_caller: bool,
    /// Fields added to every line.
    pub initial_fields: Map<String, Value>,
    /// The `resource` field: service name, version, instance id.
    pub resource: Map<String, Value>,
    /// Targets; a line goes to each.
    pub outputs: Vec<Output>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            level: Level::INFO,
            encoding: Encoding::Console,
            sampling: Some(Sampling { tick: Duration::from_secs(10), initial: 10, thereafter: 100 }),
            disable_caller: false,
            initial_fields: Map::new(),
            resource: Map::new(),
            outputs: vec![Output::Stderr],
        }
    }
}

/// Handle on the installed logger.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    settings: RwLock<Settings>,
    /// Records from before the settings were known; `None` from then on.
    waiting: Mutex<Option<Vec<Record>>>,
    seen: Mutex<HashMap<u64, (Instant, u64)>>,
}

/// An event, still without a form.
struct Record {
    at: SystemTime,
    level: Level,
    target: &'static str,
    caller: String,
    fields: Fields,
}

/// Most distinct messages remembered for sampling; beyond it the window starts anew.
const MAX_SEEN: usize = 4096;
/// Most records that wait for the settings; with one more they are written with the default ones.
const MAX_WAITING: usize = 10_000;

impl Logs {
    /// Installs the process' logger. Later calls of the process keep the first one and return a handle without effect.
    /// Nothing is written before [`Logs::apply`] or [`Logs::release`].
    pub fn install() -> Logs {
        let logs = Logs::new();
        let subscriber = Registry::default().with(LogLayer(logs.clone()));
        drop(tracing::subscriber::set_global_default(subscriber));
        logs
    }

    fn new() -> Logs {
        let waiting = Mutex::new(Some(Vec::new()));
        Logs(Arc::new(Inner { settings: RwLock::default(), waiting, seen: Mutex::default() }))
    }

    /// Writes nothing at all: for sub-commands whose output is their own.
    pub fn quiet(&self) {
        self.apply(Settings { outputs: Vec::new(), ..Settings::default() });
    }

    /// Replaces the settings, and writes what waited for them.
    pub fn apply(&self, settings: Settings) {
        *self.0.settings.write().unwrap_or_else(std::sync::PoisonError::into_inner) = settings;
        self.release();
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes what waited for settings with those that there are: the end of a process that never got any.
    pub fn release(&self) {
        // Locked until all is written, so that a new record does not overtake the old ones.
        let mut waiting = self.waiting();
        if let Some(records) = waiting.take() {
            let settings = self.settings();
            records.into_iter().for_each(|record| self.write(&settings, record));
        }
    }

    fn settings(&self) -> RwLockReadGuard<'_, Settings> {
        self.0.settings.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Record>>> {
        self.0.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether records of this kind are kept or written.
    fn takes(&self, level: &Level, target: &str) -> bool {
        match &*self.waiting() {
            Some(_) => wanted(Level::DEBUG, level, target),
            None => wanted(self.settings().level, level, target),
        }
    }

    fn take(&self, record: Record) {
        let mut waiting = self.waiting();
        let Some(records) = &mut *waiting else {
            drop(waiting);
            return self.write(&self.settings(), record);
        };
        records.push(record);
        let is_full = records.len() > MAX_WAITING;
        drop(waiting);
        if is_full {
            self.release();
        }
    }

    fn write(&self, settings: &Settings, record: Record) {
        let Record { at, level, target, caller, fields } = record;
        if !wanted(settings.level, &level, target) || !self.passes(settings, level, &fields.message) {
            return;
        }
        let line = render(settings, at, level, &caller, fields);
        for output in &settings.outputs {
            write_line(output, &line);
        }
    }

    fn passes(&self, settings: &Settings, level: Level, message: &str) -> bool {
        let Some(sampling) = settings.sampling else { return true };
        let mut hasher = DefaultHasher::new();
        (level.as_str(), message).hash(&mut hasher);
        let mut seen = self.0.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.len() > MAX_SEEN {
            seen.clear();
        }
        let entry = seen.entry(hasher.finish()).or_insert_with(|| (Instant::now(), 0));
        if entry.0.elapsed() >= sampling.tick {
            *entry = (Instant::now(), 0);
        }
        entry.1 += 1;
        entry.1 <= sampling.initial
            || sampling.thereafter > 0 && (entry.1 - sampling.initial).is_multiple_of(sampling.thereafter)
    }
}

struct LogLayer(Logs);

/// Levels of the libraries we use are one step stricter than ours: their info lines are noise to our users.
fn wanted(lowest: Level, level: &Level, target: &str) -> bool {
    const OURS: [&str; 7] = ["collector", "config", "exporter", "extension", "processor", "proto", "receiver"];
    let root = target.split("::").next().unwrap_or(target);
    if OURS.contains(&root) { *level <= lowest } else { *level <= lowest && *level <= Level::WARN }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        self.0.takes(metadata.level(), metadata.target())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let caller = match (metadata.file(), metadata.line()) {
            (Some(file), Some(line)) => format!("{}:{line}", short(file)),
            _ => metadata.target().to_owned(),
        };
        let target = metadata.target();
        self.0.take(Record { at: SystemTime::now(), level: *metadata.level(), target, caller, fields });
    }
}

/// A full disk or a closed pipe must not stop the agent: a line that cannot be written is lost.
fn write_line(output: &Output, line: &str) {
    let result = match output {
        Output::Stderr => std::io::stderr().lock().write_all(line.as_bytes()),
        Output::Stdout => std::io::stdout().lock().write_all(line.as_bytes()),
        Output::File(file) => file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(line.as_bytes()),
    };
    drop(result);
}

/// `receiver/src/prometheus/scrape.rs` as `prometheus/scrape.rs`.
fn short(file: &str) -> &str {
    let mut slashes = file.rmatch_indices('/').map(|(i, _)| i);
    match (slashes.next(), slashes.next()) {
        (Some(_), Some(second)) => &file[second + 1..],
        _ => file,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    /// In the order in which the code names them.
    fields: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.fields.push((field_name(field.name()), value));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.add(field, value.into()),
        }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            _ => self.add(field, text.into()),
        }
    }
}

/// Raw identifiers and the Collector's dotted names: `component_id` is written `otelcol.component.id`.
fn field_name(name: &str) -> String {
    match name {
        "component_id" => "otelcol.component.id".to_owned(),
        "component_kind" => "otelcol.component.kind".to_owned(),
        "pipeline_id" => "otelcol.pipeline.id".to_owned(),
        other => other.trim_start_matches("r#").to_owned(),
    }
}

fn render(settings: &Settings, now: SystemTime, level: Level, caller: &str, fields: Fields) -> String {
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    };
    // A list, because the order of the keys is the Collector's.
    let mut object: Vec<(String, Value)> = Vec::new();
    let mut line = String::new();
    if settings.encoding == Encoding::Json {
        object.push(("level".into(), level.into()));
        object.push(("ts".into(), timestamp(now).into()));
        if !settings.disable_caller {
            object.push(("caller".into(), caller.into()));
        }
        object.push(("msg".into(), fields.message.clone().into()));
    }
    if !settings.resource.is_empty() {
        object.push(("resource".into(), Value::Object(settings.resource.clone())));
    }
    object.extend(settings.initial_fields.clone());
    for (name, value) in fields.fields {
        // A key twice is no JSON for many readers.
        object.retain(|(other, _)| *other != name);
        object.push((name, value));
    }
    if settings.encoding == Encoding::Console {
        let caller_column = if settings.disable_caller { String::new() } else { format!("{caller}\t") };
        write!(line, "{}\t{level}\t{caller_column}{}", timestamp(now), fields.message).expect("writing to a string");
        if !object.is_empty() {
            line.push('\t');
        }
    }
    if !object.is_empty() {
        for (n, (name, value)) in object.into_iter().enumerate() {
            let separator = if n == 0 { '{' } else { ',' };
            write!(line, "{separator}{}:{value}", Value::String(name)).expect("writing to a string");
        }
        line.push('}');
    }
    line.push('\n');
    line
}

/// `2026-11-23T23:05:01.123Z`.
pub fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, secs) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (y, m, d) = civil(days as i64);
    format!(
        "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{:03}Z",
        secs / 3600,
        secs / 60 % 60,
        secs % 60,
        since.subsec_millis()
    )
}

/// Gregorian date of a day count since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(ms)
    }

    #[test]
    fn timestamps_are_iso_8601_with_milliseconds() {
        assert_eq!(timestamp(at(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(at(1_709_210_096_007)), "2024-02-29T12:34:56.007Z");
        assert_eq!(timestamp(at(1_798_761_599_999)), "2026-12-31T23:59:59.999Z");
    }

    #[test]
    fn console_lines_end_with_an_object_and_json_lines_are_one() {
        let fields = || Fields {
            message: "Starting".into(),
            fields: [("endpoint".to_owned(), Value::from("localhost:4317"))].into_iter().collect(),
        };
        let mut settings = Settings::default();
        let console = render(&settings, at(0), Level::INFO, "a/b.rs:1", fields());
        assert_eq!(console, "1970-01-01T00:00:00.000Z\tinfo\ta/b.rs:1\tStarting\t{\"endpoint\":\"localhost:4317\"}\n");
        settings.encoding = Encoding::Json;
        settings.resource.insert("service.name".to_owned(), "a".into());
        settings.initial_fields.insert("team".to_owned(), "\"b\"".into());
        let json = render(&settings, at(0), Level::WARN, "x", fields());
        assert_eq!(
            json,
            "{\"level\":\"warn\",\"ts\":\"1970-01-01T00:00:00.000Z\",\"caller\":\"x\",\"msg\":\"Starting\",\
             \"resource\":{\"service.name\":\"a\"},\"team\":\"\\\"b\\\"\",\"endpoint\":\"localhost:4317\"}\n"
        );
        serde_json::from_str::<Value>(&json).unwrap();
    }

    #[test]
    fn repeated_messages_are_thinned_after_the_first_ten() {
        let logs = Logs::new();
        let settings = Settings::default();
        let passed = (0..310).filter(|_| logs.passes(&settings, Level::WARN, "same")).count();
        assert_eq!(passed, 13);
        assert!(logs.passes(&settings, Level::WARN, "other"));
    }

    /// What `act` logs before and after the settings, as it stands in a file of this name.
    fn written(name: &str, settings: Option<Settings>, act: impl Fn()) -> String {
        let path = std::env::temp_dir().join(format!("logs-{name}-{}", std::process::id()));
        let logs = Logs::new();
        let output = Output::File(Arc::new(Mutex::new(std::fs::File::create(&path).unwrap())));
        tracing::subscriber::with_default(Registry::default().with(LogLayer(logs.clone())), || {
            act();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "nothing is written before the settings");
            match settings {
                Some(settings) => logs.apply(Settings { outputs: vec![output], ..settings }),
                None => {
                    logs.0.settings.write().unwrap().outputs = vec![output];
                    logs.release();
                }
            }
            act();
        });
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    }

    #[test]
    fn the_first_records_wait_for_the_settings() {
        let act = || {
            tracing::debug!("one");
            tracing::info!("two");
            tracing::error!("three");
        };
        let json = Settings { encoding: Encoding::Json, level: Level::ERROR, ..Settings::default() };
        let text = written("json", Some(json), act);
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let messages: Vec<_> = records.iter().map(|record| record["msg"].as_str().unwrap()).collect();
        assert_eq!(messages, ["three", "three"]);
        let text = written("debug", Some(Settings { level: Level::DEBUG, ..Settings::default() }), act);
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(text.lines().next().unwrap().contains("\tdebug\t"), "{text}");
    }

    #[test]
    fn without_settings_the_first_records_come_out_in_the_default_form() {
        let text = written("none", None, || tracing::info!(port = 1, "two"));
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.ends_with("two\t{\"port\":1}")), "{text}");
    }
}
