//! Settings of `basicauth`.

use config::{Built, Node, Secret, Spanned, decode};
use serde::Deserialize;

/// The section as written: exactly one of the two.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) htpasswd: Option<Htpasswd>,
    pub(super) client_auth: Option<Client>,
}

/// Who may send to a receiver.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Htpasswd {
    pub(super) file: Spanned<String>,
    pub(super) inline: Spanned<Secret>,
}

/// What an exporter sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Client {
    username: Spanned<String>,
    password: Spanned<Secret>,
    username_file: Spanned<String>,
    password_file: Spanned<String>,
}

impl Client {
    /// User and password; files are read each time, so a new password needs no restart.
    pub(super) fn credentials(&self) -> Result<(String, Secret), String> {
        let read = |path: &str| {
            let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
            Ok::<_, String>(text.trim_end_matches(['\r', '\n']).to_owned())
        };
        let user = match self.username_file.as_str() {
            "" => self.username.value.clone(),
            path => read(path)?,
        };
        let password = match self.password_file.as_str() {
            "" => self.password.value.clone(),
            path => Secret::new(read(path)?),
        };
        Ok((user, password))
    }
}

pub(super) fn read(node: &Node) -> Built<Config> {
    let (config, mut found) = decode::<Config>(node);
    let Some(config) = config else { return (None, found) };
    let mut problems = Vec::new();
    match (&config.htpasswd, &config.client_auth) {
        (None, None) => {
            let problem = config::Diagnostic::error("no credential source provided");
            problems.push(problem.help("set htpasswd (to check requests) or client_auth (to send credentials)"));
        }
        (Some(_), Some(_)) => {
            problems.push(config::Diagnostic::error("only one of htpasswd and client_auth can be specified"));
        }
        (Some(htpasswd), None) if htpasswd.file.is_empty() && htpasswd.inline.is_empty() => {
            problems.push(htpasswd.file.error("no credential source provided").help("set file or inline"));
        }
        (Some(_), None) => {}
        (None, Some(client)) => {
            if client.username.is_empty() && client.username_file.is_empty() {
                problems.push(client.username.error("client_auth has no user name"));
            }
            if !client.username.is_empty() && !client.username_file.is_empty() {
                problems.push(client.username_file.error("username and username_file exclude each other"));
            }
            if !client.password.is_empty() && !client.password_file.is_empty() {
                problems.push(client.password_file.error("password and password_file exclude each other"));
            }
        }
    }
    found.extend(problems.into_iter().map(|problem| problem.or_on(node)));
    (Some(config), found)
}
