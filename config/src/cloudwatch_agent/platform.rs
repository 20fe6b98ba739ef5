//! Where the agent runs: on ECS, in another container, or on a host. Its answers are the agent's defaults. Asks the
//! task metadata endpoint of ECS once; nothing else.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::source::Env;

/// What decides the agent's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// `RUN_IN_CONTAINER` is `True`, or ECS gave a metadata endpoint.
    pub container: bool,
    /// The ECS task that this is a container of.
    pub task: Option<EcsTask>,
    /// Name of the host.
    pub host_name: Option<String>,
    /// `K8S_CLUSTER_NAME`, which names the cluster in containers that are not on ECS.
    pub kubernetes_cluster: Option<String>,
    /// Why the task's metadata could not be read, where there should be some.
    pub metadata_error: Option<String>,
}

/// What the task metadata says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsTask {
    /// Name of the cluster.
    pub cluster: String,
    /// Region, from the task's ARN.
    pub region: String,
}

const ENDPOINT_VARIABLES: [&str; 2] = ["ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"];
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 3;
/// Metadata of a task with many containers stays far below.
const MAX_ANSWER_BYTES: u64 = 4 << 20;

impl Platform {
    /// Looks at the environment and, where it names the endpoint, at the task's metadata.
    pub fn detect(env: &dyn Env) -> Platform {
        let variable = |name: &&str| env.var(name).filter(|value| !value.is_empty());
        let endpoint = ENDPOINT_VARIABLES.iter().find_map(variable);
        let container = env.var("RUN_IN_CONTAINER").as_deref() == Some("True") || endpoint.is_some();
        let host_name = variable(&"HOST_NAME").or_else(|| {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            Some(name.trim().to_owned()).filter(|name| !name.is_empty())
        });
        let kubernetes_cluster = variable(&"K8S_CLUSTER_NAME").filter(|_| container);
        let mut platform = Platform { container, host_name, kubernetes_cluster, ..Platform::default() };
        if let Some(endpoint) = endpoint {
            let url = format!("{}/task", endpoint.trim_end_matches('/'));
            let mut answer = Err(String::new());
            for _ in 0..ATTEMPTS {
                answer = get(&url).and_then(|body| task(&body));
                if answer.is_ok() {
                    break;
                }
            }
            match answer {
                Ok(task) => platform.task = Some(task),
                Err(why) => platform.metadata_error = Some(format!("{url}: {why}")),
            }
        }
        platform
    }
}

/// One plain HTTP request. The endpoint is on the machine itself, without TLS, proxies or redirects.
fn get(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").ok_or("it is no http:// address")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let text = |error: std::io::Error| error.to_string();
    let address = address.to_socket_addrs().map_err(text)?.next().ok_or("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(text)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(text)?;
    stream.set_write_timeout(Some(TIMEOUT)).map_err(text)?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).map_err(text)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
    let status = head.split_whitespace().nth(1).unwrap_or("");
    if status == "200" { Ok(body.to_owned()) } else { Err(format!("status {status}")) }
}

fn task(body: &str) -> Result<EcsTask, String> {
    let document: serde_json::Value = serde_json::from_str(body).map_err(|error| format!("no JSON: {error}"))?;
    let field = |name: &str| document[name].as_str().unwrap_or("");
    let cluster = field("Cluster").rsplit('/').next().unwrap_or("").to_owned();
    let region = field("TaskARN").split(':').nth(3).unwrap_or("").to_owned();
    match cluster.is_empty() || region.is_empty() {
        true => Err("it names no cluster or no usable task ARN".to_owned()),
        false => Ok(EcsTask { cluster, region }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_and_region_come_from_the_task_metadata() {
        let of = |cluster: &str, arn: &str| task(&format!("{{\"Cluster\":\"{cluster}\",\"TaskARN\":\"{arn}\"}}"));
        let arn = "arn:aws:ecs:us-west-2:123456789012:task/x/1";
        let expected = EcsTask { cluster: "x".into(), region: "us-west-2".into() };
        assert_eq!(of("x", arn), Ok(expected.clone()));
        assert_eq!(of("arn:aws:ecs:us-west-2:123456789012:cluster/x", arn), Ok(expected));
        assert!(of("x", "").is_err() && of("", arn).is_err() && task("no").is_err());
    }

    #[test]
    fn the_endpoint_is_asked_for_the_task() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v4/x", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            let body = "{\"Cluster\":\"c\",\"TaskARN\":\"arn:aws:ecs:eu-west-1:1:task/c/1\"}";
            stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let env = [("ECS_CONTAINER_METADATA_URI_V4", url.as_str()), ("HOST_NAME", "h")];
        let platform = Platform::detect(&env.as_slice());
        assert!(server.join().unwrap().starts_with("GET /v4/x/task HTTP/1.0\r\n"));
        let task = Some(EcsTask { cluster: "c".into(), region: "eu-west-1".into() });
        let expected = Platform { container: true, task, host_name: Some("h".into()), ..Platform::default() };
        assert_eq!(platform, expected);
        assert!(!Platform::detect(&[].as_slice()).container);
    }
}
