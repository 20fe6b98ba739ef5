//! ADOT's extra configuration, `extracfg.txt`: `key=value` lines that set the log level and environment variables. Reads
//! the file and puts the variables into the environment of this process; what they mean is everybody else's business.
//!
//! A process cannot change its own environment safely once it has threads, and every library reads it (profiles of the
//! AWS SDK, proxies). So the process replaces itself by itself, with the variables set: same process id, before
//! anything else is started.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use config::{Diagnostic, Env, ProcessEnv};

/// Where ADOT's packages have the file.
pub(crate) const DEFAULT_PATH: &str = "/opt/aws/aws-otel-collector/etc/extracfg.txt";
/// Names another file.
pub(crate) const PATH_VARIABLE: &str = "OTELCOL_ECS_EXTRA_CONFIG";
/// Largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    /// Where it was read; `None` when there is no file.
    pub(crate) path: Option<String>,
    /// `loggingLevel`.
    pub(crate) log_level: Option<String>,
    /// Environment variables, each once, in the order of the file.
    pub(crate) variables: Vec<(String, String)>,
    /// Lines that say nothing.
    pub(crate) problems: Vec<Diagnostic>,
}

impl Extra {
    /// Reads the file that the environment names, else the one at its usual place, where it may be missing.
    ///
    /// # Errors
    /// A named file that cannot be read.
    pub(crate) fn read(env: &dyn Env) -> Result<Extra, String> {
        let named = env.var(PATH_VARIABLE).filter(|path| !path.is_empty());
        let path = named.as_deref().unwrap_or(DEFAULT_PATH);
        match read_text(path) {
            Ok(text) => Ok(Extra { path: Some(path.to_owned()), ..Extra::parse(path, &text) }),
            Err(error) if named.is_some() => {
                Err(format!("cannot read the file {path:?} that {PATH_VARIABLE} names: {error}"))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Extra::default()),
            Err(error) => {
                let problem = Diagnostic::warning(format!("cannot read the extra configuration {path:?}: {error}"));
                Ok(Extra { problems: vec![problem.help("it is left out")], ..Extra::default() })
            }
        }
    }

    fn parse(path: &str, text: &str) -> Extra {
        let mut extra = Extra::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
                extra.odd_line(path, index, "there is no =");
                continue;
            };
            let name = match key {
                "loggingLevel" => {
                    extra.log_level = Some(value.to_owned()).filter(|level| !level.is_empty());
                    continue;
                }
                "awsProfile" => "AWS_PROFILE",
                "awsCredentialFile" => "AWS_SHARED_CREDENTIALS_FILE",
                "" => {
                    extra.odd_line(path, index, "there is no key before the =");
                    continue;
                }
                other => other,
            };
            if key.contains('\0') || value.contains('\0') {
                extra.odd_line(path, index, "it contains a NUL byte");
                continue;
            }
            extra.variables.retain(|(other, _)| other != name);
            extra.variables.push((name.to_owned(), value.to_owned()));
        }
        extra
    }

    /// The line itself is not shown, it may hold a secret.
    fn odd_line(&mut self, path: &str, index: usize, why: &str) {
        let text = format!("{path}:{}: {why}; the line is left out", index + 1);
        self.problems.push(Diagnostic::warning(text).help("write key=value, or start the line with #"));
    }

    /// Puts the variables into the environment of this process. Returns when they are there; else the process starts
    /// again with them, and this function does not return.
    ///
    /// # Errors
    /// The process could not be started again.
    pub(crate) fn enter(&self) -> Result<(), String> {
        if self.variables.iter().all(|(name, value)| ProcessEnv.var(name).as_ref() == Some(value)) {
            return Ok(());
        }
        let mut arguments = std::env::args_os();
        let own_name = arguments.next().unwrap_or_else(|| OsString::from(crate::build_info::NAME));
        let program = std::env::current_exe().map_err(|e| format!("cannot find this program's file: {e}"))?;
        let error = Command::new(program).arg0(own_name).args(arguments).envs(self.variables.iter().cloned()).exec();
        Err(format!(
            "cannot apply the variables of {}: starting again failed: {error}",
            self.path.as_deref().unwrap_or_default()
        ))
    }

    /// The argument that the log level stands for.
    pub(crate) fn config(&self) -> Option<String> {
        Some(format!("yaml:service::telemetry::logs::level: {}", self.log_level.as_ref()?))
    }
}

fn read_text(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(std::io::Error::other(format!("it is larger than {MAX_BYTES} bytes"))),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_a_log_level_and_variables() {
        let extra = Extra::parse(
            "x.txt",
            "# a comment\n\nloggingLevel = DEBUG\r\nawsProfile=team\n awsCredentialFile=/creds \nA=1=2\nA=3\nEMPTY=\n",
        );
        assert_eq!(extra.config().unwrap(), "yaml:service::telemetry::logs::level: DEBUG");
        let variables: Vec<_> = extra.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            variables,
            [("AWS_PROFILE", "team"), ("AWS_SHARED_CREDENTIALS_FILE", "/creds"), ("A", "3"), ("EMPTY", "")]
        );
        assert!(extra.problems.is_empty(), "{:?}", extra.problems);
        assert_eq!(Extra::parse("x.txt", "loggingLevel=\n").config(), None);
    }

    #[test]
    fn a_line_that_says_nothing_is_a_warning_without_its_text() {
        let extra = Extra::parse("x.txt", "hunter2\n=hunter2\nA=b\nC=hunter\u{0}2\n");
        assert_eq!(extra.variables, [("A".to_owned(), "b".to_owned())]);
        let problems: Vec<String> = extra.problems.iter().map(ToString::to_string).collect();
        assert!(problems[0].starts_with("x.txt:1: there is no =; the line is left out"), "{problems:?}");
        assert!(problems[1].starts_with("x.txt:2: there is no key"), "{problems:?}");
        assert!(problems[2].starts_with("x.txt:4: it contains a NUL byte"), "{problems:?}");
        assert!(!problems.concat().contains("hunter"), "{problems:?}");
    }

    #[test]
    fn only_a_named_file_must_be_there() {
        assert_eq!(Extra::read(&[].as_slice()), Ok(Extra::default()));
        let error = Extra::read(&[(PATH_VARIABLE, "/does/not/exist")].as_slice()).unwrap_err();
        assert!(error.contains("\"/does/not/exist\" that OTELCOL_ECS_EXTRA_CONFIG names"), "{error}");
        let large = std::env::temp_dir().join(format!("extracfg-{}", std::process::id()));
        std::fs::write(&large, "#".repeat(MAX_BYTES as usize + 1)).unwrap();
        let read = Extra::read(&[(PATH_VARIABLE, large.to_str().unwrap())].as_slice());
        std::fs::remove_file(&large).unwrap();
        assert!(read.unwrap_err().contains("larger than 65536 bytes"));
    }
}
