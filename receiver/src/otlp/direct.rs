//! Connections that the caller brings: answered as those of the listeners are, without a socket. For fuzz targets and
//! benches; a running receiver opens its own.

use std::sync::Arc;

use config::{Built, Node};
use proto::{BuildContext, Next, Stop};
use tokio::io::{AsyncRead, AsyncWrite};

use super::grpc::GrpcHandler;
use super::http::HttpHandler;
use super::server::{Limits, serve_stream};
use super::{OtlpReceiver, receiver};

/// The protocols of an `otlp` section, ready for connections. TLS is left out.
pub struct Direct {
    grpc: Option<Service<GrpcHandler>>,
    http: Option<Service<HttpHandler>>,
    stop: Stop,
}

/// How connections of a protocol are treated, and who answers their requests.
pub(super) type Service<H> = (Arc<Limits>, Arc<H>);

impl Direct {
    /// Checks the section as the receiver does; batches go to `next`.
    pub fn build(node: &Node, context: &BuildContext, next: &Next) -> Built<Direct> {
        let (receiver, found) = receiver(node, context);
        let direct = receiver.map(|receiver: OtlpReceiver| Direct {
            grpc: receiver.grpc_service(next),
            http: receiver.http_service(next),
            stop: Stop::new(),
        });
        (direct, found)
    }

    /// Serves a connection of the HTTP listener until it ends; at once when the section has no `http`.
    pub async fn http(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        if let Some((limits, handler)) = self.http.clone() {
            serve_stream(stream, limits, handler, self.stop.clone()).await;
        }
    }

    /// Serves a connection of the gRPC listener until it ends; at once when the section has no `grpc`.
    pub async fn grpc(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        if let Some((limits, handler)) = self.grpc.clone() {
            serve_stream(stream, limits, handler, self.stop.clone()).await;
        }
    }
}
