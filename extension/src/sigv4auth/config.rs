//! The settings of `sigv4auth`.

use config::{Built, Diagnostic, Node, Spanned, decode};
use serde::Deserialize;

/// The section as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    /// Region to sign for; empty: from the request's host.
    pub(super) region: String,
    /// Service to sign for; empty: from the request's host.
    pub(super) service: String,
    /// Role to sign as.
    pub(super) assume_role: AssumeRole,
}

/// `assume_role`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AssumeRole {
    /// Role; empty: the ambient credentials.
    pub(super) arn: String,
    /// Name of the session; empty: one that tells when it was made.
    pub(super) session_name: String,
    /// Region of STS; empty: `region`.
    pub(super) sts_region: String,
    /// File with a web identity token.
    pub(super) web_identity_token_file: Spanned<String>,
    /// External id.
    pub(super) external_id: String,
}

/// Decodes and checks.
pub(super) fn read(node: &Node) -> Built<Config> {
    let (config, mut found) = decode::<Config>(node);
    if let Some(role) = config.as_ref().map(|c| &c.assume_role)
        && !role.web_identity_token_file.is_empty()
        && role.arn.is_empty()
    {
        let problem: Diagnostic =
            role.web_identity_token_file.error("must specify ARN when using WebIdentityTokenFile");
        found.push(problem.help("add assume_role::arn"));
    }
    (config, found)
}
