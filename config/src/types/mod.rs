//! The types that settings are made of. Each reads itself from text and says what is wrong with it.

mod byte_size;
mod endpoint;
mod go_duration;
mod headers;
mod prom_duration;
mod secret;
pub mod tls;
mod units;

pub use byte_size::ByteSize;
pub use endpoint::Endpoint;
pub use go_duration::GoDuration;
pub use headers::Headers;
pub use prom_duration::PromDuration;
pub use secret::Secret;
pub use units::CLOUDWATCH_UNITS;
