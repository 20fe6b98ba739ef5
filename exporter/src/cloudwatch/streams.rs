//! Log groups and streams on demand: created when `PutLogEvents` says that they are missing, also when somebody deletes
//! them later. Remembers only what it still owes: retention policies, and which complaints were already logged.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::client::{CloudWatch, mark};
use super::errors::{ApiError, Kind};
use super::request::PutRequest;

/// Pause before a failed retention call is tried again.
const RETENTION_PAUSE: Duration = Duration::from_secs(300);
/// More complaints than this are not told apart.
const MAX_REMEMBERED: usize = 1000;

#[derive(Default)]
pub(super) struct Streams {
    /// One creation at a time in a group; other groups go on.
    creating: Mutex<HashMap<Arc<str>, Arc<tokio::sync::Mutex<()>>>>,
    /// Groups of ours without their retention policy, and when to try again.
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

    /// A request arrived: forgets complaints and pays what is owed.
    pub(super) async fn works(&self, api: &CloudWatch, request: &PutRequest) {
        let group = &request.group;
        let was_denied = self.complained.lock().expect("no panic while locked").remove(group);
        if was_denied {
            tracing::info!(group = &**group, "CloudWatch Logs accepts events again");
        }
        let due = {
            let owed = self.owed_retention.lock().expect("no panic while locked");
            owed.get(group).is_some_and(|at| *at <= Instant::now())
        };
        if due {
            self.retain(api, group).await;
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
        if self.create_group(api, group).await? && api.settings.log_retention_days != 0 {
            self.retain(api, group).await;
        }
        self.create_stream(api, group, stream).await
    }

    async fn create_stream(&self, api: &CloudWatch, group: &str, stream: &str) -> Result<(), ApiError> {
        let call = api.client()?.create_log_stream().log_group_name(group).log_stream_name(stream);
        let call = call.customize().mutate_request(mark).send();
        exists_is_fine(api.measured("CreateLogStream", group, call).await).map(|_| ())
    }

    /// True when the group is new.
    async fn create_group(&self, api: &CloudWatch, group: &str) -> Result<bool, ApiError> {
        let mut call = api.client()?.create_log_group().log_group_name(group);
        for (key, value) in &api.settings.tags {
            call = call.tags(key, value);
        }
        let call = call.customize().mutate_request(mark).send();
        exists_is_fine(api.measured("CreateLogGroup", group, call).await)
    }

    /// Sets the retention policy of a group that we made; a failure costs no data and is tried again later.
    async fn retain(&self, api: &CloudWatch, group: &Arc<str>) {
        let Ok(client) = api.client() else { return };
        let days = api.settings.log_retention_days;
        let call = client.put_retention_policy().log_group_name(&**group).retention_in_days(days);
        let call = call.customize().mutate_request(mark).send();
        let result = api.measured("PutRetentionPolicy", group, call).await;
        let mut owed = self.owed_retention.lock().expect("no panic while locked");
        match result {
            Ok(_) => {
                owed.remove(group);
            }
            Err(error) => {
                tracing::warn!(
                    error = %error.text, retention_days = days,
                    "cannot set the retention of a new log group; events are kept for ever until it works"
                );
                if owed.len() < MAX_REMEMBERED || owed.contains_key(group) {
                    owed.insert(group.clone(), Instant::now() + RETENTION_PAUSE);
                }
            }
        }
    }
}

/// Whether something was created; that somebody else did it first is no error.
fn exists_is_fine<T>(result: Result<T, ApiError>) -> Result<bool, ApiError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind == Kind::Exists => Ok(false),
        Err(error) => Err(error),
    }
}
