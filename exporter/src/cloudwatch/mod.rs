//! CloudWatch Logs as a destination: events become `PutLogEvents` requests, requests are sent, groups and streams are
//! created when they are missing. Only this folder knows the Logs API; what an event says is `awsemf`'s business, and
//! queues and retries over time are `sender`'s.

mod batcher;
mod client;
mod connector;
mod errors;
mod load;
mod put;
mod request;
mod settings;
mod stdout;
mod streams;
mod template;

pub use batcher::{Batcher, MAX_AGE_MS, MAX_AHEAD_MS};
pub use load::Load;
pub use request::{Event, Lines, PutRequest, Request};
pub use settings::CloudWatchSettings;

use std::sync::Arc;

use proto::{BoxFuture, BuildContext};

use crate::Outcome;
use client::CloudWatch;

/// Where documents of an exporter go.
pub struct Target(Kind);

enum Kind {
    CloudWatch(Arc<CloudWatch>),
    Stdout,
}

impl Target {
    /// CloudWatch Logs. Reads nothing and connects to nothing before [`Target::start`].
    pub fn cloudwatch(settings: CloudWatchSettings, context: &BuildContext) -> Target {
        Target(Kind::CloudWatch(Arc::new(CloudWatch::new(settings, context))))
    }

    /// Standard output, one document a line; needs no region and no credentials.
    pub fn stdout() -> Target {
        Target(Kind::Stdout)
    }

    /// What makes requests for this target.
    pub fn batcher(&self) -> Batcher {
        match self.0 {
            Kind::CloudWatch(_) => Batcher::cloudwatch(),
            Kind::Stdout => Batcher::lines(),
        }
    }

    /// Finds region, endpoint and credentials provider. The error names what is missing.
    pub fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        match &self.0 {
            Kind::CloudWatch(cloudwatch) => Box::pin(cloudwatch.start()),
            Kind::Stdout => Box::pin(async { Ok(()) }),
        }
    }

    /// One attempt to deliver a request.
    pub fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Outcome> {
        match (&self.0, request) {
            (Kind::CloudWatch(cloudwatch), Request::Put(put)) => Box::pin(cloudwatch.send(put)),
            (Kind::Stdout, Request::Lines(lines)) => Box::pin(stdout::send(lines)),
            _ => Box::pin(async {
                Outcome::Permanent {
                    reason: "wrong_destination".into(),
                    code: None,
                    error: "the request was made for another destination".to_owned(),
                }
            }),
        }
    }
}
