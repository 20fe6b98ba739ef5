//! Components that people know from ADOT and its relatives and that this agent does not have: why, and what to use.

use super::known::{Section, canonical};

/// A component that is known elsewhere.
pub(super) struct Absent {
    section: Section,
    kind: &'static str,
    /// Why it is not here.
    pub(super) reason: &'static str,
    /// What to do instead.
    pub(super) instead: &'static str,
    /// Whether the agent starts without it, with a warning, even where it is asked for.
    pub(super) optional: bool,
}

/// The entry of a type, under either spelling.
pub(super) fn find(section: Section, kind: &str) -> Option<&'static Absent> {
    let kind = canonical(section, kind);
    TABLE.iter().find(|entry| entry.section == section && entry.kind == kind)
}

const fn no(section: Section, kind: &'static str, reason: &'static str, instead: &'static str) -> Absent {
    Absent { section, kind, reason, instead, optional: false }
}

const TRACES: &str = "it carries traces, and this agent carries metrics";
const LOGS: &str = "it carries logs, and this agent carries metrics";
const BESIDE: &str = "run the ADOT collector beside this agent for it";
const NOT_BUILT: &str = "it is not built in";
const NOT_ADOT: &str = "neither ADOT nor this agent has it";

const TABLE: &[Absent] = &[
    no(Section::Receivers, "awsxray", TRACES, BESIDE),
    no(Section::Receivers, "jaeger", TRACES, BESIDE),
    no(Section::Receivers, "zipkin", TRACES, BESIDE),
    no(Section::Receivers, "file_log", LOGS, "use FireLens or the awslogs driver"),
    no(Section::Receivers, "kafka", NOT_BUILT, "receive OTLP instead"),
    no(Section::Receivers, "awscontainerinsightreceiver", NOT_BUILT, "run the ADOT daemon for instance metrics"),
    no(Section::Receivers, "statsd", NOT_BUILT, "send OTLP, or run the CloudWatch agent for StatsD"),
    no(Section::Receivers, "awsecscontainermetrics", NOT_BUILT, "turn on Container Insights for task metrics"),
    no(Section::Receivers, "hostmetrics", NOT_ADOT, "scrape a node exporter with the prometheus receiver"),
    no(Section::Receivers, "awsfirehose", NOT_ADOT, "receive OTLP instead"),
    no(Section::Processors, "k8s_attributes", "it needs Kubernetes", "use the labels of ecs_observer"),
    no(Section::Processors, "groupbytrace", TRACES, BESIDE),
    no(Section::Processors, "tail_sampling", TRACES, BESIDE),
    no(Section::Processors, "probabilistic_sampler", TRACES, BESIDE),
    no(Section::Processors, "span", TRACES, BESIDE),
    no(
        Section::Processors,
        "attributes",
        NOT_BUILT,
        "use metricstransform for labels, resource for attributes of resources",
    ),
    no(
        Section::Processors,
        "filter",
        NOT_BUILT,
        "use metric_relabel_configs for scraped metrics, or metric_declaration",
    ),
    no(
        Section::Processors,
        "resource_detection",
        NOT_BUILT,
        "use the labels of ecs_observer, or resource with ${env:...} for attributes of the task",
    ),
    no(Section::Processors, "metricsgeneration", NOT_BUILT, "compute the metric where it is shown, with metric math"),
    no(Section::Processors, "cumulativetodelta", NOT_BUILT, "awsemf computes deltas itself"),
    no(Section::Processors, "deltatorate", NOT_BUILT, "compute the rate where it is shown, with metric math"),
    no(Section::Processors, "transform", NOT_ADOT, "use resource, attributes, metricstransform or filter"),
    no(Section::Processors, "deltatocumulative", NOT_ADOT, "send cumulative metrics"),
    no(Section::Processors, "groupbyattrs", NOT_ADOT, "awsemf groups by labels itself"),
    no(Section::Processors, "interval", NOT_ADOT, "raise scrape_interval, or use batch with a longer timeout"),
    no(Section::Exporters, "awsxray", TRACES, BESIDE),
    no(Section::Exporters, "awscloudwatchlogs", LOGS, "use FireLens or the awslogs driver; for metrics use awsemf"),
    no(Section::Exporters, "datadog", "ADOT is about to remove it", "send OTLP to the Datadog agent with otlphttp"),
    no(
        Section::Exporters,
        "logzio",
        "ADOT is about to remove it",
        "use prometheusremotewrite with the Logz.io listener",
    ),
    no(Section::Exporters, "signalfx", "ADOT is about to remove it", "use otlphttp with the Splunk ingest endpoint"),
    no(Section::Exporters, "sapm", TRACES, BESIDE),
    no(Section::Exporters, "load_balancing", NOT_BUILT, "use otlp with a load balancer in front of the backends"),
    no(Section::Exporters, "kafka", NOT_BUILT, "use otlp to a collector that has it"),
    no(Section::Exporters, "prometheus", NOT_BUILT, "use prometheusremotewrite"),
    no(Section::Exporters, "prometheus_remote_write", NOT_BUILT, "use otlphttp to a collector that has it"),
    Absent {
        section: Section::Extensions,
        kind: "pprof",
        reason: "Go's profiler has nothing to profile here",
        instead: "remove it from service::extensions",
        optional: true,
    },
    Absent {
        section: Section::Extensions,
        kind: "zpages",
        reason: "its pages show traces of Go's collector",
        instead: "watch the own metrics page and the logs; remove it from service::extensions",
        optional: true,
    },
    no(Section::Extensions, "file_storage", NOT_BUILT, "remove it and the storage keys; queues are in memory"),
    no(Section::Extensions, "awsproxy", TRACES, BESIDE),
    no(
        Section::Extensions,
        "memory_ballast",
        "it was removed from the Collector",
        "remove it; memory_limiter bounds memory",
    ),
    no(Section::Extensions, "oauth2client", NOT_ADOT, "use sigv4auth, or headers with a token"),
    no(Section::Extensions, "docker_observer", NOT_ADOT, "use ecs_observer"),
    no(Section::Connectors, "forward", NOT_ADOT, "list the exporters in both pipelines"),
    no(Section::Connectors, "count", NOT_ADOT, "count in the application"),
    no(Section::Connectors, "routing", NOT_ADOT, "use pipelines with filter processors"),
    no(Section::Connectors, "spanmetrics", TRACES, BESIDE),
];
