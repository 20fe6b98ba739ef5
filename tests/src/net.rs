//! Addresses for tests that run side by side: free ports and loopback addresses of one's own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A TCP port on 127.0.0.1 that nobody listens on now. Another process may take it in the meantime; prefer an own
/// address from [`free_ip`] where the listener may bind one.
///
/// # Panics
/// When the machine has no free port.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// A loopback address (127.x.y.z) that no other call in this process got, in a range of this process' own. On Linux
/// all of 127.0.0.0/8 is bindable without configuration, so any port of it is free.
pub fn free_ip() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    // 127.64.0.0 to 127.191.255.255: away from 127.0.0.1 and from the addresses of fixed scenarios.
    let third = low.wrapping_add((number / 254) as u8);
    Ipv4Addr::new(127, 64 + (high & 0x7f), third, (number % 254 + 1) as u8)
}

/// A loopback socket address with any free port, for a server that reports its port later.
pub fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_given_once_and_can_be_bound() {
        let addresses: Vec<_> = (0..600).map(|_| free_ip()).collect();
        let distinct: std::collections::BTreeSet<_> = addresses.iter().collect();
        assert_eq!(distinct.len(), addresses.len());
        assert!(addresses.iter().all(|ip| ip.is_loopback()));
        TcpListener::bind((addresses[0], 0)).unwrap();
    }
}
