//! `PutLogEvents`: after the model of an earlier call if there is one, by the SDK otherwise. Both ways read answers
//! with the SDK's code, and together they take no more attempts than `max_retries` allows.

use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::config::Builder;
use aws_sdk_cloudwatchlogs::operation::put_log_events::{PutLogEvents, PutLogEventsError, PutLogEventsOutput};
use aws_sdk_cloudwatchlogs::types::RejectedLogEventsInfo;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use bytes::Bytes;

use super::client::{Api, CloudWatch, mark, retries};
use super::connector::OriginalBody;
use super::errors::{ApiError, Kind};
use super::request::PutRequest;
use super::template::Template;

const OPERATION: &str = "PutLogEvents";
/// The SDK waits as long at most before its second attempt, unless the service asks for more.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The SDK waits no longer than this, whatever the service asks for.
const MAX_BACKOFF: Duration = Duration::from_secs(20);

type Answer = Result<PutLogEventsOutput, SdkError<PutLogEventsError, HttpResponse>>;

impl CloudWatch {
    /// Puts the events of a request whose body is already escaped.
    pub(super) async fn put(&self, request: &PutRequest) -> Result<Option<RejectedLogEventsInfo>, ApiError> {
        let body = match self.settings.gzip {
            true => compressed(&request.body),
            false => request.body.clone(),
        };
        let call = self.put_body(self.api()?, request, body);
        let answer = self.measured(OPERATION, &request.group, call).await?;
        Ok(answer.rejected_log_events_info().cloned())
    }

    async fn put_body(&self, api: &Api, request: &PutRequest, body: Bytes) -> Answer {
        let Some(template) = api.connector.templates.get() else {
            return self.put_by_sdk(api, request, body, None).await;
        };
        let error = match put_after(&template, api, body.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let ApiError { kind, text, after, .. } = ApiError::new(&error, OPERATION, &request.group);
        if matches!(kind, Kind::NotFound | Kind::Invalid | Kind::Duplicate) {
            return Err(error);
        }
        tracing::debug!(error = %text, "a call after the model of the SDK's failed; the next ones are left to the SDK");
        api.connector.templates.pause();
        let left = self.settings.max_attempts() - 1;
        if left == 0 || kind == Kind::Denied {
            return Err(error);
        }
        tokio::time::sleep(backoff(after, fastrand::f64())).await;
        self.put_by_sdk(api, request, body, Some(left)).await
    }

    /// Lets the SDK make the call, in its usual number of attempts or in this one.
    async fn put_by_sdk(&self, api: &Api, request: &PutRequest, body: Bytes, attempts: Option<u32>) -> Answer {
        let gzip = self.settings.gzip;
        let mut call = api
            .sdk
            .put_log_events()
            .log_group_name(&*request.group)
            .log_stream_name(&*request.stream)
            .set_log_events(Some(Vec::new()))
            .customize()
            .mutate_request(move |http| {
                if let Some(length) = replace_body(http, &body, gzip) {
                    http.headers_mut().insert("content-length", length);
                }
                mark(http);
            });
        if let Some(attempts) = attempts {
            call = call.config_override(Builder::new().retry_config(retries(attempts)));
        }
        call.send().await
    }
}

/// The wait before the SDK's attempts, as it would wait; `random` is within 0 and 1.
fn backoff(asked: Option<Duration>, random: f64) -> Duration {
    asked.map_or_else(|| FIRST_BACKOFF.mul_f64(random), |asked| asked.min(MAX_BACKOFF))
}

async fn put_after(template: &Template, api: &Api, body: Bytes) -> Answer {
    let request = template.request(body).map_err(SdkError::construction_failure)?;
    let answer = api.connector.send(request).await.map_err(SdkError::dispatch_failure)?;
    read(answer)
}

/// The SDK's settings of this operation, its reader of answers among them.
static SETTINGS: LazyLock<Option<FrozenLayer>> = LazyLock::new(|| PutLogEvents::new().config());

/// Reads an answer as the SDK does.
fn read(answer: HttpResponse) -> Answer {
    let Some(reader) = SETTINGS.as_ref().and_then(|settings| settings.load::<SharedResponseDeserializer>()) else {
        let error = ConnectorError::other("the SDK has no reader for answers".into(), None);
        return Err(SdkError::dispatch_failure(error));
    };
    let error = match reader.deserialize_nonstreaming_with_config(&answer, &ConfigBag::base()) {
        Ok(output) => match output.downcast::<PutLogEventsOutput>() {
            Ok(output) => return Ok(output),
            Err(_) => return Err(SdkError::response_error("an answer of another operation", answer)),
        },
        Err(error) => error,
    };
    if !error.is_operation_error() {
        return Err(SdkError::response_error(error, answer));
    }
    let mut refusal = None;
    let _ = error.map_operation_error(|error| refusal = error.downcast::<PutLogEventsError>().ok());
    Err(match refusal {
        Some(refusal) => SdkError::service_error(refusal, answer),
        None => SdkError::response_error("an error of another operation", answer),
    })
}

/// Puts the escaped body in the place of the SDK's; runs before signing. Gives the new content length.
fn replace_body(http: &mut HttpRequest, body: &Bytes, gzip: bool) -> Option<String> {
    *http.body_mut() = SdkBody::from(body.clone());
    http.add_extension(OriginalBody(body.clone()));
    if gzip {
        http.headers_mut().insert("content-encoding", "gzip");
    }
    http.body().bytes().map(|b| b.len().to_string())
}

fn compressed(body: &Bytes) -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 8), flate2::Compression::new(1));
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    Bytes::from(written.expect("writing to memory does not fail"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_random_below_a_second_unless_the_service_asks_for_another() {
        let ms = Duration::from_millis;
        for (asked, random, expected) in [
            (None, 0.0, ms(0)),
            (None, 0.5, ms(500)),
            (Some(ms(1500)), 0.5, ms(1500)),
            (Some(ms(0)), 0.5, ms(0)),
            (Some(ms(60_000)), 0.5, ms(20_000)),
        ] {
            assert_eq!(backoff(asked, random), expected, "{asked:?} {random}");
        }
    }
}
