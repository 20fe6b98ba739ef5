//! The `otlp` receiver: metrics pushed over gRPC and HTTP. Opens listeners and turns request bodies into batches;
//! knows nothing of what happens to them. Traces and logs are not taken and never acknowledged.

mod body;
mod buffers;
pub mod config;
mod cors;
mod direct;
mod early;
mod grpc;
mod http;
mod inflate;
mod listen;
mod pings;
mod read_ahead;
mod room;
mod server;
mod sink;
#[cfg(test)]
mod tests;
mod tls;
mod wrapper;

use std::sync::Arc;
use std::time::Duration;

use ::config::types::tls::ServerTls;
use ::config::{Built, Diagnostic, GoDuration, Node, Spanned};
use proto::auth::ServerAuth;
use proto::{BoxFuture, BuildContext, Next, Stop, Task};
use tokio::task::JoinSet;

use self::config::{Config, Grpc, Http};
pub use self::direct::Direct;
use self::direct::Service;
use self::grpc::GrpcHandler;
use self::http::HttpHandler;
use self::listen::Listener;
use self::pings::PingPolicy;
use self::room::Room;
use self::server::{Limits, serve};
use self::sink::Sink;
use self::tls::Tls;
use crate::{Receiver, ReceiverFactory};

/// The factory of `otlp`.
pub static FACTORY: ReceiverFactory = ReceiverFactory { kind: "otlp", build };

struct OtlpReceiver {
    context: BuildContext,
    grpc: Option<(Grpc, Option<Arc<dyn ServerAuth>>)>,
    http: Option<(Http, Option<Arc<dyn ServerAuth>>)>,
    room: Arc<Room>,
}

fn build(node: &Node, context: &BuildContext) -> Built<Box<dyn Receiver>> {
    let (receiver, found) = receiver(node, context);
    (receiver.map(|receiver| Box::new(receiver) as Box<dyn Receiver>), found)
}

fn receiver(node: &Node, context: &BuildContext) -> Built<OtlpReceiver> {
    let (config, mut found) = config::read(node);
    let Some(Config { protocols }) = config else { return (None, found) };
    let protocols = protocols.value;
    let mut with_auth = |id: Option<&Spanned<String>>| authenticator(id?, context, &mut found);
    let grpc = protocols.grpc.into_option().map(|grpc| {
        let auth = with_auth(grpc.auth.as_ref().map(|auth| &auth.authenticator));
        (grpc, auth)
    });
    let http = protocols.http.into_option().map(|http| {
        let auth = with_auth(http.auth.as_ref().map(|auth| &auth.authenticator));
        (http, auth)
    });
    let largest =
        [grpc.as_ref().map(|(grpc, _)| grpc.message_bytes()), http.as_ref().map(|(http, _)| http.body_bytes())];
    let room = Arc::new(Room::new(largest.into_iter().flatten().max().unwrap_or_default()));
    (Some(OtlpReceiver { context: context.clone(), grpc, http, room }), found)
}

fn authenticator(
    id: &Spanned<String>,
    context: &BuildContext,
    found: &mut Vec<Diagnostic>,
) -> Option<Arc<dyn ServerAuth>> {
    let server = context.auth.get(id.as_str()).map(|offer| offer.server.clone());
    match server {
        Some(Some(server)) => return Some(server),
        Some(None) => {
            let problem = id.error(format!("extension {:?} cannot authenticate incoming requests", id.value));
            found.push(problem.help("use basicauth or bearertokenauth"));
        }
        None if id.is_empty() => {}
        None => {
            let problem = id.error(format!("failed to resolve authenticator {:?}: authenticator not found", id.value));
            found.push(problem.help("configure the extension and list it under service::extensions"));
        }
    }
    None
}

impl Receiver for OtlpReceiver {
    fn start(self: Box<Self>, next: Next, stop: Stop) -> BoxFuture<'static, Result<Task, String>> {
        Box::pin(async move {
            let mut servers = JoinSet::new();
            let id = &self.context.id;
            // Both are opened before either serves: a receiver runs as a whole or not at all.
            let grpc = match &self.grpc {
                Some((grpc, _)) => Some(self::open(&grpc.endpoint, &grpc.transport, grpc.tls.as_ref(), &["h2"]).await?),
                None => None,
            };
            let http = match &self.http {
                Some((http, _)) => {
                    Some(self::open(&http.endpoint, "tcp", http.tls.as_ref(), &["h2", "http/1.1"]).await?)
                }
                None => None,
            };
            if let (Some((limits, handler)), Some((listener, tls))) = (self.grpc_service(&next), grpc) {
                tracing::info!(receiver = %id, endpoint = %listener.address(), "Starting GRPC server");
                servers.spawn(serve(listener, tls, limits, handler, stop.clone()));
            }
            if let (Some((limits, handler)), Some((listener, tls))) = (self.http_service(&next), http) {
                tracing::info!(receiver = %id, endpoint = %listener.address(), "Starting HTTP server");
                servers.spawn(serve(listener, tls, limits, handler, stop));
            }
            tracing::info!(receiver = %id, "Metrics are received; traces and logs are answered with unimplemented");
            let task: Task = Box::pin(async move {
                while let Some(done) = servers.join_next().await {
                    done.map_err(|e| format!("a listener failed: {e}"))?;
                }
                Ok(())
            });
            Ok(task)
        })
    }
}

impl OtlpReceiver {
    fn grpc_service(&self, next: &Next) -> Option<Service<GrpcHandler>> {
        let (config, auth) = self.grpc.as_ref()?;
        let (bytes, metadata) = (config.message_bytes(), config.include_metadata);
        let sink = Sink::new(next.clone(), self.room.clone(), &self.context, "grpc", bytes, metadata, auth.clone());
        Some((Arc::new(grpc_limits(config)), Arc::new(GrpcHandler::new(sink, bytes))))
    }

    fn http_service(&self, next: &Next) -> Option<Service<HttpHandler>> {
        let (config, auth) = self.http.as_ref()?;
        let (bytes, metadata) = (config.body_bytes(), config.include_metadata);
        let sink = Sink::new(next.clone(), self.room.clone(), &self.context, "http", bytes, metadata, auth.clone());
        Some((Arc::new(http_limits(config)), Arc::new(HttpHandler::new(config, sink))))
    }
}

async fn open(
    endpoint: &::config::Endpoint,
    transport: &str,
    tls: Option<&ServerTls>,
    alpn: &[&'static str],
) -> Result<(Listener, Option<Arc<Tls>>), String> {
    let tls = tls.map(|tls| Tls::new(tls, alpn).map(Arc::new)).transpose()?;
    Ok((Listener::bind(endpoint, transport).await?, tls))
}

fn positive(duration: GoDuration) -> Option<Duration> {
    (duration.nanos() > 0).then(|| duration.to_std())
}

fn grpc_limits(config: &Grpc) -> Limits {
    let keepalive = config.keepalive.as_ref();
    let server = keepalive.and_then(|k| k.server_parameters.as_ref()).cloned().unwrap_or_default();
    let size = |bytes: i64| usize::try_from(bytes).ok().filter(|&bytes| bytes > 0);
    Limits {
        http2_only: true,
        max_concurrent_streams: (config.max_concurrent_streams > 0).then_some(config.max_concurrent_streams),
        read_buffer: size(*config.read_buffer_size),
        write_buffer: size(*config.write_buffer_size),
        max_idle: positive(server.max_connection_idle),
        max_age: positive(server.max_connection_age),
        max_age_grace: positive(server.max_connection_age_grace),
        ping_after: Some(positive(server.time).unwrap_or(Duration::from_secs(7200))),
        ping_timeout: positive(server.timeout),
        pings: keepalive.and_then(|k| k.enforcement_policy.as_ref()).map(|policy| PingPolicy {
            min_time: policy.min_time.to_std(),
            permit_without_stream: policy.permit_without_stream,
        }),
        ..Limits::default()
    }
}

fn http_limits(config: &Http) -> Limits {
    let read = positive(config.read_timeout);
    Limits {
        max_idle: positive(config.idle_timeout).or(read),
        header_timeout: positive(config.read_header_timeout).or(read),
        close_after_request: !config.keep_alives_enabled,
        ..Limits::default()
    }
}
