//! Addresses that a component listens on or dials, as `host:port`. URLs are not its business.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// `host:port`, `:4317` (every address), `[::]:4317`, or the path of a Unix socket.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    text: String,
    address: Address,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Address {
    Tcp { host: String, port: u16 },
    Unix,
}

impl Endpoint {
    /// Reads an address. The error is the reason and what to write.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        let parsed = |address| Ok(Endpoint { text: text.to_owned(), address });
        if text.is_empty() {
            return Err("the endpoint is empty; write host:port, for example 0.0.0.0:4317".to_owned());
        }
        if text.starts_with(['/', '@']) {
            return parsed(Address::Unix);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            return Err(format!("{text:?} has a scheme; write {host} without {scheme}://"));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once("]:") {
                Some((host, port)) => (host, port),
                None => return Err(format!("{text:?} is not [address]:port")),
            },
            None => match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(format!(
                        "{text:?} has too many colons; write an IPv6 address in brackets, as [::1]:4317"
                    ));
                }
                Some((host, port)) => (host, port),
                None => return Err(format!("{text:?} has no port; write {text}:4317 for port 4317")),
            },
        };
        let port = port.parse().map_err(|_| format!("port {port:?} of {text:?} is not a number from 0 to 65535"))?;
        if host.chars().any(|c| c.is_whitespace() || c == '/') {
            return Err(format!("{host:?} is not a host name or address"));
        }
        parsed(Address::Tcp { host: host.to_owned(), port })
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host without brackets; empty for every address. `None` for a Unix socket.
    pub fn host(&self) -> Option<&str> {
        match &self.address {
            Address::Tcp { host, .. } => Some(host),
            Address::Unix => None,
        }
    }

    /// Port. `None` for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match &self.address {
            Address::Tcp { port, .. } => Some(*port),
            Address::Unix => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Endpoint, D::Error> {
        Endpoint::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        for (text, host, port) in [
            ("0.0.0.0:4317", "0.0.0.0", 4317),
            (":4317", "", 4317),
            ("[::]:1", "::", 1),
            ("localhost:0", "localhost", 0),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.host(), endpoint.port()), (Some(host), Some(port)), "{text}");
        }
        assert_eq!(Endpoint::parse("/run/x.sock").unwrap().host(), None);
        for bad in ["", "localhost", "http://localhost:1", "::1:4317", "a:b", "a:70000", "a b:1", "[::1]"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
