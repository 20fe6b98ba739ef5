//! One AWS call with everything around it: the budget that keeps us below the quotas, retries with jittered backoff,
//! counting, and errors that say what to do. It does not know what is asked; [`super::ecs_api`] and [`super::ec2`] do.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use proto::{Counter, Telemetry};
use tokio::time::{Instant, sleep};

/// Attempts for one call, the first one included. A round that fails is repeated anyway.
const MAX_ATTEMPTS: u32 = 4;
/// Longest wait before the first repetition; doubles each time. The wait is random between half of it and all of it.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);

/// What can be asked, as AWS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    ListTasks,
    DescribeTasks,
    DescribeTaskDefinition,
    ListServices,
    DescribeServices,
    DescribeContainerInstances,
    DescribeInstances,
}

impl Operation {
    /// AWS's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::ListTasks => "ListTasks",
            Operation::DescribeTasks => "DescribeTasks",
            Operation::DescribeTaskDefinition => "DescribeTaskDefinition",
            Operation::ListServices => "ListServices",
            Operation::DescribeServices => "DescribeServices",
            Operation::DescribeContainerInstances => "DescribeContainerInstances",
            Operation::DescribeInstances => "DescribeInstances",
        }
    }

    /// The prefix of the IAM action.
    pub(crate) fn service(self) -> &'static str {
        if self == Operation::DescribeInstances { "ec2" } else { "ecs" }
    }

    /// ECS's four request budgets and EC2's one. We use less than half of each (ECS: 20 a second, bursts of 50 or
    /// 100, per account and region), because others share them.
    fn budget(self) -> usize {
        match self {
            Operation::ListTasks | Operation::DescribeTasks | Operation::DescribeContainerInstances => 0,
            Operation::ListServices | Operation::DescribeServices => 1,
            Operation::DescribeTaskDefinition => 2,
            Operation::DescribeInstances => 3,
        }
    }
}

/// Requests per second and burst of each budget, by [`Operation::budget`].
const BUDGETS: [(f64, f64); 4] = [(8.0, 25.0), (8.0, 25.0), (8.0, 20.0), (5.0, 10.0)];

/// Why a call failed, as far as it decides what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// IAM does not allow it.
    AccessDenied,
    /// There are no credentials, or AWS does not accept them.
    Credentials,
    /// Too many calls.
    Throttled,
    /// AWS's fault.
    Server,
    /// No answer in time.
    Timeout,
    /// No connection.
    Connection,
    /// No such cluster.
    ClusterNotFound,
    /// Another refusal: the question itself is wrong.
    Refused,
    /// The answer could not be understood.
    Unreadable,
}

impl Kind {
    /// Name in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::AccessDenied => "access_denied",
            Kind::Credentials => "credentials",
            Kind::Throttled => "throttled",
            Kind::Server => "server_error",
            Kind::Timeout => "timeout",
            Kind::Connection => "connection",
            Kind::ClusterNotFound => "cluster_not_found",
            Kind::Refused => "refused",
            Kind::Unreadable => "unreadable",
        }
    }

    /// From an AWS error code and an HTTP status.
    pub(crate) fn of(code: &str, status: u16) -> Kind {
        match code {
            "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" => Kind::AccessDenied,
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "SlowDown"
            | "BandwidthLimitExceeded"
            | "PriorRequestNotComplete"
            | "EC2ThrottledException" => Kind::Throttled,
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "AuthFailure"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignature"
            | "RequestExpired"
            | "OptInRequired" => Kind::Credentials,
            "ClusterNotFoundException" => Kind::ClusterNotFound,
            "ServerException"
            | "InternalError"
            | "InternalFailure"
            | "Unavailable"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "InternalServerException" => Kind::Server,
            _ => match status {
                401 => Kind::Credentials,
                403 => Kind::AccessDenied,
                408 => Kind::Timeout,
                429 => Kind::Throttled,
                400..=499 => Kind::Refused,
                _ => Kind::Server,
            },
        }
    }

    fn is_worth_repeating(self) -> bool {
        matches!(self, Kind::Throttled | Kind::Server | Kind::Timeout | Kind::Connection)
    }
}

/// One failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// The cause in AWS's or the network's words.
    pub(crate) text: String,
}

/// A call that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) operation: Operation,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, name, text) = (self.operation.service(), self.operation.name(), &self.text);
        match self.kind {
            Kind::AccessDenied => write!(f, "access denied for {service}:{name}; add it to the task role ({text})"),
            Kind::Credentials => {
                write!(f, "no valid credentials for {service}:{name}; check the task role or AWS_* variables ({text})")
            }
            Kind::Throttled => write!(f, "{service}:{name} is throttled after {MAX_ATTEMPTS} attempts ({text})"),
            Kind::ClusterNotFound => {
                write!(f, "{service}:{name} found no such cluster; check its name and region ({text})")
            }
            Kind::Timeout => write!(f, "{service}:{name} did not answer in time ({text})"),
            Kind::Connection => write!(f, "{service}:{name} cannot be reached ({text})"),
            Kind::Server | Kind::Refused | Kind::Unreadable => write!(f, "{service}:{name} failed: {text}"),
        }
    }
}

/// Makes calls within the budgets. Shared by both services' clients.
pub(crate) struct Caller {
    budgets: [TokenBucket; BUDGETS.len()],
    telemetry: Telemetry,
    id: String,
}

impl Caller {
    pub(crate) fn new(telemetry: Telemetry, id: &str) -> Caller {
        Caller { budgets: BUDGETS.map(|(rate, burst)| TokenBucket::new(rate, burst)), telemetry, id: id.to_owned() }
    }

    /// Makes a call, and again as long as that can help.
    pub(crate) async fn call<T, F>(&self, operation: Operation, mut attempt: impl FnMut() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut backoff = FIRST_BACKOFF;
        for repetition in 1.. {
            self.budgets[operation.budget()].take().await;
            let Failure { kind, text } = match attempt().await {
                Ok(answer) => {
                    self.counter(operation, "ok").add(1);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            self.counter(operation, kind.as_str()).add(1);
            if !kind.is_worth_repeating() || repetition == MAX_ATTEMPTS {
                return Err(ApiError { operation, kind, text });
            }
            tracing::debug!(operation = operation.name(), kind = kind.as_str(), repetition, "call failed, repeating");
            sleep(backoff.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            backoff *= 2;
        }
        unreachable!("the loop ends at MAX_ATTEMPTS")
    }

    fn counter(&self, operation: Operation, outcome: &str) -> Counter {
        self.telemetry.counter(
            "otelcol_ecs_observer_api_calls_total",
            "AWS calls of ECS discovery, repetitions included, by outcome.",
            &[("extension", &self.id), ("operation", operation.name()), ("outcome", outcome)],
        )
    }
}

/// Lets `rate` calls a second pass, after a burst. Waiters are served in the order in which they came.
struct TokenBucket {
    rate: f64,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

impl TokenBucket {
    fn new(rate: f64, burst: f64) -> TokenBucket {
        TokenBucket { rate, burst, state: Mutex::new((burst, Instant::now())) }
    }

    /// Waits for a token. Tokens may go below zero: that is the queue.
    async fn take(&self) {
        let wait_s = {
            let mut state = self.state.lock().expect("no panic while the bucket is locked");
            let now = Instant::now();
            let refilled = state.0 + now.duration_since(state.1).as_secs_f64() * self.rate;
            *state = (refilled.min(self.burst) - 1.0, now);
            -state.0 / self.rate
        };
        if wait_s > 0.0 {
            // A little more than needed, at random, so that several collectors do not march in step.
            sleep(Duration::from_secs_f64(wait_s + fastrand::f64() * 0.2 / self.rate)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let caller = Caller::new(Telemetry::default(), "ecs_observer");
        let start = Instant::now();
        for n in 1..=25 + 80 {
            caller.call(Operation::ListTasks, || async { Ok(()) }).await.unwrap();
            if n == 25 {
                assert_eq!(start.elapsed(), Duration::ZERO);
            }
        }
        let elapsed_s = start.elapsed().as_secs_f64();
        assert!((9.9..11.0).contains(&elapsed_s), "80 calls at 8 a second took {elapsed_s} s");
    }

    #[tokio::test(start_paused = true)]
    async fn budgets_are_separate() {
        let caller = Caller::new(Telemetry::default(), "ecs_observer");
        let start = Instant::now();
        for _ in 0..20 {
            caller.call(Operation::ListTasks, || async { Ok(()) }).await.unwrap();
            caller.call(Operation::DescribeTaskDefinition, || async { Ok(()) }).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_pass_is_repeated_and_what_cannot_is_not() {
        for (kind, attempts) in [
            (Kind::Throttled, MAX_ATTEMPTS),
            (Kind::Server, MAX_ATTEMPTS),
            (Kind::Timeout, MAX_ATTEMPTS),
            (Kind::Connection, MAX_ATTEMPTS),
            (Kind::AccessDenied, 1),
            (Kind::Credentials, 1),
            (Kind::ClusterNotFound, 1),
            (Kind::Refused, 1),
            (Kind::Unreadable, 1),
        ] {
            let telemetry = Telemetry::default();
            let caller = Caller::new(telemetry.clone(), "ecs_observer");
            let made = Cell::new(0);
            let result: Result<(), _> = caller
                .call(Operation::DescribeTasks, || {
                    made.set(made.get() + 1);
                    async { Err(Failure { kind, text: "because".to_owned() }) }
                })
                .await;
            assert_eq!(result.unwrap_err().kind, kind);
            assert_eq!(made.get(), attempts, "{kind:?}");
            assert_eq!(caller.counter(Operation::DescribeTasks, kind.as_str()).get(), u64::from(attempts));
        }
    }

    #[test]
    fn an_error_says_what_to_do() {
        let error = |operation, kind| ApiError { operation, kind, text: "Cause".to_owned() }.to_string();
        assert_eq!(
            error(Operation::ListTasks, Kind::AccessDenied),
            "access denied for ecs:ListTasks; add it to the task role (Cause)"
        );
        assert_eq!(
            error(Operation::DescribeInstances, Kind::AccessDenied),
            "access denied for ec2:DescribeInstances; add it to the task role (Cause)"
        );
        assert_eq!(
            error(Operation::ListTasks, Kind::ClusterNotFound),
            "ecs:ListTasks found no such cluster; check its name and region (Cause)"
        );
    }
}
