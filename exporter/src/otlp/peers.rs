//! The HTTP clients of an exporter: one, or one for each address of the endpoint, which take turns (grpc-go:
//! `round_robin`). Reads certificates, looks up addresses; what is sent is the business of `transport`.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::dial::{Resolver, Target};
use super::transport::{Transport, chain};

/// Addresses are looked up again after this, so that new servers get their share.
const LOOK_UP_AFTER: Duration = Duration::from_secs(60);
/// Addresses are looked up again this long after the last time when one of them did not answer.
const LOOK_UP_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// An address that did not answer comes last for this long.
const AVOID: Duration = Duration::from_secs(10);

/// Makes clients and knows which one is next.
pub(super) struct Peers {
    transport: Transport,
    tls: Option<rustls::ClientConfig>,
    pub(super) target: Target,
    /// Several addresses are used.
    spread: bool,
    /// Requests that may be under way.
    pub(super) permits: Option<Semaphore>,
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    peers: Vec<Peer>,
    next: usize,
    look_up_at: Option<Instant>,
}

/// A client and the address it is for; without one it finds addresses itself.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) client: Client,
    address: Option<SocketAddr>,
    avoid_until: Option<Instant>,
}

impl Peers {
    /// Reads certificates and makes the first client.
    ///
    /// # Errors
    /// What cannot be read or used, naming the file.
    pub(super) fn new(transport: &Transport) -> Result<Peers, String> {
        let target = Target::of(transport);
        let http1_only = transport.http1_only || target.host_header.is_some();
        let alpn: &[&str] = match (transport.grpc, http1_only) {
            (true, _) => &["h2"],
            (false, false) => &["h2", "http/1.1"],
            (false, true) => &["http/1.1"],
        };
        let tls = match (transport.url.scheme(), transport.grpc) {
            ("https", _) => Some(transport.tls.client_config(alpn)?),
            // Otherwise each client would read the system's authorities, to use them never.
            (_, true) => Some(trusting_nobody()?),
            // There may be a redirection to `https`.
            (_, false) => None,
        };
        let spread = transport.spread && target.is_name() && !transport.behind_proxy;
        let permits = transport.max_requests.map(Semaphore::new);
        let peers = Peers { transport: transport.clone(), tls, target, spread, permits, turns: Mutex::default() };
        let first = peers.peer(None)?;
        if !spread {
            peers.turns().peers.push(first);
        }
        Ok(peers)
    }

    /// The clients to try in turn for one request; at least one.
    ///
    /// # Errors
    /// The endpoint has no address.
    pub(super) async fn next(&self) -> Result<Vec<Peer>, String> {
        let now = Instant::now();
        if self.spread && self.turns().look_up_at.is_none_or(|at| at <= now) {
            match self.target.addresses().await {
                Ok(addresses) => self.update(&addresses, now)?,
                // Those that were found before may still be right.
                Err(error) if self.turns().peers.is_empty() => return Err(error),
                Err(_) => self.turns().look_up_at = Some(now + LOOK_UP_AFTER_FAILURE),
            }
        }
        let mut turns = self.turns();
        let count = turns.peers.len().max(1);
        let first = turns.next % count;
        turns.next = first + 1;
        let mut order: Vec<Peer> = turns.peers.iter().cycle().skip(first).take(turns.peers.len()).cloned().collect();
        order.sort_by_key(|peer| peer.avoid_until.is_some_and(|until| now < until));
        Ok(order)
    }

    /// No connection to this one.
    pub(super) fn failed(&self, peer: &Peer) {
        let now = Instant::now();
        let mut turns = self.turns();
        if let Some(found) = turns.peers.iter_mut().find(|other| other.address == peer.address) {
            found.avoid_until = Some(now + AVOID);
        }
        let soon = now + LOOK_UP_AFTER_FAILURE;
        turns.look_up_at = turns.look_up_at.map(|at| at.min(soon));
    }

    fn update(&self, addresses: &[SocketAddr], now: Instant) -> Result<(), String> {
        let mut turns = self.turns();
        turns.look_up_at = Some(now + LOOK_UP_AFTER);
        turns.peers.retain(|peer| peer.address.is_some_and(|address| addresses.contains(&address)));
        for address in addresses {
            if !turns.peers.iter().any(|peer| peer.address == Some(*address)) {
                let peer = self.peer(Some(*address))?;
                turns.peers.push(peer);
            }
        }
        Ok(())
    }

    fn peer(&self, address: Option<SocketAddr>) -> Result<Peer, String> {
        let transport = &self.transport;
        let mut builder = Client::builder()
            .user_agent(&transport.user_agent)
            .pool_idle_timeout(transport.idle_timeout)
            .connect_timeout(transport.connect_timeout)
            .retry(reqwest::retry::never());
        if let Some(most) = transport.max_idle {
            builder = builder.pool_max_idle_per_host(most);
        }
        if transport.grpc {
            builder = builder.http2_prior_knowledge();
        } else if transport.http1_only || self.target.host_header.is_some() {
            builder = builder.http1_only();
        }
        if let Some((silence, pong, always)) = transport.keepalive {
            builder = builder
                .http2_keep_alive_interval(silence)
                .http2_keep_alive_timeout(pong)
                .http2_keep_alive_while_idle(always);
        }
        if !transport.behind_proxy {
            builder = builder.no_proxy();
        }
        if !transport.proxy.is_empty() {
            let proxy = reqwest::Proxy::all(&transport.proxy).map_err(|e| format!("proxy_url cannot be used: {e}"))?;
            builder = builder.proxy(proxy);
        }
        if let Some(tls) = &self.tls {
            builder = builder.tls_backend_preconfigured(tls.clone());
        }
        if address.is_some() || self.target.is_renamed {
            builder = builder.dns_resolver(Resolver { target: self.target.clone(), only: address });
        }
        let client = builder.build();
        let client = client.map_err(|e| format!("cannot make a client for {}: {}", transport.url, chain(&e)))?;
        Ok(Peer { client, address, avoid_until: None })
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trusting_nobody() -> Result<rustls::ClientConfig, String> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| format!("cannot make a client: {e}"))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use proto::BuildContext;

    use super::super::config::GrpcConfig;
    use super::*;

    fn peers(text: &str) -> Peers {
        let (node, _) = ::config::parse_yaml("test.yaml", text);
        let node = node.unwrap();
        let (config, _) = ::config::decode::<GrpcConfig>(&node);
        let mut found = Vec::new();
        let settings = config.unwrap().check(&node, &BuildContext::for_test("otlp"), &mut found).unwrap();
        assert_eq!(found, []);
        Peers::new(&settings.transport).unwrap()
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 4317))
    }

    async fn order(peers: &Peers) -> Vec<SocketAddr> {
        peers.next().await.unwrap().iter().filter_map(|peer| peer.address).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_take_turns_and_one_that_does_not_answer_comes_last_for_a_while() {
        let peers = peers("{endpoint: \"http://collector.test:4317\"}");
        let (a, b, c) = (address(1), address(2), address(3));
        peers.update(&[a, b, c], Instant::now()).unwrap();
        assert_eq!(order(&peers).await, [a, b, c]);
        assert_eq!(order(&peers).await, [b, c, a]);
        let failed = peers.next().await.unwrap().remove(0);
        peers.failed(&failed);
        assert_eq!(order(&peers).await, [a, b, c]);
        assert_eq!(order(&peers).await, [b, a, c]);
        // Once more before the addresses would be looked up again.
        peers.update(&[b, c], Instant::now()).unwrap();
        assert_eq!(order(&peers).await, [b, c]);
        tokio::time::advance(AVOID).await;
        peers.update(&[b, c], Instant::now()).unwrap();
        assert_eq!(order(&peers).await, [c, b]);
    }

    #[tokio::test]
    async fn one_client_finds_its_address_itself_for_an_address_and_with_pick_first() {
        for text in [
            "{endpoint: \"http://127.0.0.1:4317\"}",
            "{endpoint: \"http://collector.test:4317\", balancer_name: pick_first}",
        ] {
            let found = peers(text).next().await.unwrap();
            assert_eq!((found.len(), found[0].address), (1, None), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_is_said() {
        let error = peers("{endpoint: \"http://collector.invalid:4317\"}").next().await.err().unwrap();
        assert!(error.starts_with("cannot look up collector.invalid: "), "{error}");
    }
}
