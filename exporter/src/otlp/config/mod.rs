//! The settings of `otlp` (gRPC) and `otlphttp` and what is wrong with them. Connects to nothing.

mod common;
mod grpc;
mod http;

use config::{Diagnostic, Spanned};
use serde::Deserialize;

use super::compress::Compression;
use super::transport::Transport;
use crate::sender::SenderSettings;
pub use common::{AuthConfig, CommonConfig};
pub use grpc::{GrpcConfig, KeepaliveConfig};
pub use http::{CompressionParams, Cookies, HttpConfig};

/// A checked exporter: how batches become requests and where they go.
#[derive(Clone)]
pub(crate) struct OtlpSettings {
    pub(crate) transport: Transport,
    pub(crate) json: bool,
    pub(crate) compression: Compression,
    pub(crate) sending: SenderSettings,
}

/// An entry of `middlewares`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Middleware {
    /// Id of an extension.
    pub id: String,
}

/// This binary has no extension that stands between an exporter and its connection.
fn refuse_middlewares(list: &Spanned<Vec<Middleware>>, found: &mut Vec<Diagnostic>) {
    if let Some(first) = list.first() {
        let problem = list.error(format!("middleware {:?} does not exist, this binary has none", first.id));
        found.push(problem.help("remove the key"));
    }
}
