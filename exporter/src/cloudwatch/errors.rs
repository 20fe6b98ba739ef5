//! What an error of the Logs API means: try again, or never. Says it for people: which call, which group, what to do.

use std::borrow::Cow;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::connector::chain;
use crate::Outcome;

/// An error of one API call.
#[derive(Debug)]
pub(super) struct ApiError {
    /// What it is.
    pub(super) kind: Kind,
    /// Error code, `ThrottlingException`; empty when there was no answer.
    pub(super) code: String,
    /// Text for people.
    pub(super) text: String,
    /// The service asked to wait.
    pub(super) after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The group or stream does not exist.
    NotFound,
    /// The group or stream exists already.
    Exists,
    /// The service has these events already.
    Duplicate,
    /// A permission is missing.
    Denied,
    /// Too many calls.
    Throttled,
    /// Anything else that may pass: server errors, expired credentials, unknown codes.
    Transient,
    /// No answer in time.
    Timeout,
    /// The request will never be accepted.
    Invalid,
}

impl ApiError {
    /// Reads an SDK error of `operation` (`PutLogEvents`) on a log group.
    pub(super) fn new<E>(error: &SdkError<E, HttpResponse>, operation: &str, group: &str) -> ApiError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answer = error.raw_response();
        let status = answer.map_or(0, |a| a.status().as_u16());
        let service = error.as_service_error();
        let code = service.and_then(|e| e.code()).unwrap_or_default().to_owned();
        let message = service.and_then(|e| e.message()).unwrap_or_default();
        let kind = match error {
            SdkError::TimeoutError(_) => Kind::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Kind::Timeout,
            SdkError::ServiceError(_) => classify(&code, status),
            _ => Kind::Transient,
        };
        let text = match kind {
            Kind::Denied => denied(operation, group, message),
            _ if code.is_empty() && status > 0 => {
                format!("{operation} on log group {group:?} answered status {status}: {}", chain(error))
            }
            _ if code.is_empty() => format!("{operation} on log group {group:?} failed: {}", chain(error)),
            _ => format!("{operation} on log group {group:?}: {code}: {message}"),
        };
        ApiError { kind, code, text, after: answer.and_then(retry_after) }
    }

    /// Whether the service may have done what was asked, with only its answer missing.
    pub(super) fn may_have_worked(&self) -> bool {
        matches!(self.kind, Kind::Timeout | Kind::Transient)
    }

    /// The outcome of an attempt that ended with this error.
    pub(super) fn outcome(self) -> Outcome {
        match self.kind {
            Kind::Invalid => Outcome::Permanent { reason: reason(&self.code), code: None, error: self.text },
            // Written before; the answer was lost.
            Kind::Duplicate => Outcome::Delivered { rejected: Vec::new() },
            _ => Outcome::Retry { after: self.after, code: None, error: self.text },
        }
    }

    /// The value of the label `outcome` of the API's own metric.
    pub(super) fn label(&self) -> &'static str {
        match self.kind {
            Kind::NotFound => "not_found",
            Kind::Exists | Kind::Duplicate => "exists",
            Kind::Denied => "denied",
            Kind::Throttled => "throttled",
            Kind::Transient => "error",
            Kind::Timeout => "timeout",
            Kind::Invalid => "invalid",
        }
    }
}

fn classify(code: &str, status: u16) -> Kind {
    match code {
        "ResourceNotFoundException" => Kind::NotFound,
        "ResourceAlreadyExistsException" => Kind::Exists,
        "DataAlreadyAcceptedException" => Kind::Duplicate,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" => Kind::Denied,
        "InvalidParameterException"
        | "InvalidParameterValueException"
        | "ValidationException"
        | "SerializationException"
        | "UnknownOperationException" => Kind::Invalid,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "BandwidthLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "TransactionInProgressException"
        | "EC2ThrottledException" => Kind::Throttled,
        // Everything else may pass: aborted operations, expired or unknown credentials, internal failures.
        _ => match status {
            413 => Kind::Invalid,
            429 => Kind::Throttled,
            _ => Kind::Transient,
        },
    }
}

/// What is missing and what to do; the service's own text names the caller.
fn denied(operation: &str, group: &str, message: &str) -> String {
    let also = match operation {
        "CreateLogGroup" => " (with tags also logs:TagResource), or create the group beforehand",
        _ => "",
    };
    format!(
        "access denied for logs:{operation} on log group {group:?}; allow logs:{operation} for it in the task role{also}: {message}"
    )
}

/// `InvalidParameterException` as `invalid_parameter`.
fn reason(code: &str) -> Cow<'static, str> {
    match code {
        "InvalidParameterException" | "InvalidParameterValueException" => "invalid_parameter".into(),
        "ValidationException" => "validation".into(),
        "SerializationException" => "serialization".into(),
        _ => "refused".into(),
    }
}

fn retry_after(answer: &HttpResponse) -> Option<Duration> {
    let number = |name: &str| answer.headers().get(name).and_then(|v| v.trim().parse::<u64>().ok());
    number("x-amz-retry-after").map(Duration::from_millis).or_else(|| number("retry-after").map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_meaning() {
        for (code, status, kind) in [
            ("InvalidParameterException", 400, Kind::Invalid),
            ("InvalidParameterValueException", 400, Kind::Invalid),
            ("ValidationException", 400, Kind::Invalid),
            ("SerializationException", 400, Kind::Invalid),
            ("UnknownOperationException", 400, Kind::Invalid),
            ("ThrottlingException", 400, Kind::Throttled),
            ("LimitExceededException", 400, Kind::Throttled),
            ("RequestLimitExceeded", 503, Kind::Throttled),
            ("PriorRequestNotComplete", 400, Kind::Throttled),
            ("", 429, Kind::Throttled),
            ("", 413, Kind::Invalid),
            ("", 400, Kind::Transient),
            ("", 502, Kind::Transient),
            ("DataAlreadyAcceptedException", 400, Kind::Duplicate),
            ("ResourceAlreadyExistsException", 400, Kind::Exists),
            ("InvalidSequenceTokenException", 400, Kind::Transient),
            ("ServiceUnavailableException", 503, Kind::Transient),
            ("InternalFailure", 500, Kind::Transient),
            ("ExpiredTokenException", 400, Kind::Transient),
            ("UnrecognizedClientException", 400, Kind::Transient),
            ("OperationAbortedException", 400, Kind::Transient),
            ("AccessDeniedException", 400, Kind::Denied),
            ("SomethingNewException", 400, Kind::Transient),
            ("ResourceNotFoundException", 400, Kind::NotFound),
        ] {
            assert_eq!(classify(code, status), kind, "{code} {status}");
        }
    }

    #[test]
    fn only_what_will_never_be_accepted_is_given_up_and_what_is_there_already_is_delivered() {
        let wish = Some(Duration::from_secs(2));
        let outcome =
            |kind, code: &str| ApiError { kind, code: code.to_owned(), text: "why".to_owned(), after: wish }.outcome();
        for kind in [Kind::NotFound, Kind::Exists, Kind::Denied, Kind::Throttled, Kind::Transient, Kind::Timeout] {
            let Outcome::Retry { after, error, .. } = outcome(kind, "") else { panic!("{kind:?} is not retried") };
            assert_eq!((after, error.as_str()), (wish, "why"), "{kind:?}");
        }
        assert!(matches!(outcome(Kind::Duplicate, ""), Outcome::Delivered { rejected } if rejected.is_empty()));
        for (code, expected) in [
            ("InvalidParameterException", "invalid_parameter"),
            ("ValidationException", "validation"),
            ("SerializationException", "serialization"),
            ("UnknownOperationException", "refused"),
        ] {
            let Outcome::Permanent { reason, .. } = outcome(Kind::Invalid, code) else { panic!("{code} is retried") };
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn the_services_wish_is_read_in_either_unit() {
        let wish = |name: &'static str, value: &'static str| {
            let mut answer = HttpResponse::new(
                aws_smithy_runtime_api::http::StatusCode::try_from(400).unwrap(),
                aws_smithy_types::body::SdkBody::empty(),
            );
            answer.headers_mut().insert(name, value);
            retry_after(&answer)
        };
        assert_eq!(wish("retry-after", "3"), Some(Duration::from_secs(3)));
        assert_eq!(wish("x-amz-retry-after", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(wish("retry-after", "soon"), None);
        assert_eq!(wish("x-other", "3"), None);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let text = denied("PutLogEvents", "/a", "User: x is not authorized");
        assert_eq!(
            text,
            "access denied for logs:PutLogEvents on log group \"/a\"; allow logs:PutLogEvents for it in the task \
             role: User: x is not authorized"
        );
    }
}
