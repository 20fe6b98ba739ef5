//! How much memory this process may use: cgroup v2, cgroup v1, ECS task metadata, the host; the smallest that tells.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// Longest answer of the metadata endpoint that is read.
const MAX_ANSWER_BYTES: u64 = 1 << 20;
/// Patience with the metadata endpoint, which answers from the same host.
const PATIENCE: Duration = Duration::from_secs(2);
/// cgroup v1 writes a number near 2^63 for "no limit".
const NO_LIMIT: u64 = 1 << 60;

/// Total memory in bytes. `root` is `/`, or a folder of a test; `metadata` is `ECS_CONTAINER_METADATA_URI_V4`.
pub(super) fn total_bytes(root: &Path, metadata: Option<&str>) -> Option<u64> {
    let cgroup = ["sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(root.join(file)).ok()?.trim().parse::<u64>().ok())
        .find(|bytes| *bytes < NO_LIMIT);
    // On Fargate with a task-level limit only, the container's cgroup shows none; the metadata does.
    let limit = cgroup.or_else(|| metadata.and_then(task_limit));
    let host = host_bytes(root);
    match (limit, host) {
        (Some(limit), Some(host)) => Some(limit.min(host)),
        (limit, host) => limit.or(host),
    }
}

fn host_bytes(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The smaller of the container's and the task's `Limits.Memory`, which are MiB.
fn task_limit(uri: &str) -> Option<u64> {
    let limits = [uri.to_owned(), format!("{uri}/task")].into_iter().filter_map(|uri| {
        let answer = get(&uri)?;
        let value: serde_json::Value = serde_json::from_slice(&answer).ok()?;
        value.pointer("/Limits/Memory")?.as_f64().filter(|mib| *mib >= 1.0)
    });
    limits.map(|mib| (mib * 1024.0 * 1024.0) as u64).min()
}

/// A GET of an `http://host[:port]/path` on the same host; the body.
fn get(uri: &str) -> Option<Vec<u8>> {
    let rest = uri.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = address.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    // HTTP/1.0: the answer ends with the connection and is not chunked.
    stream.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).ok()?;
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let ok = answer.get(9..12) == Some(b"200");
    ok.then(|| answer.split_off(head + 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A folder that looks like `/` with these files.
    fn root(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("memory-limiter-{}-{name}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    /// Answers the two paths of task metadata.
    fn metadata(container: &'static str, task: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/v4/abc", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                let mut request = [0; 512];
                let n = stream.read(&mut request).unwrap();
                let task_asked = String::from_utf8_lossy(&request[..n]).starts_with("GET /v4/abc/task ");
                let body = if task_asked { task } else { container };
                write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        uri
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_cgroup_limit_of_either_version_comes_first() {
        let v2 = root("v2", &[("sys/fs/cgroup/memory.max", "536870912\n"), MEMINFO]);
        assert_eq!(total_bytes(&v2, None), Some(512 << 20));
        let v1 = root("v1", &[("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"), MEMINFO]);
        assert_eq!(total_bytes(&v1, None), Some(256 << 20));
    }

    #[test]
    fn without_a_cgroup_limit_task_metadata_tells_and_then_the_host() {
        let max = root("max", &[("sys/fs/cgroup/memory.max", "max\n"), MEMINFO]);
        let uri = metadata(r#"{"Limits":{"CPU":2}}"#, r#"{"Limits":{"CPU":0.25,"Memory":512}}"#);
        assert_eq!(total_bytes(&max, Some(&uri)), Some(512 << 20));
        let unlimited = [("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"), MEMINFO];
        assert_eq!(total_bytes(&root("unlimited", &unlimited), None), Some(8 << 30));
    }

    #[test]
    fn the_smaller_of_container_and_task_limit_counts() {
        let none = root("both", &[MEMINFO]);
        let uri = metadata(r#"{"Limits":{"Memory":128}}"#, r#"{"Limits":{"Memory":512}}"#);
        assert_eq!(total_bytes(&none, Some(&uri)), Some(128 << 20));
    }
}
