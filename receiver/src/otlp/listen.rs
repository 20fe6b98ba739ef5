//! Opening the socket that a protocol listens on, and accepting from it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use config::Endpoint;
use proto::listen::{Family, listen};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// An open listener.
pub(super) enum Listener {
    Tcp(TcpListener),
    /// The socket file goes away with the listener.
    Unix(UnixListener, PathBuf),
}

/// An accepted connection.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Opens the endpoint. `transport` is `tcp`, `tcp4`, `tcp6` or `unix`.
    ///
    /// # Errors
    /// In Go's words: `listen tcp 127.0.0.1:4317: bind: address already in use`.
    pub(super) async fn bind(endpoint: &Endpoint, transport: &str) -> Result<Listener, String> {
        let Some(port) = endpoint.port() else { return bind_unix(endpoint.as_str()) };
        let family = match transport {
            "tcp4" => Family::V4,
            "tcp6" => Family::V6,
            _ => Family::Any,
        };
        let bound = listen(endpoint.host().unwrap_or_default(), port, family).await;
        bound.map(Listener::Tcp).map_err(|e| format!("listen {transport} {endpoint}: {}", reason(&e)))
    }

    /// The address that was bound, for logs.
    pub(super) fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map(|a| a.to_string()).unwrap_or_default(),
            Listener::Unix(_, path) => path.display().to_string(),
        }
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are small and complete; waiting for more to send would only delay them.
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Listener::Unix(listener, _) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

impl Socket {
    /// The other end, if it has an address.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().ok(),
            Socket::Unix(_) => None,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // Nothing to be done if somebody else removed it.
            std::fs::remove_file(path).ok();
        }
    }
}

fn bind_unix(path: &str) -> Result<Listener, String> {
    let bound = UnixListener::bind(path).or_else(|e| {
        // A socket file that nobody listens on is left over from a process that was killed.
        if e.kind() == io::ErrorKind::AddrInUse && std::os::unix::net::UnixStream::connect(path).is_err() {
            std::fs::remove_file(path)?;
            return UnixListener::bind(path);
        }
        Err(e)
    });
    bound.map(|l| Listener::Unix(l, path.into())).map_err(|e| format!("listen unix {path}: {}", reason(&e)))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "bind: address already in use".to_owned(),
        io::ErrorKind::PermissionDenied => "bind: permission denied".to_owned(),
        io::ErrorKind::AddrNotAvailable if error.raw_os_error().is_some() => {
            "bind: cannot assign requested address".to_owned()
        }
        _ => error.to_string(),
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Socket::Unix(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Socket::Unix(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Socket::Unix(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_flush(cx),
            Socket::Unix(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Socket::Unix(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
