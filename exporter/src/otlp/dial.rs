//! Which address a connection goes to, and which name its requests carry: with `authority` or `server_name_override`
//! they are not the same. Finds addresses; connects to nothing.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::transport::Transport;

/// An endpoint, and the URL that requests to it carry.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As requests say it: its host is the name in TLS, in `:authority` or in `Host`.
    pub(super) said: Url,
    /// Where to connect to.
    host: String,
    port: u16,
    /// `said` has another host than the endpoint.
    pub(super) is_renamed: bool,
    /// Value of `Host`, when it is not the host of `said`.
    pub(super) host_header: Option<String>,
}

impl Target {
    pub(super) fn of(transport: &Transport) -> Target {
        let url = &transport.url;
        let mut target = Target {
            said: url.clone(),
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
            is_renamed: false,
            host_header: None,
        };
        let certificate = Some(transport.tls.server_name_override.as_str())
            // An address has no place in the handshake, and a proxy would look the name up.
            .filter(|name| !name.is_empty() && name.parse::<IpAddr>().is_err())
            .filter(|_| url.scheme() == "https" && !transport.behind_proxy);
        let Some(name) = transport.authority.as_deref().or(certificate) else { return target };
        let Ok(mut said) = Url::parse(&format!("{}://{name}/", url.scheme())) else { return target };
        said.set_path(url.path());
        said.set_query(url.query());
        if !transport.grpc {
            // The name is that of the certificate only.
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            target.host_header = Some(format!("{}{port}", url.host_str().unwrap_or_default()));
        }
        target.is_renamed = said.host_str() != url.host_str();
        target.said = said;
        target
    }

    /// Whether the endpoint is a name that may have several addresses.
    pub(super) fn is_name(&self) -> bool {
        self.host.parse::<IpAddr>().is_err()
    }

    /// All addresses of the endpoint, each once.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let failed = |e: std::io::Error| format!("cannot look up {}: {e}", self.host);
        let mut found: Vec<SocketAddr> =
            tokio::net::lookup_host((&*self.host, self.port)).await.map_err(failed)?.collect();
        found.sort_unstable();
        found.dedup();
        found.truncate(MAX_ADDRESSES);
        if found.is_empty() { Err(format!("{} has no address", self.host)) } else { Ok(found) }
    }
}

/// Addresses of one endpoint that are used.
const MAX_ADDRESSES: usize = 64;

/// Looks up the name that requests carry as the endpoint, and every other name as it is.
pub(super) struct Resolver {
    pub(super) target: Target,
    /// Only this address.
    pub(super) only: Option<SocketAddr>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let said = self.target.said.host_str().is_some_and(|host| host.eq_ignore_ascii_case(name.as_str()));
        let place = if said { (self.target.host.clone(), self.target.port) } else { (name.as_str().to_owned(), 0) };
        let only = self.only.filter(|_| said);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = match only {
                Some(address) => vec![address],
                None => tokio::net::lookup_host((&*place.0, place.1)).await?.collect(),
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
