//! ADOT's two Container Insights configurations for Prometheus on ECS run as they are: App Mesh, JMX, nginx and nginx
//! plus workloads on Fargate and EC2 become the log events and metrics that the built-in dashboards read.
//!
//! Only what a test cannot wait for or must not touch is changed: the scrape interval (`--set`) and the folder of the
//! result file.
#![allow(clippy::unwrap_used)]

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use tests::agent::PATIENCE;
use tests::fake::cloudwatch::extract;
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{Behaviour, FakeAws, LogEvent, Target, World};
use tests::net::free_ip;
use tests::{Agent, wait_until};

const BY_HAND: &str = include_str!("../golden/adot-configs/example-container-insights-prometheus.yaml");
const BY_TEMPLATE: &str = include_str!("../golden/adot-configs/cfn-container-insights-prometheus.yaml");

const CLUSTER: &str = "prod";
const NAMESPACE: &str = "ECS/ContainerInsights/Prometheus";
const LOG_GROUP: &str = "/aws/ecs/containerinsights/prod/prometheus";
const LIBRARY: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";

/// An application with its exporter.
struct Workload {
    family: &'static str,
    container: &'static str,
    port: u16,
    /// What discovery has to ask for.
    path: &'static str,
    docker_labels: &'static [(&'static str, &'static str)],
    service: Option<&'static str>,
    /// In bridge mode behind this port of the host; otherwise on Fargate.
    host_port: Option<u16>,
    /// Job names of the two configurations; `None` when one of them does not look for it.
    job: [Option<&'static str>; 2],
    /// Page; `@` stands for a number that grows by 7 with each scrape.
    page: &'static str,
    metrics: &'static [Published],
}

/// A metric, its value and its dimensions beside `ClusterName` and `TaskDefinitionFamily`.
struct Published(&'static str, f64, &'static [(&'static str, &'static str)]);

const NGINX: (&str, &str) = ("ServiceName", "web-nginx-service");
const PLUS: (&str, &str) = ("ServiceName", "web-nginx-plus-service");

const MESH_PAGE: &str = "# TYPE envoy_http_downstream_rq_total counter
envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix=\"ingress\"} @
# TYPE envoy_http_downstream_rq_xx counter
envoy_http_downstream_rq_xx{envoy_response_code_class=\"2\",envoy_http_conn_manager_prefix=\"ingress\"} @
# TYPE envoy_cluster_upstream_cx_rx_bytes_total counter
envoy_cluster_upstream_cx_rx_bytes_total{envoy_cluster_name=\"up\"} @
# TYPE envoy_server_memory_heap_size gauge
envoy_server_memory_heap_size 4194304
# TYPE envoy_server_live gauge
envoy_server_live 1
# TYPE envoy_server_hot_restart_epoch gauge
envoy_server_hot_restart_epoch 0
# TYPE envoy_http_downstream_rq_time histogram
envoy_http_downstream_rq_time_bucket{le=\"+Inf\"} @
envoy_http_downstream_rq_time_sum @
envoy_http_downstream_rq_time_count @
";

const MESH_METRICS: &[Published] = &[
    Published("envoy_http_downstream_rq_total", 7.0, &[]),
    Published("envoy_http_downstream_rq_xx", 7.0, &[]),
    Published(
        "envoy_http_downstream_rq_xx",
        7.0,
        &[("envoy_http_conn_manager_prefix", "ingress"), ("envoy_response_code_class", "2")],
    ),
    Published("envoy_cluster_upstream_cx_rx_bytes_total", 7.0, &[]),
    Published("envoy_server_memory_heap_size", 4_194_304.0, &[]),
    Published("envoy_server_live", 1.0, &[]),
];

const WORKLOADS: &[Workload] = &[
    Workload {
        family: "mesh-ColorGateway",
        container: "envoy",
        port: 9901,
        path: "/stats/prometheus",
        docker_labels: &[],
        service: None,
        host_port: Some(32780),
        job: [Some("ecs-appmesh-colorgateway"), Some("ecs-appmesh-color")],
        page: MESH_PAGE,
        metrics: MESH_METRICS,
    },
    Workload {
        family: "mesh-ColorTeller-white",
        container: "envoy",
        port: 9901,
        path: "/stats/prometheus",
        docker_labels: &[],
        service: None,
        host_port: None,
        job: [Some("ecs-appmesh-colorteller"), Some("ecs-appmesh-color")],
        page: MESH_PAGE,
        metrics: MESH_METRICS,
    },
    // The pattern names the white teller only.
    Workload {
        family: "mesh-ColorTeller-black",
        container: "envoy",
        port: 9901,
        path: "/stats/prometheus",
        docker_labels: &[],
        service: None,
        host_port: None,
        job: [None, None],
        page: MESH_PAGE,
        metrics: &[],
    },
    Workload {
        family: "java-tomcat",
        container: "tomcat",
        port: 9404,
        path: "/metrics",
        docker_labels: &[("ECS_PROMETHEUS_EXPORTER_PORT", "9404"), ("Java_EMF_Metrics", "true")],
        service: None,
        host_port: Some(32781),
        job: [Some(""), Some("")],
        page: "# TYPE jvm_threads_current gauge
jvm_threads_current 21
# TYPE jvm_threads_peak gauge
jvm_threads_peak 30
# TYPE jvm_classes_loaded gauge
jvm_classes_loaded 9000
# TYPE jvm_memory_bytes_used gauge
jvm_memory_bytes_used{area=\"heap\"} 5.5e7
# TYPE jvm_memory_pool_bytes_used gauge
jvm_memory_pool_bytes_used{pool=\"Eden Space\"} 1000
# TYPE catalina_globalrequestprocessor_requestcount counter
catalina_globalrequestprocessor_requestcount{protocol=\"http-nio\",port=\"8080\"} @
# TYPE java_lang_operatingsystem_availableprocessors gauge
java_lang_operatingsystem_availableprocessors 2
",
        metrics: &[
            Published("jvm_threads_current", 21.0, &[]),
            Published("jvm_classes_loaded", 9000.0, &[]),
            Published("jvm_memory_bytes_used", 5.5e7, &[("area", "heap")]),
            Published("jvm_memory_pool_bytes_used", 1000.0, &[("pool", "Eden Space")]),
            Published("catalina_globalrequestprocessor_requestcount", 7.0, &[]),
            Published("java_lang_operatingsystem_availableprocessors", 2.0, &[]),
        ],
    },
    Workload {
        family: "nginx-demo",
        container: "nginx-prometheus-exporter",
        port: 9113,
        path: "/metrics",
        docker_labels: &[],
        service: Some(NGINX.1),
        host_port: Some(32782),
        job: [Some("nginx-prometheus-exporter"), Some("nginx-prometheus-exporter")],
        page: "# TYPE nginx_connections_active gauge
nginx_connections_active 3
# TYPE nginx_http_requests_total counter
nginx_http_requests_total @
# TYPE nginxexporter_build_info gauge
nginxexporter_build_info{version=\"0.8\"} 1
",
        metrics: &[
            Published("nginx_connections_active", 3.0, &[NGINX]),
            Published("nginx_http_requests_total", 7.0, &[NGINX]),
        ],
    },
    Workload {
        family: "nginx-plus-demo",
        container: "nginx-plus-prometheus-exporter",
        port: 9113,
        path: "/metrics",
        docker_labels: &[],
        service: Some(PLUS.1),
        host_port: None,
        // The template selects its metrics and does not look for the service.
        job: [Some("nginx-plus-prometheus-exporter"), None],
        page: "# TYPE nginxplus_connections_active gauge
nginxplus_connections_active 3
# TYPE nginxplus_up gauge
nginxplus_up 1
# TYPE nginxplus_location_zone_requests counter
nginxplus_location_zone_requests{location_zone=\"web\"} @
# TYPE nginxplus_upstream_server_response_time gauge
nginxplus_upstream_server_response_time{upstream=\"backend\",server=\"10.0.0.1:80\"} 12.5
# TYPE nginxplus_server_zone_responses counter
nginxplus_server_zone_responses{code=\"2xx\",server_zone=\"web\"} @
",
        metrics: &[
            Published("nginxplus_connections_active", 3.0, &[PLUS]),
            Published("nginxplus_up", 1.0, &[PLUS]),
            Published("nginxplus_upstream_server_response_time", 12.5, &[PLUS, ("upstream", "backend")]),
            Published("nginxplus_server_zone_responses", 7.0, &[PLUS, ("code", "2xx")]),
        ],
    },
];

impl Workload {
    async fn start(&self, world: &mut World, instance: &str, host: IpAddr) -> Target {
        let host_port = if self.host_port.is_some() { 0 } else { self.port };
        let mut definition = container(self.container, Port { container: self.port, host: host_port });
        definition["dockerLabels"] = self.docker_labels.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        // The application itself, which nobody asked to scrape.
        let app = container("app", Port { container: 80, host: 0 });
        let mode = if self.host_port.is_some() { "bridge" } else { "awsvpc" };
        let arn = world.define(self.family, 3, mode, vec![app, definition]);
        let deployment = format!("ecs-svc/{}", self.family);
        if let Some(service) = self.service {
            world.add_service(CLUSTER, service, &deployment);
        }
        let own_ip = free_ip();
        let ip = own_ip.to_string();
        let (place, address) = match self.host_port {
            Some(port) => {
                let port = Port { container: self.port, host: port };
                (Place::Bridge { container_instance: instance, port }, (host, port.host))
            }
            None => (Place::Fargate { ip: &ip }, (own_ip.into(), self.port)),
        };
        let service = self.service.map(|service| (service, deployment.as_str()));
        let container = self.container;
        world.run(Run { cluster: CLUSTER, id: self.family, definition: &arn, container, service, place });
        let page = self.page;
        Target::start(address, Behaviour::moving(move |scrape| page.replace('@', &(scrape * 7).to_string()))).await
    }

    /// The metrics as CloudWatch names them, with their values.
    fn expected(&self) -> impl Iterator<Item = (String, u64)> {
        self.metrics.iter().map(|Published(name, value, more)| {
            let mut dimensions = vec![("ClusterName", CLUSTER), ("TaskDefinitionFamily", self.family)];
            dimensions.extend(*more);
            dimensions.sort_unstable();
            let dimensions: Vec<String> = dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (format!("{NAMESPACE} {name} {{{}}}", dimensions.join(", ")), *value as u64)
        })
    }

    /// The labels that every event of the workload has, and no others but those of its own samples.
    fn labels(&self, config: usize) -> Map<String, Value> {
        let mut labels = json!({
            "ClusterName": CLUSTER, "OTelLib": LIBRARY, "TaskDefinitionFamily": self.family,
            "container_name": self.container,
        });
        if let Some(service) = self.service {
            labels["ServiceName"] = json!(service);
        }
        if config == 0 {
            labels["LaunchType"] = json!(if self.host_port.is_some() { "EC2" } else { "FARGATE" });
        }
        for (name, value) in self.docker_labels {
            labels[*name] = json!(value);
        }
        if let Some(job) = self.job[config].filter(|job| !job.is_empty()) {
            labels[if config == 0 { "job" } else { "prometheus_job" }] = json!(job);
        }
        labels.as_object().unwrap().clone()
    }
}

/// Runs a configuration until every expected metric is there and checks all that arrived.
async fn check(config: usize, text: &str) {
    let mut world = World::default();
    let host = free_ip();
    let instance = world.add_instance(CLUSTER, "i-0prod", &host.to_string());
    let mut targets = Vec::new();
    for workload in WORKLOADS {
        targets.push(workload.start(&mut world, &instance, host.into()).await);
    }
    let aws = FakeAws::start(world).await;
    let in_own_folder = text.replace("/etc/ecs_sd_targets.yaml", "ecs_sd_targets.yaml");
    assert_eq!(in_own_folder.matches("ecs_sd_targets.yaml").count(), 2);
    let pace = "--set=receivers.prometheus.config.global={scrape_interval: 400ms, scrape_timeout: 400ms}";
    let mut agent = Agent::with_config(&in_own_folder).arg(pace).aws(&aws).start().await;

    let scraped = || WORKLOADS.iter().filter(|workload| workload.job[config].is_some());
    let expected: BTreeSet<(String, u64)> = scraped().flat_map(Workload::expected).collect();
    let published = |events: &[LogEvent]| -> BTreeSet<(String, u64)> {
        let data = events.iter().flat_map(|event| extract(&event.message).unwrap());
        data.map(|datum| (datum.metric.to_string(), datum.value.sum() as u64)).collect()
    };
    let mut polls = 0;
    wait_until("all metrics", PATIENCE, || {
        polls += 1;
        let missing: Vec<_> = expected.difference(&published(&aws.events())).cloned().collect();
        if polls % 250 == 0 {
            agent.show_log(&format!("still missing: {missing:#?}"));
        }
        missing.is_empty().then_some(())
    })
    .await;
    assert!(agent.stop().await.success());

    let events = aws.events();
    assert_eq!(published(&events), expected, "a value or a metric that was not expected");
    for event in &events {
        assert_eq!(event.group, LOG_GROUP);
        let document = event.json();
        let workload = scraped().find(|workload| document["TaskDefinitionFamily"] == workload.family);
        let workload = workload.unwrap_or_else(|| panic!("nobody asked for {document}"));
        for (name, value) in workload.labels(config) {
            assert_eq!(document[&name], value, "{name} in {document}");
        }
        // What no declaration selects is a plain log event.
        assert_eq!(document["Version"] == "1", document.get("_aws").is_some(), "{document}");
        // Only the processors of the example switch this on.
        assert_eq!(document.get("prom_metric_type").is_some(), config == 0, "{document}");
        let has_both = document.get("job").is_some() && document.get("prometheus_job").is_some();
        assert!(!has_both && document.get("instance").is_none(), "{document}");
    }
    let streams: BTreeSet<&str> = events.iter().map(|event| event.stream.as_str()).collect();
    assert_eq!(streams.len(), 1, "{streams:?}");
    assert!(streams.iter().all(|stream| stream.starts_with("otel-stream-")), "{streams:?}");
    // Selected or not, everything that was scraped is logged.
    for name in ["envoy_server_hot_restart_epoch", "jvm_threads_peak", "nginxexporter_build_info", "up"] {
        assert!(events.iter().any(|event| event.json().get(name).is_some()), "{name} is not logged");
    }
    for (workload, target) in WORKLOADS.iter().zip(&targets) {
        assert_eq!(target.scrapes() > 0, workload.job[config].is_some(), "{}", workload.family);
        assert!(target.requests().iter().all(|request| request.path == workload.path), "{}", workload.family);
    }
    let file = agent.read_file("ecs_sd_targets.yaml").unwrap();
    assert_eq!(file.matches("__metrics_path__: /stats/prometheus").count(), 2, "{file}");
    assert!(!agent.log().contains("\terror\t"), "{}", agent.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_it_is() {
    check(0, BY_HAND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_runs_as_it_is() {
    check(1, BY_TEMPLATE).await;
}
