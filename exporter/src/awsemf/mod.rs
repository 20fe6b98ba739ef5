//! The `awsemf` exporter: data points become CloudWatch embedded metric format documents.
//!
//! This folder translates and groups; it never talks to AWS, that is `cloudwatch`, and never queues, that is `sender`.

mod bounds;
mod config;
mod cumulative;
mod delta;
mod destination;
mod document;
mod drops;
mod event;
mod exponential;
mod factory;
mod fields;
mod form;
mod group;
mod json;
mod kept;
mod labels;
mod layout;
mod lookup;
mod names;
mod number_texts;
mod placeholders;
mod plan;
mod points;
mod resource;
mod selection;
mod session;
mod shape;
mod slab;
#[cfg(test)]
mod tests;
mod translator;
mod units;
mod value;

pub use config::{
    AwsEmfConfig, DescriptorConfig, NO_ROLLUP_GATE, Output, ResourceConversion, TranslationSettings, Version,
};
pub use event::{Destination, EventRef, EventSink, MAX_BATCH_BYTES, MAX_DOCUMENT_BYTES};
pub use factory::FACTORY;
pub use form::Form;
pub use layout::Layout;
pub use session::AwsSessionConfig;
pub use translator::Translator;
