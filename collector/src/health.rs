//! `otelcol-ecs health`: asks the health_check extension of a collector on this machine, for container health checks.

use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
/// Longest time for the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Prints `STATUS: 200` and succeeds when the collector is ready; fails with what it got instead.
pub(crate) async fn ask(port: u16, path: &str) -> ExitCode {
    let asked = tokio::time::timeout(TIMEOUT, exchange(port, path)).await;
    let (text, code) = match asked {
        Ok(Ok(200)) => ("STATUS: 200".to_owned(), ExitCode::SUCCESS),
        Ok(Ok(status)) => (format!("STATUS: {status}"), ExitCode::FAILURE),
        Ok(Err(e)) => (format!("unable to retrieve health status: {e}"), ExitCode::FAILURE),
        Err(_) => ("unable to retrieve health status: no answer within 5 s".to_owned(), ExitCode::FAILURE),
    };
    crate::cli::write_stdout(&(text + "\n"));
    code
}

async fn exchange(port: u16, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    let head = String::from_utf8_lossy(&answer);
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|s| s.parse().ok());
    status.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}
