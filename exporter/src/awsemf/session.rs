//! The AWS session keys of `awsemf`: how requests reach the service and with which identity. Only what is written;
//! the client that follows it is `cloudwatch`'s.

use config::{Diagnostic, Spanned};
use serde::Deserialize;

use crate::sender::SenderConfig;

/// Keys at the level of the exporter, as in the reference.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct AwsSessionConfig {
    /// Idle connections kept to the service.
    pub num_workers: Spanned<i64>,
    /// Base URL of the Logs API; empty: the region's.
    pub endpoint: Spanned<String>,
    /// Time for one HTTP request, in seconds.
    pub request_timeout_seconds: Spanned<i64>,
    /// Attempts of the SDK for one API call; 0: its own default of three.
    pub max_retries: Spanned<i64>,
    /// Accept any TLS certificate of the service.
    pub no_verify_ssl: bool,
    /// HTTP proxy; empty: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment.
    pub proxy_address: Spanned<String>,
    /// AWS region; empty: environment, shared configuration, instance metadata.
    pub region: Spanned<String>,
    /// Without effect, as in the reference.
    pub local_mode: Spanned<bool>,
    /// Without effect, as in the reference.
    pub resource_arn: Spanned<String>,
    /// Role to assume with the ambient credentials; empty: none.
    pub role_arn: Spanned<String>,
    /// External id for `role_arn`.
    pub external_id: Spanned<String>,
    /// `sending_queue`, `retry_on_failure` and `timeout`. Here because a section can take in one other.
    #[serde(rename = "<inline sender>")]
    pub sender: SenderConfig,
    /// Compression of request bodies, `none` or `gzip`.
    pub compression: Spanned<String>,
}

impl Default for AwsSessionConfig {
    fn default() -> Self {
        AwsSessionConfig {
            num_workers: Spanned::built_in(8),
            endpoint: Spanned::default(),
            request_timeout_seconds: Spanned::built_in(30),
            max_retries: Spanned::built_in(2),
            no_verify_ssl: false,
            proxy_address: Spanned::default(),
            region: Spanned::default(),
            local_mode: Spanned::default(),
            resource_arn: Spanned::default(),
            role_arn: Spanned::default(),
            external_id: Spanned::default(),
            sender: SenderConfig::default(),
            compression: Spanned::built_in("none".to_owned()),
        }
    }
}

impl AwsSessionConfig {
    /// Every problem of the keys.
    pub(crate) fn check(&self, found: &mut Vec<Diagnostic>) {
        if *self.num_workers < 0 {
            found.push(self.num_workers.error("num_workers must not be negative"));
        }
        if *self.request_timeout_seconds < 0 {
            found.push(self.request_timeout_seconds.error("request_timeout_seconds must not be negative"));
        }
        for (key, value) in [("endpoint", &self.endpoint), ("proxy_address", &self.proxy_address)] {
            if !value.is_empty() && !is_http_url(value) {
                found.push(
                    value.error(format!("{key} {:?} is not an HTTP URL", value.value)).help("write http://host:port"),
                );
            }
        }
        if !matches!(self.compression.as_str(), "none" | "gzip" | "") {
            let problem = format!("compression {:?} is not available for CloudWatch Logs", self.compression.value);
            found.push(self.compression.error(problem).help("write none or gzip"));
        }
        if *self.local_mode {
            found.push(self.local_mode.warning("local_mode has no effect, as in the ADOT collector").help("remove it"));
        }
        if !self.resource_arn.is_empty() {
            found.push(
                self.resource_arn.warning("resource_arn has no effect, as in the ADOT collector").help("remove it"),
            );
        }
        if self.role_arn.is_empty() && !self.external_id.is_empty() {
            found.push(self.external_id.warning("external_id has no effect without role_arn"));
        }
    }
}

fn is_http_url(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}
