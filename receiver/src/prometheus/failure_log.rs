//! `scrape_failure_log_file`: a line of JSON for each failed scrape.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;

/// An open log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FailureLog {
    path: Arc<str>,
    file: Arc<Mutex<File>>,
}

impl FailureLog {
    /// Opens the file for appending.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub(crate) fn open(path: &str) -> Result<FailureLog, String> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| format!("cannot open scrape_failure_log_file {path:?}: {error}"))?;
        Ok(FailureLog { path: path.into(), file: Arc::new(Mutex::new(file)) })
    }

    /// Adds a line.
    pub(crate) fn write(&self, time_ms: i64, job: &str, target: &str, error: &str) {
        let line = format!("{}\n", json!({"time_ms": time_ms, "job_name": job, "target": target, "error": error}));
        let result = self.file.lock().expect("no panic while the file is locked").write_all(line.as_bytes());
        if let Err(error) = result {
            tracing::warn!(path = &*self.path, %error, "cannot write to scrape_failure_log_file");
        }
    }
}
