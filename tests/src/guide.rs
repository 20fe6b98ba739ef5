//! The scenario of the AWS guide on loopback: cluster `ecs-sarathy-cluster`, service `BackendService`, tasks of
//! `BackendTask` in bridge mode on EC2 and in awsvpc mode on Fargate, and one task that nobody should scrape. The
//! demo shows it, tests check it.

use crate::fake::world::{Place, Port, Run, container};
use crate::fake::{Behaviour, FakeAws, Target, World};
use crate::net::free_ip;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Mutex;

/// The collector's configuration for this scenario. It takes its folder from `${env:AGENT_DIR}`.
pub const CONFIG: &str = include_str!("../golden/demo/config.yaml");
/// The cluster.
pub const CLUSTER: &str = "ecs-sarathy-cluster";
/// The service that all backend tasks belong to.
pub const SERVICE: &str = "BackendService";
/// Where its events go.
pub const LOG_GROUP: &str = "/aws/ecs/containerinsights/ecs-sarathy-cluster/prometheus";
/// What its metrics are published under.
pub const NAMESPACE: &str = "ECS/ContainerInsights/Prometheus";
/// Requests that a page of [`Traffic::Steady`] adds at each scrape for `/popular/category`.
pub const STEADY_REQUESTS: u64 = 36;

const CONTAINER: &str = "go-backend";
const DEPLOYMENT: &str = "ecs-svc/4964126209508453538";

/// How the applications' counters move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// By the same amount at each scrape, for tests.
    Steady,
    /// In waves, for people.
    Waves,
}

/// The running scenario; everything ends when it is dropped.
pub struct Guide {
    /// The scripted AWS.
    pub aws: FakeAws,
    /// The applications that are to be scraped.
    pub apps: Vec<App>,
    /// An application of another family, not to be scraped.
    pub bystander: App,
    traffic: Traffic,
    fargate_definition: String,
}

/// A sample application: an ECS task and the server that it is scraped at.
pub struct App {
    /// Last segment of the task's ARN.
    pub task: String,
    /// Family and revision.
    pub definition: &'static str,
    /// How it runs, for people.
    pub launch: &'static str,
    /// Its metrics.
    pub target: Target,
}

impl Guide {
    /// Starts AWS and the applications: two tasks on one instance, two on Fargate.
    pub async fn start(traffic: Traffic) -> Self {
        let mut world = World::default();
        let bridge = world.define("BackendTask", 4, "bridge", vec![container(CONTAINER, port(0))]);
        let awsvpc = world.define("BackendTask", 5, "awsvpc", vec![container(CONTAINER, port(3000))]);
        let other = world.define("CacheTask", 1, "awsvpc", vec![container("cache", port(3000))]);
        let host = free_ip();
        let instance = world.add_instance(CLUSTER, "i-0backend", &host.to_string());
        world.add_service(CLUSTER, SERVICE, DEPLOYMENT);

        let mut apps = Vec::new();
        // Bridge mode: Docker chose these ports of the host.
        for (id, host_port) in [("ec2-1", 32768), ("ec2-2", 32769)] {
            let place =
                Place::Bridge { container_instance: &instance, port: Port { container: 3000, host: host_port } };
            world.run(backend(id, &bridge, place));
            let target = Target::start((host, host_port), backend_pages(traffic)).await;
            apps.push(App { task: id.into(), definition: "BackendTask:4", launch: "EC2, bridge", target });
        }
        let ip = free_ip();
        let place = Place::Fargate { ip: &ip.to_string() };
        let run = Run { container: "cache", service: None, ..backend("cache-1", &other, place) };
        world.run(run);
        let page = Behaviour::Fixed("# TYPE cache_hits_total counter\ncache_hits_total 1\n".into());
        let target = Target::start((ip, 3000), page).await;
        let bystander = App { task: "cache-1".into(), definition: "CacheTask:1", launch: "Fargate", target };

        let aws = FakeAws::start(world).await;
        let mut guide = Self { aws, apps, bystander, traffic, fargate_definition: awsvpc };
        guide.run_on_fargate("fargate-1").await;
        guide.run_on_fargate("fargate-2").await;
        guide
    }

    /// One more backend task on Fargate; returns its address.
    pub async fn run_on_fargate(&mut self, id: &str) -> SocketAddr {
        let ip = free_ip();
        let target = Target::start((ip, 3000), backend_pages(self.traffic)).await;
        let place = Place::Fargate { ip: &ip.to_string() };
        self.aws.change(|world| world.run(backend(id, &self.fargate_definition, place)).task_arn.clone());
        let addr = target.addr();
        self.apps.push(App { task: id.into(), definition: "BackendTask:5", launch: "Fargate, awsvpc", target });
        addr
    }

    /// Stops a task: ECS no longer lists it and nobody answers at its address.
    pub fn stop(&mut self, id: &str) {
        self.aws.change(|world| world.stop(CLUSTER, id));
        self.apps.retain(|app| app.task != id);
    }
}

fn port(host: u16) -> Port {
    Port { container: 3000, host }
}

fn backend<'a>(id: &'a str, definition: &'a str, place: Place<'a>) -> Run<'a> {
    Run { cluster: CLUSTER, id, definition, container: CONTAINER, service: Some((SERVICE, DEPLOYMENT)), place }
}

/// The pages of one application: a counter by path, a gauge and a histogram.
fn backend_pages(traffic: Traffic) -> Behaviour {
    let totals = Mutex::new([0u64; 3]);
    Behaviour::moving(move |scrape| {
        let mut totals = totals.lock().expect("no holder panics");
        for (total, (share, _)) in totals.iter_mut().zip(PATHS) {
            *total += match traffic {
                Traffic::Steady => share,
                Traffic::Waves => (share as f64 * (1.0 + 0.8 * (scrape as f64 / 4.0).sin())) as u64,
            };
        }
        page(&totals, scrape)
    })
}

/// Requests for each path at a steady scrape.
const PATHS: [(u64, &str); 3] = [(STEADY_REQUESTS, "/popular/category"), (12, "/popular/product"), (3, "/checkout")];

fn page(totals: &[u64; 3], scrape: u64) -> String {
    let mut page = String::from("# HELP http_requests_total Requests served.\n# TYPE http_requests_total counter\n");
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(page, "{text}").expect("a string takes every write");
    for (total, (_, path)) in totals.iter().zip(PATHS) {
        line(format_args!("http_requests_total{{path=\"{path}\",job=\"storebackend\"}} {total}"));
    }
    let all: u64 = totals.iter().sum();
    line(format_args!("# HELP go_goroutines Goroutines now.\n# TYPE go_goroutines gauge"));
    line(format_args!("go_goroutines {}", 12 + scrape % 5));
    line(format_args!("# TYPE http_request_duration_seconds histogram"));
    for (share, bound) in [(2, "0.1"), (3, "0.5"), (4, "+Inf")] {
        line(format_args!("http_request_duration_seconds_bucket{{le=\"{bound}\"}} {}", all * share / 4));
    }
    line(format_args!("http_request_duration_seconds_sum {}\nhttp_request_duration_seconds_count {all}", all / 5));
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[tokio::test]
    async fn the_applications_answer_at_the_addresses_that_ecs_reports() {
        let mut guide = Guide::start(Traffic::Steady).await;
        assert_eq!(guide.apps.len(), 4);
        let scrape = async |app: &App| {
            Exposition::parse(&reqwest::get(app.target.url()).await.unwrap().text().await.unwrap()).unwrap()
        };
        let path = [("path", "/popular/category")];
        for (app, port) in guide.apps.iter().zip([32768, 32769, 3000, 3000]) {
            assert_eq!(app.target.addr().port(), port);
            assert_eq!(scrape(app).await.sum("http_requests_total", &path), Some(36.0));
            assert_eq!(scrape(app).await.sum("http_requests_total", &path), Some(72.0));
        }
        guide.stop("fargate-2");
        let tasks = guide.aws.change(|world| world.cluster(CLUSTER).tasks.len());
        assert_eq!((guide.apps.len(), tasks), (3, 4));
    }
}
