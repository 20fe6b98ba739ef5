//! The Logs API: finds region, endpoint and credentials, sends requests and creates what is missing. One call is one
//! attempt: waiting for better times is the sender's business.

use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::RejectedLogEventsInfo;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ReconnectMode;
use proto::BuildContext;

use super::connector::{Connector, connector};
use super::errors::{ApiError, Kind};
use super::request::PutRequest;
use super::settings::CloudWatchSettings;
use super::streams::Streams;
use crate::Outcome;

/// How often a missing stream is created within one attempt.
const CREATE_ROUNDS: usize = 3;

/// The client of one exporter.
pub(super) struct CloudWatch {
    pub(super) settings: CloudWatchSettings,
    pub(super) context: BuildContext,
    api: OnceLock<Api>,
    pub(super) streams: Streams,
}

/// Two ways to the service over one pool of connections.
pub(super) struct Api {
    pub(super) sdk: Client,
    pub(super) connector: Connector,
}

impl CloudWatch {
    pub(super) fn new(settings: CloudWatchSettings, context: &BuildContext) -> CloudWatch {
        CloudWatch { settings, context: context.clone(), api: OnceLock::new(), streams: Streams::default() }
    }

    /// Finds region and credentials provider; asks for no credentials yet.
    pub(super) async fn start(&self) -> Result<(), String> {
        let connector = connector(&self.settings)?;
        let base = self.sdk_config().await?;
        let mut builder = aws_sdk_cloudwatchlogs::config::Builder::from(&base)
            .http_client(connector.client())
            .retry_config(retries(self.settings.max_attempts()))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = self.endpoint() {
            builder = builder.endpoint_url(endpoint);
        }
        let keys = match self.settings.role_arn.is_empty() {
            true => base.credentials_provider(),
            false => Some(self.role(&base).await),
        };
        if let Some(keys) = keys {
            builder = builder.credentials_provider(connector.templates.watch(keys));
        }
        // A second start keeps the first client.
        self.api.get_or_init(|| Api { sdk: Client::from_conf(builder.build()), connector });
        Ok(())
    }

    /// One attempt. A missing stream is created and the events are put again.
    pub(super) async fn send(self: &Arc<Self>, request: &PutRequest) -> Outcome {
        for _ in 0..CREATE_ROUNDS {
            let error = match self.put(request).await {
                Ok(rejected) => {
                    self.streams.works(self, &request.group);
                    return Outcome::Delivered { rejected: rejected_points(request, rejected.as_ref()) };
                }
                Err(error) => error,
            };
            if error.kind != Kind::NotFound {
                return self.streams.report(error, &request.group).outcome();
            }
            if let Err(error) = self.streams.create(self, &request.group, &request.stream).await {
                return self.streams.report(error, &request.group).outcome();
            }
        }
        Outcome::Retry {
            after: None,
            code: None,
            error: format!(
                "log stream {:?} of group {:?} does not appear after its creation",
                request.stream, request.group
            ),
        }
    }

    /// Awaits a call, notes how long it took and how it ended.
    pub(super) async fn measured<T, E>(
        &self,
        operation: &'static str,
        group: &str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, ApiError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let started = Instant::now();
        let result = call.await.map_err(|e| ApiError::new(&e, operation, group));
        let outcome = result.as_ref().err().map_or("success", ApiError::label);
        let labels = [("service", "logs"), ("operation", operation), ("outcome", outcome)];
        self.context
            .telemetry
            .histogram("otelcol_ecs_api_duration_seconds", "Time of AWS API calls.", &labels, API_SECONDS)
            .record(started.elapsed().as_secs_f64());
        result
    }

    /// The SDK's client.
    pub(super) fn client(&self) -> Result<&Client, ApiError> {
        self.api().map(|api| &api.sdk)
    }

    /// What [`CloudWatch::start`] made.
    pub(super) fn api(&self) -> Result<&Api, ApiError> {
        self.api.get().ok_or_else(|| ApiError {
            kind: Kind::Transient,
            code: String::new(),
            text: "the exporter has not been started".to_owned(),
            after: None,
        })
    }

    async fn sdk_config(&self) -> Result<SdkConfig, String> {
        let env = |name: &str| (self.context.env)(name).filter(|v| !v.is_empty());
        let configured = Some(self.settings.region.clone()).filter(|r| !r.is_empty());
        let region = configured.or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION")).map(Region::new);
        let region = RegionProviderChain::first_try(region).or_default_provider().region().await.ok_or(
            "cannot find the AWS region: set region of the exporter or AWS_REGION (tried environment variables, shared \
             configuration and instance metadata)",
        )?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
        if let (Some(id), Some(secret)) = (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
            let keys = Credentials::new(id, secret, env("AWS_SESSION_TOKEN"), None, "environment");
            loader = loader.credentials_provider(keys);
        }
        Ok(loader.load().await)
    }

    /// The service's variable beats the key; without both the SDK decides (`AWS_ENDPOINT_URL` or the region's).
    fn endpoint(&self) -> Option<String> {
        let variable = (self.context.env)("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS").filter(|v| !v.is_empty());
        variable.or_else(|| Some(self.settings.endpoint.clone()).filter(|e| !e.is_empty()))
    }

    /// Credentials of the role, renewed before they end. The session is named as the reference names it.
    async fn role(&self, base: &SdkConfig) -> SharedCredentialsProvider {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut role = aws_config::sts::AssumeRoleProvider::builder(&self.settings.role_arn)
            .session_name(format!("aws-go-sdk-{nanos}"))
            .session_length(std::time::Duration::from_secs(15 * 60))
            .configure(base);
        if let Some(region) = base.region() {
            role = role.region(region.clone());
        }
        if !self.settings.external_id.is_empty() {
            role = role.external_id(&self.settings.external_id);
        }
        SharedCredentialsProvider::new(role.build().await)
    }
}

const API_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// So many attempts of the SDK.
pub(super) fn retries(attempts: u32) -> RetryConfig {
    // Which connection served a call, our connector does not say, so the SDK cannot close it after an error.
    RetryConfig::standard().with_max_attempts(attempts).with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

/// The header that every call of the reference carries.
pub(super) fn mark(http: &mut HttpRequest) {
    http.headers_mut().insert("x-amzn-logs-format", "json/emf");
}

/// Points of the events that the service left out, by reason. The indices are positions in the request: everything
/// before `too_old` and `expired`, everything from `too_new` on.
fn rejected_points(
    request: &PutRequest,
    info: Option<&RejectedLogEventsInfo>,
) -> Vec<(std::borrow::Cow<'static, str>, u64)> {
    let Some(info) = info else { return Vec::new() };
    let all = request.events.len();
    let index = |i: Option<i32>, absent: usize| i.map_or(absent, |i| usize::try_from(i).unwrap_or(0).min(all));
    let old = index(info.too_old_log_event_end_index(), 0);
    let expired = index(info.expired_log_event_end_index(), 0).max(old);
    let new = index(info.too_new_log_event_start_index(), all).max(expired);
    let points = |range: std::ops::Range<usize>| request.events[range].iter().map(|e| u64::from(e.points)).sum();
    let rejected = [("too_old", points(0..old)), ("expired", points(old..expired)), ("too_new", points(new..all))];
    for (reason, points) in rejected.iter().filter(|r| r.1 > 0) {
        tracing::warn!(
            group = &*request.group,
            stream = &*request.stream,
            points,
            reason,
            "CloudWatch Logs left out events of a request"
        );
    }
    rejected.into_iter().filter(|r| r.1 > 0).map(|(reason, points)| (reason.into(), points)).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cloudwatch::{Event, Load};

    #[test]
    fn rejected_events_are_counted_in_points_and_once() {
        let request = PutRequest {
            group: "g".into(),
            stream: "s".into(),
            body: Bytes::new(),
            events: [1, 2, 4, 8, 16].map(|points| Event { timestamp_ms: 0, start: 0, end: 0, points }).to_vec(),
            load: Load::default(),
            points: 31,
            lane: 0,
        };
        let check = |old: Option<i32>, expired: Option<i32>, new: Option<i32>| {
            let info = RejectedLogEventsInfo::builder()
                .set_too_old_log_event_end_index(old)
                .set_expired_log_event_end_index(expired)
                .set_too_new_log_event_start_index(new)
                .build();
            let found = rejected_points(&request, Some(&info));
            found.iter().map(|(reason, n)| format!("{reason}={n}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(check(Some(2), None, Some(4)), "too_old=3 too_new=16");
        assert_eq!(check(Some(1), Some(3), None), "too_old=1 expired=6");
        assert_eq!(check(None, Some(99), Some(-1)), "expired=31");
        assert_eq!(check(None, None, None), "");
        assert!(rejected_points(&request, None).is_empty());
    }
}
