//! What lives how long: requests at the stop, idle and old connections, slow clients; and what is kept of a request.

use std::sync::Arc;
use std::time::Duration;

use proto::{Batch, BuildContext, Next, Refusal, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use super::{FACTORY, Running, free_port, request, start};

/// The head of a request with a body of this length.
fn head(length: usize) -> String {
    format!(
        "POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
    )
}

async fn connect(to: &Running) -> TcpStream {
    TcpStream::connect(("127.0.0.1", to.http)).await.unwrap()
}

/// Everything that comes until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut out)).await.unwrap().unwrap();
    String::from_utf8_lossy(&out).into_owned()
}

#[tokio::test]
async fn the_stop_waits_for_requests_in_progress_and_closes_idle_connections() {
    let (gate, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (opened, seen) = (gate.clone(), arrived.clone());
    let next = Next::new(move |_: Batch| -> proto::BoxFuture<'static, Result<(), Refusal>> {
        let (gate, arrived) = (opened.clone(), seen.clone());
        Box::pin(async move {
            arrived.add_permits(1);
            gate.acquire().await.unwrap().forget();
            Ok(())
        })
    });
    let port = free_port();
    let text = format!("protocols: {{http: {{endpoint: \"127.0.0.1:{port}\"}}}}");
    let (node, _) = config::parse_yaml("test.yaml", &text);
    let (receiver, _) = (FACTORY.build)(&node.unwrap(), &BuildContext::for_test("otlp"));
    let stop = Stop::new();
    let task = tokio::spawn(receiver.unwrap().start(next, stop.clone()).await.unwrap());
    let mut idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut busy = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let body = request(1);
    busy.write_all(head(body.len()).as_bytes()).await.unwrap();
    busy.write_all(&body).await.unwrap();
    arrived.acquire().await.unwrap().forget();
    stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert!(!task.is_finished());
    gate.add_permits(1);
    assert!(rest(&mut busy).await.starts_with("HTTP/1.1 200 OK\r\n"));
    task.await.unwrap().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn idle_and_slow_clients_are_cut_off_where_a_limit_is_set() {
    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\", idle_timeout: 50ms}}").await;
    let mut client = connect(&to).await;
    assert_eq!(rest(&mut client).await, "");

    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\", read_header_timeout: 50ms}}").await;
    let mut client = connect(&to).await;
    client.write_all(b"POST /v1/metrics HTTP/1.1\r\nhost:").await.unwrap();
    assert_eq!(rest(&mut client).await, "");

    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\", read_timeout: 50ms}}").await;
    let mut client = connect(&to).await;
    client.write_all(head(1000).as_bytes()).await.unwrap();
    assert_eq!(rest(&mut client).await, "");

    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\", write_timeout: 50ms}}").await;
    let mut client = connect(&to).await;
    client.write_all(head(1000).as_bytes()).await.unwrap();
    assert_eq!(rest(&mut client).await, "");

    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\", keep_alives_enabled: false}}").await;
    let mut client = connect(&to).await;
    client.write_all(head(0).as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close"), "{answer}");
}

/// Speaks HTTP/2 by hand: preface, settings, then these frames; true if the server closes the connection.
async fn is_closed_after(to: &Running, frames: &[u8]) -> bool {
    let mut client = TcpStream::connect(("127.0.0.1", to.grpc)).await.unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    client.write_all(frames).await.unwrap();
    let mut out = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut out)).await.is_ok()
}

#[tokio::test]
async fn grpc_connections_have_an_age_an_idle_time_and_a_number_of_pings() {
    let keepalive = |text: &str| format!("protocols: {{grpc: {{endpoint: \"localhost:GRPC\", keepalive: {text}}}}}");
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(4);
    for (text, frames) in [
        ("{server_parameters: {max_connection_age: 50ms, max_connection_age_grace: 50ms}}", &[][..]),
        ("{server_parameters: {max_connection_idle: 50ms}}", &[]),
        ("{server_parameters: {time: 50ms, timeout: 50ms}}", &[]),
        ("{enforcement_policy: {min_time: 10s, permit_without_stream: true}}", &ping),
    ] {
        let to = start(&keepalive(text)).await;
        assert!(is_closed_after(&to, frames).await, "{text}");
        to.finish().await;
    }
}

#[tokio::test]
async fn a_unix_socket_serves_and_goes_away_with_the_receiver() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("otlp.sock");
    // A file that a killed process left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let config = format!("protocols: {{grpc: {{endpoint: \"{}\", transport: unix}}}}", path.display());
    let to = start(&config).await;
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the server's settings");
    to.finish().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_taken_port_stops_the_start_in_gos_words() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let text = format!("protocols: {{grpc: {{endpoint: \"localhost:0\"}}, http: {{endpoint: \"{address}\"}}}}");
    let (node, _) = config::parse_yaml("test.yaml", &text);
    let (receiver, _) = (FACTORY.build)(&node.unwrap(), &BuildContext::for_test("otlp"));
    let never = Next::new(|_: Batch| -> proto::BoxFuture<'static, Result<(), Refusal>> { unreachable!() });
    let error = receiver.unwrap().start(never, Stop::new()).await.err().unwrap();
    assert_eq!(error, format!("listen tcp {address}: bind: address already in use"));
}

#[tokio::test]
async fn metadata_and_response_headers_are_kept_as_configured() {
    let config = "protocols: {http: {endpoint: \"localhost:HTTP\", include_metadata: true, response_headers: {x-who: me}, metrics_url_path: /push}}";
    let to = start(config).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(format!("http://localhost:{}/push", to.http))
        .header("content-type", "application/x-protobuf")
        .header("X-Tenant", "a")
        .header("X-Tenant", "b")
        .body(request(1))
        .send()
        .await
        .unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("x-who").unwrap().to_str().unwrap()), (200, "me"));
    let kept = to.batches.lock().unwrap()[0].meta.client.clone().unwrap();
    let tenant = kept.iter().find(|(name, _)| name == "x-tenant").unwrap();
    assert_eq!(tenant.1, ["a", "b"]);
    let answer = client.post(format!("http://localhost:{}/v1/metrics", to.http)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("x-who").unwrap().to_str().unwrap()), (404, "me"));
}

#[tokio::test]
async fn broken_requests_harm_nobody_else() {
    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\"}}").await;
    let body = request(1);
    for bytes in [&b"\0\x01\x02 nonsense\r\n\r\n"[..], b"POST /v1/metrics HTTP/1.1\r\ncontent-length: x\r\n\r\n"] {
        let mut client = connect(&to).await;
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        assert!(rest(&mut client).await.starts_with("HTTP/1.1 400"));
    }
    let mut cut = connect(&to).await;
    cut.write_all(head(body.len()).as_bytes()).await.unwrap();
    cut.write_all(&body[..5]).await.unwrap();
    cut.shutdown().await.unwrap();
    rest(&mut cut).await;
    let mut good = connect(&to).await;
    good.write_all(head(body.len()).as_bytes()).await.unwrap();
    good.write_all(&body).await.unwrap();
    good.shutdown().await.unwrap();
    assert!(rest(&mut good).await.starts_with("HTTP/1.1 200"));
    assert_eq!(to.points(), 1);
}

#[tokio::test]
async fn a_client_that_ends_its_side_after_the_request_gets_its_answer() {
    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\"}}").await;
    let body = request(1);
    for (round, delay) in [Duration::ZERO, Duration::from_millis(5)].into_iter().enumerate() {
        *to.delay.lock().unwrap() = delay;
        for n in 1..=50 {
            let mut client = connect(&to).await;
            client.write_all(&[head(body.len()).as_bytes(), &body].concat()).await.unwrap();
            client.shutdown().await.unwrap();
            let answer = rest(&mut client).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{n}: {answer:?}");
            assert_eq!(to.points(), 50 * round + n);
        }
    }
    assert_eq!(to.counted("http"), (100, 0));
    to.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_body_that_does_not_come_in_time_gives_its_room_to_others() {
    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\", max_request_body_size: 67108864}}").await;
    let mut slow = connect(&to).await;
    slow.write_all(head(62 << 20).as_bytes()).await.unwrap();
    slow.write_all(&vec![0; 2 << 20]).await.unwrap();
    // Passes when everything is idle: what came is read.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let body = request(300_000);
    let mut other = connect(&to).await;
    let (mut reading, mut writing) = other.split();
    let begun = tokio::time::Instant::now();
    let sending = async {
        writing.write_all(&[head(body.len()).as_bytes(), &body].concat()).await.unwrap();
        let mut status = [0; 12];
        reading.read_exact(&mut status).await.unwrap();
        status
    };
    let (mut rest, mut nothing) = (Vec::new(), 0);
    let closed = async { nothing = slow.read_to_end(&mut rest).await.unwrap_or_default() };
    let (status, ()) = tokio::join!(sending, closed);
    assert_eq!((&status, nothing), (b"HTTP/1.1 200", 0));
    assert!(begun.elapsed() >= Duration::from_secs(58), "{:?}", begun.elapsed());
    assert_eq!(to.points(), 300_000);
}
