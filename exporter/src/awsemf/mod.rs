//! The `awsemf` exporter: data points become CloudWatch embedded metric format documents.
//!
//! This folder translates and groups; it never talks to AWS, that is `cloudwatch`, and never queues, that is `sender`.

mod event;

pub use event::{Destination, EventRef, EventSink, MAX_DOCUMENT_BYTES};
