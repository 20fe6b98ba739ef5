//! Log groups and streams on demand: created when `PutLogEvents` says that they are missing, also when somebody deletes
//! them later. Remembers only what it still owes: retention policies, and which complaints were already logged.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::client::{CloudWatch, mark};
use super::errors::{ApiError, Kind};

/// Pause before a failed retention call is tried again.
const RETENTION_PAUSE: Duration = Duration::from_secs(300);
/// How long who creates a group has for its retention before another request that arrives sees to it.
const RETENTION_HEAD_START: Duration = Duration::from_secs(1);
/// More complaints than this are not told apart.
const MAX_REMEMBERED: usize = 1000;

#[derive(Default)]
pub(super) struct Streams {
    /// One creation at a time in a group; other groups go on.
    creating: Mutex<HashMap<Arc<str>, Arc<tokio::sync::Mutex<()>>>>,
    /// Groups that we made, or tried to make, without their retention policy, and when to try again. Written before the
    /// call, because the time of an attempt may be over before there is an answer.
    owed_retention: Mutex<HashMap<Arc<str>, Instant>>,
    /// Groups for which a missing permission was logged.
    complained: Mutex<HashSet<Arc<str>>>,
}

impl Streams {
    /// Creates the stream, and its group when that is missing too. What exists already counts as created.
    pub(super) async fn create(&self, api: &CloudWatch, group: &Arc<str>, stream: &str) -> Result<(), ApiError> {
        let gate = self.creating.lock().expect("no panic while locked").entry(group.clone()).or_default().clone();
        let result = {
            let _alone = gate.lock().await;
            self.create_alone(api, group, stream).await
        };
        let mut creating = self.creating.lock().expect("no panic while locked");
        // The map's and ours: nobody else waits.
        if Arc::strong_count(&gate) == 2 {
            creating.remove(group);
        }
        result
    }

    /// A request arrived: forgets complaints and pays what is owed, beside the requests, which must not wait for it.
    pub(super) fn works(&self, api: &Arc<CloudWatch>, group: &Arc<str>) {
        let was_denied = self.complained.lock().expect("no panic while locked").remove(group);
        if was_denied {
            tracing::info!(group = &**group, "CloudWatch Logs accepts events again");
        }
        let now = Instant::now();
        let due = match self.owed().get_mut(group) {
            Some(at) if *at <= now => {
                *at = now + RETENTION_PAUSE;
                true
            }
            _ => false,
        };
        if due {
            let (api, group) = (api.clone(), group.clone());
            tokio::spawn(async move {
                // Out of time, it is tried again after the pause, as after an error.
                let _ = tokio::time::timeout(RETENTION_PAUSE, api.streams.retain(&api, &group)).await;
            });
        }
    }

    /// Logs a missing permission once per group until events are accepted again; passes the error on.
    pub(super) fn report(&self, error: ApiError, group: &Arc<str>) -> ApiError {
        if error.kind == Kind::Denied {
            let mut complained = self.complained.lock().expect("no panic while locked");
            if complained.len() < MAX_REMEMBERED && complained.insert(group.clone()) {
                tracing::error!(error = %error.text, "CloudWatch Logs refuses events, they wait in the queue");
            }
        }
        error
    }

    async fn create_alone(&self, api: &CloudWatch, group: &Arc<str>, stream: &str) -> Result<(), ApiError> {
        match self.create_stream(api, group, stream).await {
            Err(error) if error.kind == Kind::NotFound => {}
            other => return other,
        }
        self.create_group(api, group).await?;
        self.create_stream(api, group, stream).await
    }

    /// Creates the group with its retention policy.
    async fn create_group(&self, api: &CloudWatch, group: &Arc<str>) -> Result<(), ApiError> {
        if api.settings.log_retention_days == 0 {
            return self.call_create_group(api, group).await.map(|_| ());
        }
        let tried_before = self.owe(group);
        match self.call_create_group(api, group).await {
            Ok(Made::ByUs) => self.retain(api, group).await,
            // By a call whose answer did not reach us, as far as we can know.
            Ok(Made::Before) if tried_before => self.retain(api, group).await,
            Ok(Made::Before) => self.forget(group),
            Err(error) => {
                if !tried_before && !error.may_have_worked() {
                    self.forget(group);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn create_stream(&self, api: &CloudWatch, group: &str, stream: &str) -> Result<(), ApiError> {
        let call = api.client()?.create_log_stream().log_group_name(group).log_stream_name(stream);
        let call = call.customize().mutate_request(mark).send();
        exists_is_fine(api.measured("CreateLogStream", group, call).await).map(|_| ())
    }

    async fn call_create_group(&self, api: &CloudWatch, group: &str) -> Result<Made, ApiError> {
        let mut call = api.client()?.create_log_group().log_group_name(group);
        for (key, value) in &api.settings.tags {
            call = call.tags(key, value);
        }
        let requests = Arc::new(AtomicU32::new(0));
        let counted = requests.clone();
        let count = move |http: &mut HttpRequest| {
            counted.fetch_add(1, Ordering::Relaxed);
            mark(http);
        };
        let call = call.customize().mutate_request(count).send();
        let is_new = exists_is_fine(api.measured("CreateLogGroup", group, call).await)?;
        // The SDK repeats a request whose answer was lost, and that it exists may be the work of the first one.
        Ok(if is_new || requests.load(Ordering::Relaxed) > 1 { Made::ByUs } else { Made::Before })
    }

    /// Notes that a group has no retention policy yet; true if that was known.
    fn owe(&self, group: &Arc<str>) -> bool {
        let mut owed = self.owed();
        let known = owed.contains_key(group);
        if known || owed.len() < MAX_REMEMBERED {
            owed.insert(group.clone(), Instant::now() + RETENTION_HEAD_START);
        }
        known
    }

    fn forget(&self, group: &Arc<str>) {
        self.owed().remove(group);
    }

    fn owed(&self) -> MutexGuard<'_, HashMap<Arc<str>, Instant>> {
        self.owed_retention.lock().expect("no panic while locked")
    }

    /// Sets the retention policy of a group that we made; a failure costs no data and is tried again later.
    async fn retain(&self, api: &CloudWatch, group: &Arc<str>) {
        let Ok(client) = api.client() else { return };
        let days = api.settings.log_retention_days;
        let call = client.put_retention_policy().log_group_name(&**group).retention_in_days(days);
        let call = call.customize().mutate_request(mark).send();
        let result = api.measured("PutRetentionPolicy", group, call).await;
        match result {
            Ok(_) => self.forget(group),
            Err(error) => {
                tracing::warn!(
                    error = %error.text, retention_days = days,
                    "cannot set the retention of a new log group; events are kept for ever until it works"
                );
                if let Some(at) = self.owed().get_mut(group) {
                    *at = Instant::now() + RETENTION_PAUSE;
                }
            }
        }
    }
}

/// Who made a log group.
enum Made {
    ByUs,
    Before,
}

/// Whether something was created; that somebody else did it first is no error.
fn exists_is_fine<T>(result: Result<T, ApiError>) -> Result<bool, ApiError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind == Kind::Exists => Ok(false),
        Err(error) => Err(error),
    }
}
