//! CloudWatch Logs: groups, streams and events, with the service's limits on what it takes.

use super::Refusal;
use super::world::{ACCOUNT, REGION};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Instant, SystemTime};

/// Bytes of one request, counting [`EVENT_OVERHEAD`] for each event.
pub const MAX_REQUEST_BYTES: usize = 1_048_576;
/// Bytes that the service counts for an event beside its message.
pub const EVENT_OVERHEAD: usize = 26;
/// Events of one request.
pub const MAX_EVENTS: usize = 10_000;
/// Bytes of one event with its overhead.
pub const MAX_EVENT_BYTES: usize = 1_048_576;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Events that are kept; older ones are forgotten so that a demo can run for days.
const KEPT_EVENTS: usize = 200_000;
/// What `PutRetentionPolicy` accepts.
const RETENTION_DAYS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// One event that was accepted.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// Counts from 1 over all accepted events.
    pub number: u64,
    /// When it was accepted.
    pub at: Instant,
    /// The endpoint's path: `/` unless the client's endpoint has one.
    pub path: String,
    /// Log group.
    pub group: String,
    /// Log stream.
    pub stream: String,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The text.
    pub message: String,
}

impl LogEvent {
    /// The message as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.message).unwrap_or_else(|error| panic!("{error} in log event {}", self.message))
    }
}

/// A log group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The endpoint's path: `/` unless the client's endpoint has one.
    pub path: String,
    /// Name.
    pub name: String,
    /// Tags given at creation or later.
    pub tags: BTreeMap<String, String>,
    /// Days, when a policy was set.
    pub retention_days: Option<i64>,
    /// Names of its streams.
    pub streams: Vec<String>,
}

/// What the service holds.
#[derive(Default)]
pub(crate) struct Logs {
    groups: BTreeMap<(String, String), Group>,
    next: u64,
    events: VecDeque<LogEvent>,
}

impl Logs {
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Kept events whose number is above `number`.
    pub(crate) fn events_after(&self, number: u64) -> impl Iterator<Item = &LogEvent> {
        self.events.iter().filter(move |event| event.number > number)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.next
    }

    pub(crate) fn delete_group(&mut self, name: &str) {
        self.groups.retain(|(_, group), _| group != name);
    }

    pub(crate) fn delete_stream(&mut self, group: &str, stream: &str) {
        for held in self.groups.values_mut().filter(|held| held.name == group) {
            held.streams.retain(|name| name != stream);
        }
    }

    /// Answers one operation of the API at an endpoint's `path`.
    pub(crate) fn answer(&mut self, op: &str, path: &str, body: &Value) -> Result<Value, Refusal> {
        match op {
            "CreateLogGroup" => self.create_group(path, body),
            "CreateLogStream" => self.create_stream(path, body),
            "PutRetentionPolicy" => self.put_retention(path, body),
            "PutLogEvents" => self.put_events(path, body),
            "DescribeLogGroups" => self.describe_groups(path, body),
            "DescribeLogStreams" => self.describe_streams(path, body),
            "DeleteLogGroup" => {
                let key = self.group(path, body)?.key();
                self.groups.remove(&key);
                Ok(json!({}))
            }
            "TagLogGroup" | "TagResource" => self.tag(path, body),
            "ListTagsLogGroup" | "ListTagsForResource" => Ok(json!({"tags": self.group(path, body)?.tags})),
            _ => Err(Refusal::new(400, "UnknownOperationException", op)),
        }
    }

    /// The group that a request names, by name or by ARN.
    fn group(&mut self, path: &str, body: &Value) -> Result<&mut Group, Refusal> {
        let name = body["logGroupName"].as_str().or_else(|| {
            let arn = body["resourceArn"].as_str().or(body["logGroupIdentifier"].as_str())?;
            arn.split_once(":log-group:").map(|(_, name)| name.trim_end_matches(":*"))
        });
        let name = name.ok_or_else(|| invalid("1 validation error detected: Value null at 'logGroupName'"))?;
        self.groups
            .get_mut(&(path.to_owned(), name.to_owned()))
            .ok_or_else(|| Refusal::new(400, "ResourceNotFoundException", "The specified log group does not exist."))
    }

    fn create_group(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let name = body["logGroupName"].as_str().unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_/.#-".contains(c);
        if name.is_empty() || name.len() > 512 || !name.chars().all(allowed) || name.starts_with("aws/") {
            return Err(invalid(&format!(
                "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member \
                 must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
            )));
        }
        let key = (path.to_owned(), name.to_owned());
        if self.groups.contains_key(&key) {
            return Err(exists("The specified log group already exists"));
        }
        let tags = tags(body)?;
        let group = Group { path: path.into(), name: name.into(), tags, ..Group::default() };
        self.groups.insert(key, group);
        Ok(json!({}))
    }

    fn create_stream(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let name = body["logStreamName"].as_str().unwrap_or_default();
        if name.is_empty() || name.len() > 512 || name.contains([':', '*']) {
            return Err(invalid(&format!(
                "1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy constraint: Member \
                 must satisfy regular expression pattern: [^:*]*"
            )));
        }
        let group = self.group(path, body)?;
        if group.streams.iter().any(|stream| stream == name) {
            return Err(exists("The specified log stream already exists"));
        }
        group.streams.push(name.to_owned());
        Ok(json!({}))
    }

    fn put_retention(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let days = body["retentionInDays"].as_i64().unwrap_or_default();
        if !RETENTION_DAYS.contains(&days) {
            return Err(invalid(&format!("retentionInDays {days} is not one of {RETENTION_DAYS:?}")));
        }
        self.group(path, body)?.retention_days = Some(days);
        Ok(json!({}))
    }

    fn tag(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let tags = tags(body)?;
        self.group(path, body)?.tags.extend(tags);
        Ok(json!({}))
    }

    fn describe_groups(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let prefix = body["logGroupNamePrefix"].as_str().unwrap_or_default();
        let groups = self.groups.values().filter(|group| group.path == path && group.name.starts_with(prefix));
        let groups = groups.map(|group| {
            let arn = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{}", group.name);
            let mut answer = json!({"logGroupName": group.name, "logGroupArn": arn, "arn": format!("{arn}:*")});
            if let Some(days) = group.retention_days {
                answer["retentionInDays"] = json!(days);
            }
            answer
        });
        page(groups.collect(), body, "logGroups")
    }

    fn describe_streams(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let prefix = body["logStreamNamePrefix"].as_str().unwrap_or_default();
        let streams = self.group(path, body)?.streams.iter().filter(|name| name.starts_with(prefix));
        let streams = streams.map(|name| json!({"logStreamName": name}));
        page(streams.collect(), body, "logStreams")
    }

    fn put_events(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let retention = self.group(path, body)?.retention_days;
        let group = body["logGroupName"].as_str().unwrap_or_default();
        let stream = body["logStreamName"].as_str().unwrap_or_default();
        if !self.group(path, body)?.streams.iter().any(|name| name == stream) {
            let message = "The specified log stream does not exist.";
            return Err(Refusal::new(400, "ResourceNotFoundException", message));
        }
        let events = read_events(body)?;
        let now_ms = now_ms();
        let oldest = now_ms - 14 * DAY_MS;
        let expired = retention.map(|days| now_ms - days * DAY_MS);
        let newest = now_ms + 2 * HOUR_MS;
        // Events are in order: the too old ones come first, the too new ones last.
        let count = |before: i64| events.partition_point(|(time, _)| *time < before);
        let too_old = count(oldest);
        let expired = expired.map_or(0, count);
        let too_new = events.partition_point(|(time, _)| *time <= newest);
        let accepted = too_old.max(expired).min(too_new)..too_new;
        let mut rejected = json!({});
        if too_old > 0 {
            rejected["tooOldLogEventEndIndex"] = json!(too_old);
        }
        if expired > too_old {
            rejected["expiredLogEventEndIndex"] = json!(expired);
        }
        if too_new < events.len() {
            rejected["tooNewLogEventStartIndex"] = json!(too_new);
        }
        let mut answer = json!({});
        if !accepted.is_empty() {
            answer["nextSequenceToken"] = json!(format!("{}", self.next + 1));
        }
        if rejected != json!({}) {
            answer["rejectedLogEventsInfo"] = rejected;
        }
        let at = Instant::now();
        for (timestamp_ms, message) in &events[accepted] {
            self.next += 1;
            if self.events.len() == KEPT_EVENTS {
                self.events.pop_front();
            }
            self.events.push_back(LogEvent {
                number: self.next,
                at,
                path: path.into(),
                group: group.into(),
                stream: stream.into(),
                timestamp_ms: *timestamp_ms,
                message: (*message).to_owned(),
            });
        }
        Ok(answer)
    }
}

impl Group {
    fn key(&self) -> (String, String) {
        (self.path.clone(), self.name.clone())
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "InvalidParameterException", message)
}

fn exists(message: &str) -> Refusal {
    Refusal::new(400, "ResourceAlreadyExistsException", message)
}

fn tags(body: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(tags) = body.get("tags").and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
    if tags.is_empty() || tags.len() > 50 {
        return Err(invalid("tags must have 1 to 50 members"));
    }
    Ok(tags.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect())
}

/// At most 50 items; the token is the position of the next one.
fn page(items: Vec<Value>, body: &Value, key: &str) -> Result<Value, Refusal> {
    let start: usize = body["nextToken"].as_str().map_or(Ok(0), str::parse).map_err(|_| invalid("bad nextToken"))?;
    let size = body["limit"].as_u64().unwrap_or(50).clamp(1, 50) as usize;
    let end = items.len().min(start + size);
    let mut answer = json!({ key: items.get(start..end).ok_or_else(|| invalid("bad nextToken"))? });
    if end < items.len() {
        answer["nextToken"] = json!(end.to_string());
    }
    Ok(answer)
}

/// Checks everything that makes the service refuse a whole request.
fn read_events(body: &Value) -> Result<Vec<(i64, &str)>, Refusal> {
    let events = body["logEvents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if events.is_empty() || events.len() > MAX_EVENTS {
        return Err(invalid(&format!(
            "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length \
             between 1 and {MAX_EVENTS}"
        )));
    }
    let mut read = Vec::with_capacity(events.len());
    let mut bytes = 0;
    for (index, event) in events.iter().enumerate() {
        let (Some(time), Some(message)) = (event["timestamp"].as_i64(), event["message"].as_str()) else {
            return Err(Refusal::new(400, "SerializationException", "an event needs a timestamp and a message"));
        };
        if message.is_empty() || time < 0 {
            return Err(invalid(&format!(
                "1 validation error detected: Value '{message}' at 'logEvents.{}.member' failed to satisfy constraint",
                index + 1
            )));
        }
        let size = message.len() + EVENT_OVERHEAD;
        if size > MAX_EVENT_BYTES {
            return Err(invalid(&format!("Log event too large: {size} bytes exceeds limit of {MAX_EVENT_BYTES}")));
        }
        bytes += size;
        read.push((time, message));
    }
    if bytes > MAX_REQUEST_BYTES {
        return Err(invalid(&format!("Upload too large: {bytes} bytes exceeds limit of {MAX_REQUEST_BYTES}")));
    }
    if !read.is_sorted_by_key(|(time, _)| *time) {
        let message = "Log events in a single PutLogEvents request must be in chronological order.";
        return Err(invalid(message));
    }
    if read.last().map_or(0, |last| last.0) - read[0].0 > DAY_MS {
        let message = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.";
        return Err(invalid(message));
    }
    Ok(read)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_stream() -> Logs {
        let mut logs = Logs::default();
        let body = json!({"logGroupName": "g", "logStreamName": "s", "tags": {"team": "a"}});
        logs.answer("CreateLogGroup", "/", &body).unwrap();
        logs.answer("CreateLogStream", "/", &body).unwrap();
        logs
    }

    fn put(logs: &mut Logs, events: &[(i64, &str)]) -> Result<Value, String> {
        let events: Vec<Value> =
            events.iter().map(|(time, message)| json!({"timestamp": time, "message": message})).collect();
        let body = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events});
        logs.answer("PutLogEvents", "/", &body).map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_request_outside_the_limits_is_refused_as_a_whole() {
        let now = now_ms();
        let half = "x".repeat(MAX_REQUEST_BYTES / 2);
        let check = |events: &[(i64, &str)], expected: &str| {
            let refused = put(&mut with_stream(), events).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        };
        check(&[], "length between 1 and 10000");
        check(&vec![(now, "x"); MAX_EVENTS + 1], "length between 1 and 10000");
        check(&[(now, "")], "failed to satisfy constraint");
        check(&[(now, &half), (now, &half)], "Upload too large: 1048628 bytes");
        check(&[(now, &"x".repeat(MAX_EVENT_BYTES - 25))], "Log event too large: 1048577 bytes");
        check(&[(now, "b"), (now - 1, "a")], "chronological order");
        check(&[(now - DAY_MS - 1, "a"), (now, "b")], "more than 24 hours");
        assert_eq!(with_stream().accepted(), 0);
    }

    #[test]
    fn the_largest_request_and_the_largest_event_are_accepted() {
        let now = now_ms();
        let mut logs = with_stream();
        put(&mut logs, &[(now, &"x".repeat(MAX_EVENT_BYTES - EVENT_OVERHEAD))]).unwrap();
        let text = "x".repeat(MAX_REQUEST_BYTES / 4096 - EVENT_OVERHEAD);
        put(&mut logs, &vec![(now, text.as_str()); 4096]).unwrap();
        assert_eq!(logs.accepted(), 4097);
    }

    #[test]
    fn events_outside_the_time_window_are_rejected_alone() {
        let now = now_ms();
        let old = now - 14 * DAY_MS - 60_000;
        let new = now + 2 * HOUR_MS + 60_000;
        let mut logs = with_stream();
        let answer = put(&mut logs, &[(old, "a"), (old, "b"), (now - 14 * DAY_MS + 60_000, "c")]).unwrap();
        assert_eq!(answer["rejectedLogEventsInfo"], json!({"tooOldLogEventEndIndex": 2}));
        let answer = put(&mut logs, &[(now, "d"), (new, "e")]).unwrap();
        assert_eq!(answer["rejectedLogEventsInfo"], json!({"tooNewLogEventStartIndex": 1}));
        let answer = put(&mut logs, &[(old, "f")]).unwrap();
        assert_eq!(answer, json!({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}}));
        let group = json!({"logGroupName": "g", "retentionInDays": 1});
        logs.answer("PutRetentionPolicy", "/", &group).unwrap();
        let answer = put(&mut logs, &[(now - DAY_MS - 60_000, "g")]).unwrap();
        assert_eq!(answer["rejectedLogEventsInfo"], json!({"expiredLogEventEndIndex": 1}));
        let accepted: Vec<_> = logs.events_after(0).map(|event| event.message.as_str()).collect();
        assert_eq!(accepted, ["c", "d"]);
    }

    #[test]
    fn groups_and_streams_must_exist_once() {
        let code = |logs: &mut Logs, op: &str, group: &str, stream: &str| {
            let body = json!({
                "logGroupName": group, "logStreamName": stream, "logEvents": [{"timestamp": now_ms(), "message": "m"}],
            });
            logs.answer(op, "/", &body).map(|_| ()).map_err(|refusal| refusal.code)
        };
        let mut logs = with_stream();
        let missing = Err("ResourceNotFoundException".to_owned());
        let twice = Err("ResourceAlreadyExistsException".to_owned());
        assert_eq!(code(&mut logs, "PutLogEvents", "other", "s"), missing);
        assert_eq!(code(&mut logs, "PutLogEvents", "g", "other"), missing);
        assert_eq!(code(&mut logs, "CreateLogStream", "other", "s"), missing);
        assert_eq!(code(&mut logs, "CreateLogStream", "g", "s"), twice);
        assert_eq!(code(&mut logs, "CreateLogGroup", "g", ""), twice);
        assert_eq!(code(&mut logs, "PutLogEvents", "g", "s"), Ok(()));
        assert_eq!(code(&mut logs, "CreateLogStream", "g", "a:b"), Err("InvalidParameterException".to_owned()));
        assert_eq!(code(&mut logs, "CreateLogGroup", "a b", ""), Err("InvalidParameterException".to_owned()));
        assert_eq!(logs.groups().next().unwrap().tags["team"], "a");
        logs.delete_stream("g", "s");
        assert_eq!(code(&mut logs, "PutLogEvents", "g", "s"), missing);
    }
}
