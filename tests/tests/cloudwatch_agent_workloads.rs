//! The workloads that AWS documents for the CloudWatch agent's Prometheus monitoring, all in one cluster and in one agent
//! JSON: each becomes exactly the metrics that its dashboards look for. The pages are made up in the exporters' form.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use std::collections::BTreeSet;
use tests::agent::PATIENCE;
use tests::fake::cloudwatch::extract;
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{Behaviour, FakeAws, Target, World};
use tests::net::free_ip;
use tests::{Agent, wait_until};

const JSON: &str = include_str!("../golden/cloudwatch_agent/workloads.json");
const CLUSTER: &str = "demo";
const SCRAPE: &str = "
global: {scrape_interval: 400ms, scrape_timeout: 400ms}
scrape_configs:
- job_name: cwagent-ecs-file-sd-config
  sample_limit: 10000
  file_sd_configs: [{files: [\"/tmp/cwagent_ecs_auto_sd.yaml\"]}]
";

/// A documented workload.
struct Workload {
    family: &'static str,
    container: &'static str,
    port: u16,
    docker_labels: &'static [(&'static str, &'static str)],
    service: Option<&'static str>,
    /// In bridge mode behind this port of the host; otherwise on Fargate.
    host_port: Option<u16>,
    /// Log stream.
    job: &'static str,
    /// Page; `@` stands for a number that grows with each scrape.
    page: &'static str,
    /// Metric and its dimensions beside cluster and family.
    metrics: &'static [(&'static str, &'static [(&'static str, &'static str)])],
}

const WORKLOADS: &[Workload] = &[
    Workload {
        family: "demo-ColorTeller-white",
        container: "envoy",
        port: 9901,
        docker_labels: &[],
        service: None,
        host_port: None,
        job: "ecs-appmesh-colors",
        page: "# TYPE envoy_http_downstream_rq_total counter
envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix=\"ingress\"} @
# TYPE envoy_http_downstream_rq_xx counter
envoy_http_downstream_rq_xx{envoy_response_code_class=\"2\",envoy_http_conn_manager_prefix=\"ingress\"} @
# TYPE envoy_server_live gauge
envoy_server_live 1
# TYPE envoy_server_hot_restart_epoch gauge
envoy_server_hot_restart_epoch 0
# TYPE envoy_http_downstream_rq_time histogram
envoy_http_downstream_rq_time_bucket{le=\"+Inf\"} @
envoy_http_downstream_rq_time_sum @
envoy_http_downstream_rq_time_count @
",
        metrics: &[
            ("envoy_http_downstream_rq_total", &[]),
            ("envoy_http_downstream_rq_xx", &[]),
            (
                "envoy_http_downstream_rq_xx",
                &[("envoy_http_conn_manager_prefix", "ingress"), ("envoy_response_code_class", "2")],
            ),
            ("envoy_server_live", &[]),
        ],
    },
    Workload {
        family: "java-tomcat",
        container: "tomcat",
        port: 9404,
        docker_labels: &[("ECS_PROMETHEUS_EXPORTER_PORT", "9404"), ("Java_EMF_Metrics", "true")],
        service: None,
        host_port: Some(32770),
        job: "cwagent-ecs-file-sd-config",
        page: "# TYPE jvm_threads_current gauge
jvm_threads_current 21
# TYPE jvm_gc_collection_seconds summary
jvm_gc_collection_seconds_count{gc=\"Copy\"} @
jvm_gc_collection_seconds_sum{gc=\"Copy\"} @
# TYPE jvm_memory_bytes_used gauge
jvm_memory_bytes_used{area=\"heap\"} 5.5e7
# TYPE jvm_memory_pool_bytes_used gauge
jvm_memory_pool_bytes_used{pool=\"Eden Space\"} 1000
catalina_manager_activesessions 4
",
        metrics: &[
            ("jvm_threads_current", &[]),
            ("jvm_gc_collection_seconds_count", &[]),
            ("jvm_gc_collection_seconds_sum", &[]),
            ("jvm_memory_bytes_used", &[("area", "heap")]),
            ("jvm_memory_pool_bytes_used", &[("pool", "Eden Space")]),
        ],
    },
    Workload {
        family: "nginx-demo",
        container: "nginx-prometheus-exporter",
        port: 9113,
        docker_labels: &[],
        service: Some("nginx-service"),
        host_port: Some(32771),
        job: "nginx-prometheus-exporter",
        page: "# TYPE nginx_connections_active gauge
nginx_connections_active 3
# TYPE nginx_http_requests_total counter
nginx_http_requests_total @
# TYPE nginxexporter_build_info gauge
nginxexporter_build_info{version=\"0.8\"} 1
",
        metrics: &[
            ("nginx_connections_active", &[("ServiceName", "nginx-service")]),
            ("nginx_http_requests_total", &[("ServiceName", "nginx-service")]),
        ],
    },
    Workload {
        family: "nginx-plus-demo",
        container: "nginx-plus-prometheus-exporter",
        port: 9113,
        docker_labels: &[],
        service: Some("nginx-plus-service"),
        host_port: None,
        job: "nginx-plus-prometheus-exporter",
        page: "# TYPE nginxplus_connections_active gauge
nginxplus_connections_active 3
# TYPE nginxplus_upstream_server_response_time gauge
nginxplus_upstream_server_response_time{upstream=\"backend\",server=\"10.0.0.1:80\"} 12.5
# TYPE nginxplus_server_zone_responses counter
nginxplus_server_zone_responses{code=\"2xx\",server_zone=\"web\"} @
",
        metrics: &[
            ("nginxplus_connections_active", &[("ServiceName", "nginx-plus-service")]),
            (
                "nginxplus_upstream_server_response_time",
                &[("ServiceName", "nginx-plus-service"), ("upstream", "backend")],
            ),
            ("nginxplus_server_zone_responses", &[("ServiceName", "nginx-plus-service"), ("code", "2xx")]),
        ],
    },
    Workload {
        family: "memcached-prometheus-demo-ec2",
        container: "memcached-exporter-0",
        port: 9150,
        docker_labels: &[("job", "prometheus-memcached"), ("app_x", "memcached_exporter")],
        service: None,
        host_port: Some(32772),
        job: "ecs-memcached",
        page: "# TYPE memcached_current_bytes gauge
memcached_current_bytes 99
# TYPE memcached_written_bytes_total counter
memcached_written_bytes_total @
# TYPE memcached_commands_total counter
memcached_commands_total{command=\"get\",status=\"hit\"} @
",
        metrics: &[
            ("memcached_current_bytes", &[]),
            ("memcached_written_bytes_total", &[]),
            ("memcached_commands_total", &[]),
            ("memcached_commands_total", &[("command", "get")]),
            ("memcached_commands_total", &[("command", "get"), ("status", "hit")]),
        ],
    },
    Workload {
        family: "redis-demo",
        container: "redis-exporter-0",
        port: 9121,
        docker_labels: &[
            ("ECS_PROMETHEUS_EXPORTER_PORT", "9121"),
            ("job", "prometheus-redis"),
            ("app_x", "redis_exporter"),
            ("CWAgent-Usage-invalid-prometheus-label", "x"),
        ],
        service: None,
        host_port: None,
        job: "prometheus-redis",
        page: "# TYPE redis_connected_clients gauge
redis_connected_clients 2
# TYPE redis_net_input_bytes_total counter
redis_net_input_bytes_total @
# TYPE redis_commands_total counter
redis_commands_total{cmd=\"get\"} @
# TYPE redis_db_keys gauge
redis_db_keys{db=\"db0\"} 7
",
        metrics: &[
            ("redis_connected_clients", &[]),
            ("redis_net_input_bytes_total", &[]),
            ("redis_commands_total", &[("cmd", "get")]),
            ("redis_db_keys", &[("db", "db0")]),
        ],
    },
];

impl Workload {
    async fn start(&self, world: &mut World, instance: &str, host: std::net::IpAddr) -> Target {
        let host_port = if self.host_port.is_some() { 0 } else { self.port };
        let mut definition = container(self.container, Port { container: self.port, host: host_port });
        definition["dockerLabels"] = self.docker_labels.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let mode = if self.host_port.is_some() { "bridge" } else { "awsvpc" };
        let arn = world.define(self.family, 1, mode, vec![definition]);
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
        world.run(Run {
            cluster: CLUSTER,
            id: self.family,
            definition: &arn,
            container: self.container,
            service,
            place,
        });
        let page = self.page;
        Target::start(address, Behaviour::moving(move |scrape| page.replace('@', &(scrape * 7).to_string()))).await
    }

    /// The metrics as CloudWatch names them.
    fn expected(&self) -> impl Iterator<Item = String> {
        self.metrics.iter().map(|(name, more)| {
            let mut dimensions = vec![("ClusterName", CLUSTER), ("TaskDefinitionFamily", self.family)];
            dimensions.extend(*more);
            dimensions.sort_unstable();
            let dimensions: Vec<String> = dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("ECS/ContainerInsights/Prometheus {name} {{{}}}", dimensions.join(", "))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_workload_becomes_the_metrics_of_its_dashboard() {
    let mut world = World::default();
    let host = free_ip();
    let instance = world.add_instance(CLUSTER, "i-0demo", &host.to_string());
    let mut targets = Vec::new();
    for workload in WORKLOADS {
        targets.push(workload.start(&mut world, &instance, host.into()).await);
    }
    world.metadata = Some(tests::fake::fargate_task(CLUSTER, "agent"));
    let aws = FakeAws::start(world).await;
    let agent = Agent::with_args([""; 0]).aws_task(&aws);
    let file = format!("{}/sd.yaml", agent.dir().display());
    let own = |text: &str| text.replace("/tmp/cwagent_ecs_auto_sd.yaml", &file);
    let json = own(JSON).replace("\"force_flush_interval\": 5", "\"force_flush_interval\": 1");
    assert_ne!(json, own(JSON));
    let agent = agent
        .own_metrics()
        .env("CW_CONFIG_CONTENT", &json)
        .env("PROMETHEUS_CONFIG_CONTENT", &own(SCRAPE))
        .start()
        .await;

    let published = || -> BTreeSet<String> {
        let events = aws.events();
        events.iter().flat_map(|event| extract(&event.message).unwrap()).map(|datum| datum.metric.to_string()).collect()
    };
    let expected: BTreeSet<String> = WORKLOADS.iter().flat_map(Workload::expected).collect();
    let mut polls = 0;
    wait_until("all metrics", PATIENCE, || {
        polls += 1;
        let missing: Vec<String> = expected.difference(&published()).cloned().collect();
        if polls % 250 == 0 {
            agent.show_log(&format!("still missing: {missing:#?}"));
        }
        missing.is_empty().then_some(())
    })
    .await;
    assert_eq!(published(), expected);
    for workload in WORKLOADS {
        let group = format!("/aws/ecs/containerinsights/{CLUSTER}/prometheus");
        let mut of_family = 0;
        for event in aws.events().iter().filter(|event| event.json()["TaskDefinitionFamily"] == workload.family) {
            assert_eq!((&*event.group, &*event.stream), (&*group, workload.job));
            assert!(!event.message.contains("CWAgent-Usage"), "{}", event.message);
            of_family += 1;
        }
        assert!(of_family > 0, "{}", workload.family);
    }
    assert!(!agent.log().contains("\terror\t"), "{}", agent.log());
}
