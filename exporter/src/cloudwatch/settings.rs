//! What the Logs client needs to know, already checked. Holds no behaviour but the translation of `max_retries`.

use std::collections::BTreeMap;
use std::time::Duration;

/// How to reach CloudWatch Logs and what to create there.
#[derive(Clone, Debug)]
pub struct CloudWatchSettings {
    /// AWS region; empty: `AWS_REGION`, `AWS_DEFAULT_REGION`, shared configuration, instance metadata.
    pub region: String,
    /// Base URL of the Logs API; `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS` beats it, it beats `AWS_ENDPOINT_URL`.
    pub endpoint: String,
    /// Role to assume with the ambient credentials; empty: none.
    pub role_arn: String,
    /// External id for `role_arn`.
    pub external_id: String,
    /// Idle connections kept.
    pub num_workers: usize,
    /// Time for one HTTP request; zero: no limit.
    pub request_timeout: Duration,
    /// Attempts of one API call; 0: the SDK's three; negative: as many as the sender's timeout allows.
    pub max_retries: i64,
    /// Accept any TLS certificate of the service.
    pub no_verify_ssl: bool,
    /// HTTP proxy; empty: the environment's.
    pub proxy_address: String,
    /// Days that a created group keeps its events; 0: for ever.
    pub log_retention_days: i32,
    /// Tags of created groups.
    pub tags: BTreeMap<String, String>,
    /// Compress request bodies with gzip. The service takes it, but does not document it for this operation.
    pub gzip: bool,
    /// What follows the SDK's own user agent: `otelcol-ecs/1.0 (awsemf)`.
    pub user_agent: String,
}

impl Default for CloudWatchSettings {
    /// The reference's defaults.
    fn default() -> CloudWatchSettings {
        CloudWatchSettings {
            region: String::new(),
            endpoint: String::new(),
            role_arn: String::new(),
            external_id: String::new(),
            num_workers: 8,
            request_timeout: Duration::from_secs(30),
            max_retries: 2,
            no_verify_ssl: false,
            proxy_address: String::new(),
            log_retention_days: 0,
            tags: BTreeMap::new(),
            gzip: false,
            user_agent: String::new(),
        }
    }
}

impl CloudWatchSettings {
    /// The SDK's number of attempts for one API call.
    pub(crate) fn max_attempts(&self) -> u32 {
        match self.max_retries {
            0 => 3,
            n if n < 0 => u32::MAX,
            n => u32::try_from(n).unwrap_or(u32::MAX),
        }
    }
}
