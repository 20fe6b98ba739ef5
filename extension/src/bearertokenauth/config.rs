//! Settings of `bearertokenauth`.

use config::{Built, Node, Secret, Spanned, decode};
use http::HeaderName;
use serde::Deserialize;

/// The section as written.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) header: Spanned<String>,
    pub(super) scheme: String,
    pub(super) token: Spanned<Secret>,
    pub(super) tokens: Spanned<Vec<Secret>>,
    pub(super) filename: Spanned<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            header: Spanned::built_in("Authorization".to_owned()),
            scheme: "Bearer".to_owned(),
            token: Spanned::default(),
            tokens: Spanned::default(),
            filename: Spanned::default(),
        }
    }
}

impl Config {
    /// The tokens of the section itself.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        let one = Some(&self.token.value).filter(|token| !token.is_empty());
        one.into_iter().chain(self.tokens.iter()).map(Secret::expose)
    }

    /// The header's value for a token.
    pub(super) fn value_of(&self, token: &str) -> Secret {
        if self.scheme.is_empty() { Secret::new(token) } else { Secret::new(format!("{} {token}", self.scheme)) }
    }
}

pub(super) fn read(node: &Node) -> Built<Config> {
    let (config, mut found) = decode::<Config>(node);
    if let Some(config) = &config {
        if config.tokens().next().is_none() && config.filename.is_empty() {
            let problem = config.token.error("no bearer token provided");
            found.push(problem.help("set token, tokens or filename").or_on(node));
        }
        if !config.token.is_empty() && !config.tokens.is_empty() {
            found.push(config.tokens.error("token and tokens exclude each other").help("put all of them in tokens"));
        }
        if config.tokens.iter().any(Secret::is_empty) {
            found.push(config.tokens.error("a token is empty").help("is a variable unset?"));
        }
        if config.tokens().next().is_some() && !config.filename.is_empty() {
            found.push(config.filename.warning("the tokens of the file are used, the others have no effect"));
        }
        if HeaderName::try_from(config.header.as_str()).is_err() {
            found.push(config.header.error(format!("{:?} is not a header name", config.header.value)));
        }
    }
    (config, found)
}
