//! What goes wrong on purpose: which calls of an operation are refused, throttled, delayed or cut off.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One scripted fault. In JSON: `{"op": "PutLogEvents", "times": 2, "status": 400, "code": "ThrottlingException"}`;
/// neither `times`, `every` nor `always` means once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// The operation as AWS names it (`PutLogEvents`), or `*` for every one.
    pub op: String,
    /// Only calls whose request text contains this.
    pub containing: Option<String>,
    /// The next so many calls.
    pub times: Option<u64>,
    /// Every so many-th call.
    pub every: Option<u64>,
    /// Every call until the fault is cleared.
    pub always: bool,
    /// What happens to the call.
    pub act: Act,
    /// HTTP status of a refusal; 400 when absent.
    pub status: Option<u16>,
    /// Error code of a refusal; `ThrottlingException` when absent.
    pub code: Option<String>,
    /// Message of a refusal; `Rate exceeded` when absent.
    pub message: Option<String>,
    /// Seconds to wait before acting.
    pub sleep: Option<f64>,
    #[serde(skip)]
    seen: u64,
}

/// What a fault does to a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Answers with an error; nothing is carried out.
    #[default]
    Refuse,
    /// Carries the call out and answers, late by `sleep`.
    Answer,
    /// Closes the connection; nothing is carried out.
    Drop,
    /// Carries the call out, then closes the connection: the client cannot know.
    DropAfter,
    /// Never answers; the client has to give up.
    Hang,
    /// Answers with success and a body that is no answer; nothing is carried out.
    Garble,
}

impl Fault {
    /// The next call of `op` is refused with this status and code.
    pub fn refuse(op: &str, status: u16, code: &str) -> Self {
        let message = Some(format!("{code} on purpose"));
        Self { op: op.into(), status: Some(status), code: Some(code.into()), message, ..Self::default() }
    }

    /// The next call of `op` is throttled the way AWS does: status 400, `ThrottlingException`.
    pub fn throttle(op: &str) -> Self {
        Self { op: op.into(), ..Self::default() }
    }

    /// The next call of `op` is denied the way AWS does: status 400, `AccessDeniedException`, naming the action.
    pub fn deny(op: &str) -> Self {
        let message = format!(
            "User: arn:aws:sts::123456789012:assumed-role/task/1 is not authorized to perform: {op} because no \
             identity-based policy allows the action"
        );
        Self { message: Some(message), ..Self::refuse(op, 400, "AccessDeniedException") }
    }

    /// The next call of `op` fails inside AWS: status 500 to 599.
    pub fn broken(op: &str, status: u16) -> Self {
        let code = if status == 503 { "ServiceUnavailableException" } else { "InternalFailure" };
        Self::refuse(op, status, code)
    }

    /// The next call of `op` is carried out after a delay.
    pub fn delay(op: &str, delay: Duration) -> Self {
        Self { op: op.into(), act: Act::Answer, sleep: Some(delay.as_secs_f64()), ..Self::default() }
    }

    /// The connection of the next call of `op` is closed before anything happens.
    pub fn drop(op: &str) -> Self {
        Self { op: op.into(), act: Act::Drop, ..Self::default() }
    }

    /// The next call of `op` is carried out and its connection closed without an answer.
    pub fn drop_after(op: &str) -> Self {
        Self { op: op.into(), act: Act::DropAfter, ..Self::default() }
    }

    /// The next call of `op` is never answered.
    pub fn hang(op: &str) -> Self {
        Self { op: op.into(), act: Act::Hang, ..Self::default() }
    }

    /// The next call of `op` gets an answer that cannot be read.
    pub fn garble(op: &str) -> Self {
        Self { op: op.into(), act: Act::Garble, ..Self::default() }
    }

    /// The next `n` calls instead of one.
    pub fn times(self, n: u64) -> Self {
        Self { times: Some(n), ..self }
    }

    /// Every `n`-th call instead of one.
    pub fn every(self, n: u64) -> Self {
        Self { every: Some(n), ..self }
    }

    /// Every call until cleared.
    pub fn always(self) -> Self {
        Self { always: true, ..self }
    }

    /// Only calls whose request text contains `text`, for instance a stream's name.
    pub fn containing(self, text: &str) -> Self {
        Self { containing: Some(text.into()), ..self }
    }

    /// Waits before acting.
    pub fn after(self, delay: Duration) -> Self {
        Self { sleep: Some(delay.as_secs_f64()), ..self }
    }

    fn strikes(&mut self, op: &str, request_text: &str) -> bool {
        if self.op != "*" && self.op != op {
            return false;
        }
        if self.containing.as_ref().is_some_and(|text| !request_text.contains(text.as_str())) {
            return false;
        }
        self.seen += 1;
        match self.every {
            Some(every) => self.seen.is_multiple_of(every.max(1)),
            None => self.always || self.seen <= self.times.unwrap_or(1),
        }
    }
}

/// Names a fault so that it can be cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

/// The faults in force, first added first asked.
#[derive(Default)]
pub(crate) struct Faults {
    next: u64,
    active: Vec<(FaultId, Fault)>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.next += 1;
        self.active.push((FaultId(self.next), fault));
        FaultId(self.next)
    }

    pub(crate) fn clear(&mut self, id: FaultId) {
        self.active.retain(|(active, _)| *active != id);
    }

    pub(crate) fn clear_all(&mut self) {
        self.active.clear();
    }

    /// The fault that strikes this call, if any. A fault that does not strike still counts the call.
    pub(crate) fn strike(&mut self, op: &str, request_text: &str) -> Option<Fault> {
        let mut struck = None;
        for (_, fault) in &mut self.active {
            if fault.strikes(op, request_text) && struck.is_none() {
                struck = Some(fault.clone());
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the calls 1 to 6 of `PutLogEvents` a fault strikes.
    fn check(fault: Fault, expected: [u8; 6]) {
        let mut faults = Faults::default();
        faults.add(fault);
        let struck = std::array::from_fn(|_| u8::from(faults.strike("PutLogEvents", "body of stream a").is_some()));
        assert_eq!(struck, expected);
    }

    #[test]
    fn faults_strike_once_n_times_every_n_or_always() {
        check(Fault::throttle("PutLogEvents"), [1, 0, 0, 0, 0, 0]);
        check(Fault::throttle("PutLogEvents").times(3), [1, 1, 1, 0, 0, 0]);
        check(Fault::throttle("PutLogEvents").every(2), [0, 1, 0, 1, 0, 1]);
        check(Fault::throttle("PutLogEvents").always(), [1; 6]);
        check(Fault::throttle("*"), [1, 0, 0, 0, 0, 0]);
        check(Fault::throttle("CreateLogStream"), [0; 6]);
        check(Fault::throttle("PutLogEvents").containing("stream a"), [1, 0, 0, 0, 0, 0]);
        check(Fault::throttle("PutLogEvents").containing("stream b"), [0; 6]);
    }

    #[test]
    fn a_recorded_fault_loads_and_means_once() {
        let fault: Fault =
            serde_json::from_str(r#"{"op": "PutLogEvents", "code": "ThrottlingException", "sleep": 0.5}"#).unwrap();
        assert_eq!(fault.act, Act::Refuse);
        check(fault, [1, 0, 0, 0, 0, 0]);
    }
}
