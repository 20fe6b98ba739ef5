//! Serving the pages that people and load balancers look at: the health of the service and its own metrics.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use proto::Stop;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// For the head of a request; who asks nothing is not waited for.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// Answers over HTTP/1 until the stop, then ends when the requests in progress are answered. A client may end its side
/// after the request, as `nc -N` does, and gets its answer all the same.
pub async fn serve(listener: TcpListener, pages: Router, stop: Stop) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => _ = connections.spawn(answer(socket, pages.clone(), stop.clone())),
            // Out of descriptors, most likely: it passes when other connections close.
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn answer(socket: TcpStream, pages: Router, stop: Stop) {
    let mut server = http1::Builder::new();
    server.half_close(true).timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let mut connection = pin!(server.serve_connection(TokioIo::new(socket), TowerToHyperService::new(pages)));
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        tracing::debug!("connection of a page ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_client_that_ends_its_side_gets_its_answer_and_the_stop_ends_those_that_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            "slow"
        };
        let pages = Router::new().route("/", get(|| async { "page" })).route("/slow", get(slow));
        let stop = Stop::new();
        let serving = tokio::spawn(serve(listener, pages, stop.clone()));
        for (path, body) in [("/", "page"), ("/slow", "slow")].into_iter().cycle().take(20) {
            let mut client = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(body), "{path}: {answer:?}");
        }
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        idle.read_exact(&mut answer).await.unwrap();
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(serve(listener, Router::new(), Stop::new()));
        let connected = tokio::time::Instant::now();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(connected.elapsed() >= HEAD_TIME, "{:?}", connected.elapsed());
    }
}
