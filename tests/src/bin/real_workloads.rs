//! NGINX and Redis as AWS documents them for the CloudWatch agent, with the real servers and exporters: starts them on
//! loopback as tasks of a scripted ECS, runs the real agent with the documented configurations, makes requests, and
//! checks the metrics that CloudWatch would extract. Ends with an error when a server is not installed.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use serde_json::json;
use tests::fake::cloudwatch::{Datum, extract};
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{FakeAws, World, fargate_task};
use tests::{Agent, free_ip, wait_until};

/// The configuration that AWS documents, with all its workloads.
const JSON: &str = include_str!("../../golden/cloudwatch_agent/workloads.json");
const SCRAPE: &str = "
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: cwagent-ecs-file-sd-config
  sample_limit: 10000
  file_sd_configs: [{files: [\"/tmp/cwagent_ecs_auto_sd.yaml\"]}]
";
const CLUSTER: &str = "demo";
const NAMESPACE: &str = "ECS/ContainerInsights/Prometheus";
const PROGRAMS: [&str; 4] = ["nginx", "redis-server", "prometheus-nginx-exporter", "prometheus-redis-exporter"];
/// Ports of the exporters: one that Docker chose on the host, one as it is in the container.
const NGINX_EXPORTER_PORT: u16 = 32771;
const REDIS_EXPORTER_PORT: u16 = 9121;
/// Ports of the servers, on addresses of their own.
const NGINX_PORT: u16 = 18080;
const REDIS_PORT: u16 = 16379;
/// Requests to NGINX, and keys for Redis after the first.
const REQUESTS: u32 = 25;
const MORE_KEYS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|name| find(name).is_none()).collect();
    if !missing.is_empty() {
        eprintln!("not installed: {}; tests/real-workloads/run.sh installs what is missing", missing.join(", "));
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let host = free_ip();
    let task = free_ip();
    let servers = start_servers(folder.path(), host, task);
    check(host, task).await;
    drop(servers);
    println!("NGINX and Redis gave the metrics of their dashboards");
    ExitCode::SUCCESS
}

/// The path of a program; `/usr/sbin` is not in everybody's `PATH`.
fn find(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A server that ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the checks have noticed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(name: &str, args: &[&str], folder: &Path) -> Server {
    let path = find(name).expect("it was found before");
    let log = std::fs::File::create(folder.join(format!("{name}.log"))).expect("the folder can be written");
    let errors = log.try_clone().expect("a file can be opened twice");
    let mut command = Command::new(path);
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(log).stderr(errors);
    Server(command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}")))
}

fn start_servers(folder: &Path, host: Ipv4Addr, task: Ipv4Addr) -> [Server; 4] {
    let dir = folder.display().to_string();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path {dir}/{name};\n"))
        .collect();
    let config = format!(
        "daemon off; master_process off; pid {dir}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
{paths}  server {{
    listen {host}:{NGINX_PORT};
    location / {{ return 200 \"hello\\n\"; }}
    location = /stub_status {{ stub_status; }}
  }}
}}
"
    );
    std::fs::write(folder.join("nginx.conf"), config).expect("the folder can be written");
    let (redis_ip, redis_port) = (task.to_string(), REDIS_PORT.to_string());
    [
        start("nginx", &["-p", &dir, "-e", "stderr", "-c", "nginx.conf"], folder),
        start(
            "prometheus-nginx-exporter",
            &[
                &format!("-web.listen-address={host}:{NGINX_EXPORTER_PORT}"),
                &format!("-nginx.scrape-uri=http://{host}:{NGINX_PORT}/stub_status"),
                "-nginx.retries=50",
                "-nginx.retry-interval=200ms",
            ],
            folder,
        ),
        start(
            "redis-server",
            &["--bind", &redis_ip, "--port", &redis_port, "--save", "", "--appendonly", "no"],
            folder,
        ),
        start(
            "prometheus-redis-exporter",
            &[
                &format!("-web.listen-address={task}:{REDIS_EXPORTER_PORT}"),
                &format!("-redis.addr=redis://{task}:{REDIS_PORT}"),
            ],
            folder,
        ),
    ]
}

/// The cluster: the NGINX service in bridge mode on an instance, Redis on Fargate with its exporter's docker labels.
fn cluster(host: Ipv4Addr, task: Ipv4Addr) -> World {
    let mut world = World { metadata: Some(fargate_task(CLUSTER, "agent")), ..World::default() };
    let instance = world.add_instance(CLUSTER, "i-0demo", &host.to_string());
    let nginx = container("nginx-prometheus-exporter", Port { container: 9113, host: 0 });
    let nginx = world.define("nginx-demo", 1, "bridge", vec![nginx]);
    world.add_service(CLUSTER, "nginx-service", "ecs-svc/nginx");
    let port = Port { container: 9113, host: NGINX_EXPORTER_PORT };
    world.run(Run {
        cluster: CLUSTER,
        id: "nginx",
        definition: &nginx,
        container: "nginx-prometheus-exporter",
        service: Some(("nginx-service", "ecs-svc/nginx")),
        place: Place::Bridge { container_instance: &instance, port },
    });
    let port = Port { container: REDIS_EXPORTER_PORT, host: REDIS_EXPORTER_PORT };
    let mut redis = container("redis-exporter-0", port);
    redis["dockerLabels"] = json!({
        "ECS_PROMETHEUS_EXPORTER_PORT": "9121", "job": "prometheus-redis", "app_x": "redis_exporter",
        "CWAgent-Usage-invalid-prometheus-label": "x"});
    let redis = world.define("redis-demo", 1, "awsvpc", vec![redis]);
    world.run(Run {
        cluster: CLUSTER,
        id: "redis",
        definition: &redis,
        container: "redis-exporter-0",
        service: None,
        place: Place::Fargate { ip: &task.to_string() },
    });
    world
}

async fn check(host: Ipv4Addr, task: Ipv4Addr) {
    for port in [(host, NGINX_PORT), (host, NGINX_EXPORTER_PORT), (task, REDIS_PORT), (task, REDIS_EXPORTER_PORT)] {
        let what = format!("a server at {}:{}", port.0, port.1);
        wait_until(&what, PATIENCE, || TcpStream::connect(SocketAddr::from(port)).ok().map(drop)).await;
    }
    let aws = FakeAws::start(cluster(host, task)).await;
    let agent = Agent::with_args([""; 0]).aws_task(&aws).own_metrics();
    let file = format!("{}/sd.yaml", agent.dir().display());
    let own = |text: &str| text.replace("/tmp/cwagent_ecs_auto_sd.yaml", &file);
    let json = own(JSON).replace("\"force_flush_interval\": 5", "\"force_flush_interval\": 1");
    set_keys(task, 0..1);
    let mut agent = agent.env("CW_CONFIG_CONTENT", &json).env("PROMETHEUS_CONFIG_CONTENT", &own(SCRAPE)).start().await;

    let seen = Seen { aws: &aws };
    wait_until("the first differences of NGINX and Redis", PATIENCE, || {
        let both = !seen.values("nginx_http_requests_total").is_empty() && seen.of_command("set").next().is_some();
        both.then_some(())
    })
    .await;
    assert_eq!(seen.last_keys(), Some(1.0));
    for _ in 0..REQUESTS {
        let answer = request(host);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello\n"), "{answer}");
    }
    set_keys(task, 1..1 + MORE_KEYS);
    wait_until("what was done to NGINX and Redis", PATIENCE, || {
        let all = seen.requests() >= f64::from(REQUESTS) && seen.last_keys() == Some(f64::from(1 + MORE_KEYS));
        (all && seen.of_command("set").sum::<f64>() >= f64::from(MORE_KEYS)).then_some(())
    })
    .await;
    assert!(agent.stop().await.success());
    assert_eq!(seen.requests(), f64::from(REQUESTS), "each scrape is one request, the others are ours");
    let accepted: f64 = seen.values("nginx_connections_accepted").iter().sum();
    assert!(accepted >= f64::from(REQUESTS), "{accepted} connections");
    assert_eq!(seen.of_command("set").sum::<f64>(), f64::from(MORE_KEYS));
    assert!(seen.values("nginx_up").iter().all(|up| *up == 1.0) && !seen.values("nginx_up").is_empty());
    assert!(seen.values("redis_connected_clients").iter().all(|clients| *clients >= 1.0));
    assert!(seen.values("redis_net_input_bytes_total").iter().sum::<f64>() > 0.0);
    seen.check_dimensions();
    assert!(!agent.log().contains("\terror\t"), "{}", agent.log());
}

/// One request to NGINX on a connection of its own.
fn request(host: Ipv4Addr) -> String {
    let mut stream = TcpStream::connect((host, NGINX_PORT)).expect("nginx listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("nginx reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("nginx answers");
    answer
}

/// Sets keys of these numbers in Redis' database 0.
fn set_keys(task: Ipv4Addr, numbers: std::ops::Range<u32>) {
    let mut stream = TcpStream::connect((task, REDIS_PORT)).expect("redis listens");
    for number in numbers {
        stream.write_all(format!("SET key:{number} value\r\n").as_bytes()).expect("redis reads");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("redis answers");
        assert_eq!(&answer, b"+OK\r\n");
    }
}

/// What CloudWatch would make of the events so far.
struct Seen<'a> {
    aws: &'a FakeAws,
}

impl Seen<'_> {
    fn data(&self) -> Vec<Datum> {
        let events = self.aws.events();
        let data = |message: &str| extract(message).unwrap_or_else(|problems| panic!("{problems:?} in {message}"));
        events.iter().flat_map(|event| data(&event.message)).collect()
    }

    /// Values of a metric in the order of time.
    fn values(&self, name: &str) -> Vec<f64> {
        let mut data = self.data();
        data.retain(|datum| datum.metric.name == name);
        data.sort_by_key(|datum| datum.timestamp_ms);
        data.iter().map(|datum| datum.value.sum()).collect()
    }

    /// Requests of NGINX that are not the exporter's own, which makes one at each scrape.
    fn requests(&self) -> f64 {
        self.values("nginx_http_requests_total").iter().map(|requests| requests - 1.0).sum()
    }

    fn of_command(&self, command: &str) -> impl Iterator<Item = f64> {
        let wanted = ("cmd".to_owned(), command.to_owned());
        let mut data = self.data();
        data.retain(|datum| datum.metric.name == "redis_commands_total" && datum.metric.dimensions.contains(&wanted));
        data.into_iter().map(|datum| datum.value.sum())
    }

    /// Keys of database 0 now.
    fn last_keys(&self) -> Option<f64> {
        let wanted = ("db".to_owned(), "db0".to_owned());
        let mut data = self.data();
        data.retain(|datum| datum.metric.name == "redis_db_keys" && datum.metric.dimensions.contains(&wanted));
        data.iter().max_by_key(|datum| datum.timestamp_ms).map(|datum| datum.value.sum())
    }

    /// Namespace and dimensions of every metric are those that AWS documents for its workload.
    fn check_dimensions(&self) {
        for datum in self.data() {
            let metric = &datum.metric;
            assert_eq!(metric.namespace, NAMESPACE, "{metric}");
            let names: Vec<&str> = metric.dimensions.iter().map(|(name, _)| name.as_str()).collect();
            let expected: &[&str] = match metric.name.as_str() {
                name if name.starts_with("nginx_") => &["ClusterName", "ServiceName", "TaskDefinitionFamily"],
                "redis_commands_total" => &["ClusterName", "TaskDefinitionFamily", "cmd"],
                "redis_db_keys" => &["ClusterName", "TaskDefinitionFamily", "db"],
                _ => &["ClusterName", "TaskDefinitionFamily"],
            };
            assert_eq!(names, expected, "{metric}");
            let family = if metric.name.starts_with("nginx_") { "nginx-demo" } else { "redis-demo" };
            for (name, value) in [("ClusterName", CLUSTER), ("TaskDefinitionFamily", family)] {
                assert!(metric.dimensions.contains(&(name.to_owned(), value.to_owned())), "{metric}");
            }
        }
        for event in self.aws.events() {
            let group = format!("/aws/ecs/containerinsights/{CLUSTER}/prometheus");
            let stream = if event.json()["TaskDefinitionFamily"] == "nginx-demo" {
                "nginx-prometheus-exporter"
            } else {
                "prometheus-redis"
            };
            assert_eq!((event.group.as_str(), event.stream.as_str()), (group.as_str(), stream));
        }
    }
}
