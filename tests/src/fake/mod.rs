//! A scripted AWS and its surroundings on loopback. [`FakeAws`] answers ECS, EC2, CloudWatch Logs, STS, the task
//! metadata endpoint and the container credentials endpoint from a [`World`] that a test may change at any time,
//! fails as told by [`Fault`]s, checks signatures and records every call. Beside it: scrape targets, OTLP peers,
//! certificates, and what CloudWatch would make of the events.

pub mod calls;
pub mod cloudwatch;
mod ec2;
mod ecs;
pub mod fault;
mod front;
pub mod logs;
mod metadata;
pub mod otlp;
pub mod pki;
mod quota;
pub mod server;
pub mod signature;
mod sts;
pub mod targets;
pub mod world;

pub use calls::{Call, Service};
pub use fault::{Act, Fault, FaultId};
pub use logs::{Group, LogEvent};
pub use metadata::fargate_task;
pub use pki::Pki;
pub use server::Server;
pub use targets::{Behaviour, Target};
pub use world::World;

use crate::net::any_port;
use calls::Calls;
use fault::Faults;
use logs::Logs;
use quota::Quotas;
use serde::Serialize;
use serde_json::Value;
use signature::Key;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

/// Access key id that requests may be signed with.
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// Its secret.
pub const SECRET_KEY: &str = "secret";

/// The scripted AWS. One listener serves every API; it ends when this is dropped.
pub struct FakeAws {
    server: Server,
    shared: Arc<Shared>,
}

impl FakeAws {
    /// Starts on a free port of 127.0.0.1. The world's own faults are in force from the start.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(world: World) -> Self {
        Self::start_at(any_port(), world).await
    }

    /// Starts at a given address.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start_at(addr: SocketAddr, mut world: World) -> Self {
        let mut faults = Faults::default();
        for fault in world.faults.drain(..) {
            faults.add(fault);
        }
        let key = Key { id: ACCESS_KEY.into(), secret: SECRET_KEY.into(), token: None, expires: None };
        let state = State { world, faults, keys: vec![key], ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let server = Server::start(addr, front::router(shared.clone())).await;
        Self { server: server.unwrap_or_else(|error| panic!("cannot serve AWS at {addr}: {error}")), shared }
    }

    /// `http://127.0.0.1:PORT`, the endpoint of every API.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// What a process needs in its environment to use this AWS with static keys.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = self.environment_without_keys();
        environment.push(("AWS_ACCESS_KEY_ID".into(), ACCESS_KEY.into()));
        environment.push(("AWS_SECRET_ACCESS_KEY".into(), SECRET_KEY.into()));
        environment
    }

    /// What a container of an ECS task has in its environment: credentials come from the container credentials
    /// endpoint, cluster and task from the metadata endpoint.
    pub fn task_environment(&self) -> Vec<(String, String)> {
        let mut environment = self.environment_without_keys();
        let url = self.url();
        environment.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI".into(), format!("{url}{}", metadata::CREDENTIALS_PATH)));
        environment.push(("ECS_CONTAINER_METADATA_URI_V4".into(), format!("{url}{}", metadata::METADATA_PATH)));
        environment
    }

    fn environment_without_keys(&self) -> Vec<(String, String)> {
        let none = "/nonexistent";
        let pairs = [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_REGION", world::REGION.into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("AWS_CONFIG_FILE", none.into()),
            ("AWS_SHARED_CREDENTIALS_FILE", none.into()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Changes the world; calls from now on are answered from the new one.
    pub fn change<T>(&self, edit: impl FnOnce(&mut World) -> T) -> T {
        edit(&mut self.shared.lock().world)
    }

    /// Puts a fault in force.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.lock().faults.add(fault)
    }

    /// Ends a fault.
    pub fn clear_fault(&self, id: FaultId) {
        self.shared.lock().faults.clear(id);
    }

    /// Ends every fault.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear_all();
    }

    /// From now on calls beyond the documented request rates of ECS and Logs are throttled.
    pub fn enforce_quotas(&self) {
        self.shared.lock().quotas = Some(Quotas::default());
    }

    /// From now on unsigned requests are answered too; a signature that is present is still checked.
    pub fn accept_unsigned(&self) {
        self.shared.lock().accept_unsigned = true;
    }

    /// From now on every key given out so far is refused as expired, the static one included; keys that the
    /// credentials endpoint gives out later are good.
    pub fn expire_keys(&self) {
        for key in &mut self.shared.lock().keys {
            key.expires = Some(SystemTime::UNIX_EPOCH);
        }
    }

    /// The calls so far, in order of arrival (the last 20,000).
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.iter().cloned().collect()
    }

    /// The calls of one operation so far.
    pub fn calls_of(&self, op: &str) -> Vec<Call> {
        self.shared.lock().calls.iter().filter(|call| call.op == op).cloned().collect()
    }

    /// How many calls of one operation arrived (of the last 20,000 calls).
    pub fn count(&self, op: &str) -> usize {
        self.shared.lock().calls.iter().filter(|call| call.op == op).count()
    }

    /// Accepted log events in order of arrival (the last 200,000).
    pub fn events(&self) -> Vec<LogEvent> {
        self.events_after(0)
    }

    /// Accepted log events whose number is above `number`: pass the last number seen to read on.
    pub fn events_after(&self, number: u64) -> Vec<LogEvent> {
        self.shared.lock().logs.events_after(number).cloned().collect()
    }

    /// How many log events were accepted since the start.
    pub fn accepted_events(&self) -> u64 {
        self.shared.lock().logs.accepted()
    }

    /// The messages of all accepted events as JSON.
    ///
    /// # Panics
    /// When a message is not JSON.
    pub fn documents(&self) -> Vec<Value> {
        self.events().iter().map(LogEvent::json).collect()
    }

    /// The log groups that exist.
    pub fn groups(&self) -> Vec<Group> {
        self.shared.lock().logs.groups().cloned().collect()
    }

    /// Deletes a log group with its streams, as a person in the console would. Accepted events stay readable here.
    pub fn delete_group(&self, name: &str) {
        self.shared.lock().logs.delete_group(name);
    }

    /// Deletes a log stream.
    pub fn delete_stream(&self, group: &str, stream: &str) {
        self.shared.lock().logs.delete_stream(group, stream);
    }

    /// Takes AWS off the network: connections are closed and refused until [`FakeAws::resume`].
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Puts AWS back on the network.
    ///
    /// # Panics
    /// When its port was taken in the meantime.
    pub async fn resume(&self) {
        self.server.resume().await.unwrap_or_else(|error| panic!("cannot serve AWS again: {error}"));
    }
}

/// What the handlers share with the handle.
pub(crate) struct Shared {
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it edited the world must not hide its message behind a poisoned lock.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) keys: Vec<Key>,
    pub(crate) accept_unsigned: bool,
    pub(crate) quotas: Option<Quotas>,
    pub(crate) logs: Logs,
    pub(crate) calls: Calls,
}

/// An error that an API answers with.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("plain data with string keys is JSON")
}
