//! The `otlp` (gRPC) and `otlphttp` exporters: batches as OTLP requests to another collector or a backend. A batch
//! that no processor edited is forwarded as the bytes that came in.

mod answer;
mod compress;
mod config;
mod dial;
mod peers;
mod transport;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use ::config::{Built, Diagnostic, Node, decode, has_errors};
use bytes::Bytes;
use proto::{Batch, BoxFuture, BuildContext, Uses, otlp};
use serde::de::DeserializeOwned;

use crate::sender::Sender;
use crate::{Encoded, Encoder, Exporter, ExporterFactory, ExporterNode, Outcome, OutgoingRequest};
use compress::Compression;
use config::OtlpSettings;
pub use config::{
    AuthConfig, CommonConfig, CompressionParams, Cookies, GrpcConfig, HttpConfig, KeepaliveConfig, Middleware,
};
use peers::Peers;
use transport::Transport;

/// The factory of `otlp`.
pub static FACTORY: ExporterFactory =
    ExporterFactory { kind: "otlp", build: |node, context| build(node, context, GrpcConfig::check) };

/// The factory of `otlphttp`.
pub static HTTP_FACTORY: ExporterFactory =
    ExporterFactory { kind: "otlphttp", build: |node, context| build(node, context, HttpConfig::check) };

type Check<C> = fn(&C, &Node, &BuildContext, &mut Vec<Diagnostic>) -> Option<OtlpSettings>;

fn build<C: DeserializeOwned>(node: &Node, context: &BuildContext, check: Check<C>) -> Built<Box<dyn ExporterNode>> {
    let (config, mut found) = decode::<C>(node);
    let Some(config) = config else { return (None, found) };
    let mut problems = Vec::new();
    let settings = check(&config, node, context, &mut problems);
    found.extend(problems.into_iter().map(|p| if p.span.is_none() { p.on(node) } else { p }));
    let Some(settings) = settings.filter(|_| !has_errors(&found)) else { return (None, found) };
    let exporter = OtlpExporter {
        transport: settings.transport,
        json: settings.json,
        compression: settings.compression,
        peers: OnceLock::new(),
    };
    (Some(Box::new(Sender::new(exporter, settings.sending, context))), found)
}

struct OtlpExporter {
    transport: Transport,
    json: bool,
    compression: Compression,
    peers: OnceLock<Peers>,
}

struct OtlpEncoder {
    json: bool,
    compression: Compression,
}

/// An encoded, compressed request.
struct OtlpRequest {
    body: Bytes,
    points: u64,
}

impl OutgoingRequest for OtlpRequest {
    fn size_bytes(&self) -> usize {
        self.body.len()
    }
    fn points(&self) -> u64 {
        self.points
    }
}

impl Encoder for OtlpEncoder {
    type Request = OtlpRequest;

    fn encode(&mut self, batch: &Batch, out: &mut Vec<OtlpRequest>) -> Encoded {
        let points = batch.points() as u64;
        let plain = match &batch.meta.raw {
            Some(raw) if !self.json => raw.clone(),
            _ => {
                let mut bytes = Vec::new();
                if self.json {
                    otlp::to_json(batch, &mut bytes);
                } else {
                    otlp::encode(batch, &mut bytes);
                }
                Bytes::from(bytes)
            }
        };
        let body = match self.compression.name {
            "" => plain,
            _ => match self.compression.compress(&plain) {
                Ok(body) => Bytes::from(body),
                Err(error) => {
                    tracing::error!(%error, "cannot compress a request");
                    return Encoded { kept: 0, dropped: vec![("compression".into(), points)] };
                }
            },
        };
        out.push(OtlpRequest { body, points });
        Encoded { kept: points, dropped: Vec::new() }
    }
}

impl Exporter for OtlpExporter {
    type Encoder = OtlpEncoder;

    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let peers = Peers::new(&self.transport)?;
            // A second start keeps the first clients.
            self.peers.get_or_init(|| peers);
            Ok(())
        })
    }

    fn uses(&self) -> Uses {
        Uses { request: !self.json, ..Uses::ALL }
    }

    fn encoder(&self) -> OtlpEncoder {
        OtlpEncoder { json: self.json, compression: self.compression }
    }

    fn send<'a>(&'a self, request: &'a OtlpRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.peers.get() {
                Some(peers) => self.transport.send(peers, &request.body, self.compression, self.json).await,
                None => {
                    Outcome::Retry { after: None, code: None, error: "the exporter has not been started".to_owned() }
                }
            }
        })
    }
}
