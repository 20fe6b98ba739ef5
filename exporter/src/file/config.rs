//! The settings of `file` and what is wrong with them. Opens nothing.

use std::path::PathBuf;
use std::time::Duration;

use config::{Diagnostic, GoDuration, Optional, Spanned};
use serde::Deserialize;

/// The section as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct FileConfig {
    /// File to write.
    pub path: Spanned<String>,
    /// Keep what the file has instead of emptying it at start.
    pub append: Spanned<bool>,
    /// Start a new file when this one is full.
    pub rotation: Option<RotationConfig>,
    /// `json`: one OTLP/JSON document a line; `proto`: OTLP messages with their length in front.
    pub format: Spanned<String>,
    /// Refused: an encoding extension.
    pub encoding: Spanned<Option<String>>,
    /// Empty or `zstd`: each message is compressed and its length put in front.
    pub compression: Spanned<String>,
    /// Without effect: every batch is handed to the file at once.
    pub flush_interval: Spanned<GoDuration>,
    /// Refused unless switched off: a file per value of a resource attribute.
    pub group_by: Spanned<Optional<GroupByConfig>>,
    /// Create the missing folders of `path`.
    pub create_directory: Spanned<bool>,
    /// Mode of folders that are created, octal.
    pub directory_permissions: Spanned<String>,
}

/// `rotation`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct RotationConfig {
    /// Size of a full file in MiB; 0: 100.
    pub max_megabytes: Spanned<i64>,
    /// Days after which full files are removed; 0: never.
    pub max_days: Spanned<i64>,
    /// Full files that are kept; 0: all.
    pub max_backups: Spanned<i64>,
    /// Refused: local time in the names of full files.
    pub localtime: Spanned<bool>,
}

/// `group_by`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct GroupByConfig {
    pub enabled: bool,
    pub resource_attribute: String,
    pub max_open_files: i64,
}

/// How batches become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Protobuf instead of JSON.
    pub proto: bool,
    /// Each message compressed with zstd.
    pub zstd: bool,
}

/// What the file is written with, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSettings {
    /// File to write.
    pub path: PathBuf,
    /// Keep what it has.
    pub append: bool,
    /// Limits of one file.
    pub rotation: Option<Rotation>,
    /// Bytes of a batch.
    pub format: Format,
    /// Mode of folders to create; `None`: create none.
    pub create_mode: Option<u32>,
}

/// When to start a new file, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Most bytes of a file.
    pub max_bytes: u64,
    /// Oldest file that is kept; `None`: any age.
    pub max_age: Option<Duration>,
    /// Full files that are kept; `None`: all.
    pub max_backups: Option<usize>,
}

impl Default for FileConfig {
    fn default() -> FileConfig {
        FileConfig {
            path: Spanned::default(),
            append: Spanned::default(),
            rotation: None,
            format: Spanned::built_in("json".to_owned()),
            encoding: Spanned::default(),
            compression: Spanned::default(),
            flush_interval: Spanned::built_in(GoDuration::from_secs(1)),
            group_by: Spanned::default(),
            create_directory: Spanned::default(),
            directory_permissions: Spanned::built_in("0755".to_owned()),
        }
    }
}

impl Default for RotationConfig {
    fn default() -> RotationConfig {
        RotationConfig {
            max_megabytes: Spanned::built_in(100),
            max_days: Spanned::built_in(0),
            max_backups: Spanned::built_in(100),
            localtime: Spanned::default(),
        }
    }
}

impl FileConfig {
    /// Checks everything.
    pub fn check(&self, found: &mut Vec<Diagnostic>) -> FileSettings {
        self.check_path(found);
        self.check_refused(found);
        if self.flush_interval.is_negative() || self.flush_interval.is_zero() {
            found.push(self.flush_interval.error("flush_interval must be larger than zero"));
        } else if !self.flush_interval.span.is_built_in() {
            let text = "flush_interval has no effect: a batch is in the file before it is acknowledged";
            found.push(self.flush_interval.warning(text).help("remove the key"));
        }
        FileSettings {
            path: PathBuf::from(self.path.as_str()),
            append: *self.append,
            rotation: self.rotation.as_ref().map(|rotation| rotation.check(found)),
            format: self.format(found),
            create_mode: self.create_mode(found),
        }
    }

    fn check_path(&self, found: &mut Vec<Diagnostic>) {
        if self.path.is_empty() {
            found.push(self.path.error("path must be non-empty").help("name the file to write"));
        }
        if *self.append && self.rotation.is_some() {
            let problem = "append and rotation enabled at the same time is not supported";
            found.push(self.append.error(problem).help("rotation keeps what is there anyway; remove append"));
        }
        if *self.append && !self.compression.is_empty() {
            found.push(self.append.error("append and compression enabled at the same time is not supported"));
        }
    }

    fn check_refused(&self, found: &mut Vec<Diagnostic>) {
        if self.encoding.is_some() {
            let problem = self.encoding.error("encoding extensions are not available");
            found.push(problem.help("remove the key and choose format: json or proto"));
        }
        if self.group_by.as_ref().is_some_and(|group_by| group_by.enabled) {
            let problem = self.group_by.error("a file per resource attribute is not available");
            found.push(problem.help("remove group_by, or use one file exporter per pipeline"));
        }
    }

    fn format(&self, found: &mut Vec<Diagnostic>) -> Format {
        if !matches!(self.format.as_str(), "json" | "proto") {
            let problem = format!("format type {:?} is not supported", self.format.value);
            found.push(self.format.error(problem).help("write json or proto"));
        }
        if !matches!(self.compression.as_str(), "" | "zstd") {
            let problem = format!("compression {:?} is not supported", self.compression.value);
            found.push(self.compression.error(problem).help("write zstd or remove the key"));
        }
        Format { proto: self.format.as_str() == "proto", zstd: self.compression.as_str() == "zstd" }
    }

    fn create_mode(&self, found: &mut Vec<Diagnostic>) -> Option<u32> {
        let mode = u32::from_str_radix(&self.directory_permissions, 8).ok().filter(|mode| *mode <= 0o777);
        if mode.is_none() {
            let problem = format!("directory_permissions {:?} is no mode", self.directory_permissions.value);
            found.push(self.directory_permissions.error(problem).help("write three octal digits, \"0750\""));
        }
        mode.filter(|_| *self.create_directory)
    }
}

impl RotationConfig {
    fn check(&self, found: &mut Vec<Diagnostic>) -> Rotation {
        for (name, value) in
            [("max_megabytes", &self.max_megabytes), ("max_days", &self.max_days), ("max_backups", &self.max_backups)]
        {
            if **value < 0 {
                found.push(value.error(format!("{name} must not be negative")));
            }
        }
        if *self.localtime {
            let problem = self.localtime.error("local time in file names is not available, names are in UTC");
            found.push(problem.help("remove the key"));
        }
        let positive = |value: i64| u64::try_from(value).ok().filter(|v| *v > 0);
        Rotation {
            max_bytes: positive(*self.max_megabytes).unwrap_or(100).saturating_mul(1 << 20),
            max_age: positive(*self.max_days).map(|days| Duration::from_secs(days.saturating_mul(86_400))),
            max_backups: positive(*self.max_backups).map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        }
    }
}
