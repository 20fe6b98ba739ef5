//! Opening a TCP listener, the same for everything that listens: which of a name's addresses is taken, and what an
//! empty host means.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, lookup_host};

/// Which addresses may be listened on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Any; IPv4 first.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// `EAFNOSUPPORT` of Linux.
const AF_NOT_SUPPORTED: i32 = 97;

/// Listens on `host`, a name or an address (in brackets or not); when it is empty, on every address. A name with several
/// addresses is listened to on its first IPv4 address, as in Go: `localhost` is where clients of `127.0.0.1` look.
///
/// # Errors
/// The name has no such address, or the address is taken or not of this machine.
pub async fn listen(host: &str, port: u16, family: Family) -> io::Result<TcpListener> {
    if host.is_empty() {
        return listen_everywhere(port, family).await;
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found = lookup_host((host, port)).await?;
    match chosen(found, family) {
        Some(address) => TcpListener::bind(address).await,
        None => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no suitable address")),
    }
}

async fn listen_everywhere(port: u16, family: Family) -> io::Result<TcpListener> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    if family == Family::V4 {
        return TcpListener::bind(v4).await;
    }
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        // A host without IPv6 has no `[::]`; everything that is left is `0.0.0.0`.
        Err(e) if e.raw_os_error() == Some(AF_NOT_SUPPORTED) && family == Family::Any => TcpListener::bind(v4).await,
        bound => bound,
    }
}

fn chosen(found: impl Iterator<Item = SocketAddr>, family: Family) -> Option<SocketAddr> {
    let fits = |address: &SocketAddr| match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    // The first of equals.
    found.filter(fits).min_by_key(SocketAddr::is_ipv6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_names_addresses_the_first_ipv4_one_is_taken() {
        let found = |texts: &[&str], family| {
            chosen(texts.iter().map(|text| text.parse().unwrap()), family).map(|address| address.to_string())
        };
        let localhost = ["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"];
        assert_eq!(found(&localhost, Family::Any).as_deref(), Some("127.0.0.1:1"));
        assert_eq!(found(&localhost, Family::V4).as_deref(), Some("127.0.0.1:1"));
        assert_eq!(found(&localhost, Family::V6).as_deref(), Some("[::1]:1"));
        assert_eq!(found(&["[::1]:1", "[::2]:1"], Family::Any).as_deref(), Some("[::1]:1"));
        assert_eq!(found(&["[::1]:1"], Family::V4), None);
    }

    #[tokio::test]
    async fn hosts_are_names_addresses_or_nothing() {
        for host in ["localhost", "127.0.0.1", ""] {
            let listener = listen(host, 0, Family::Any).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            let taken = listen(host, port, Family::Any).await.unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "{host}");
        }
        let everywhere = listen("", 0, Family::V4).await.unwrap().local_addr().unwrap();
        assert_eq!(everywhere.ip(), Ipv4Addr::UNSPECIFIED);
        assert_eq!(listen("127.0.0.1", 0, Family::V6).await.unwrap_err().to_string(), "no suitable address");
    }
}
