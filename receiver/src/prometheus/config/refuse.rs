//! Keys that are known but cannot be used here: each is taken out of the section with a message that says why and what
//! to do instead, so that none is ignored and none is called unknown.

use config::{Diagnostic, Node, Value};

/// A key that is refused wherever it has a value.
struct Refused {
    key: &'static str,
    message: &'static str,
    help: &'static str,
}

const RECEIVER: &[Refused] = &[
    Refused {
        key: "target_allocator",
        message: "the target allocator is not supported",
        help: "list the jobs under config.scrape_configs; ecs_observer with file_sd_configs shares nothing between agents",
    },
    Refused {
        key: "api_server",
        message: "the Prometheus API server is not part of this collector",
        help: "remove the key; own metrics of scrapes and targets are on the collector's metrics page",
    },
    Refused {
        key: "use_start_time_metric",
        message: "the key use_start_time_metric was removed from the receiver",
        help: "start times come from _created series; remove the key",
    },
    Refused {
        key: "start_time_metric_regex",
        message: "the key start_time_metric_regex was removed from the receiver",
        help: "start times come from _created series; remove the key",
    },
    Refused {
        key: "report_extra_scrape_metrics",
        message: "the key report_extra_scrape_metrics was removed from the receiver",
        help: "write extra_scrape_metrics: true under config.global or in the scrape config",
    },
    Refused {
        key: "enable_protobuf_negotiation",
        message: "the key enable_protobuf_negotiation was removed from the receiver",
        help: "remove the key; targets are scraped in a text format",
    },
    Refused {
        key: "buffer_period",
        message: "the key buffer_period was removed from the receiver",
        help: "remove the key",
    },
    Refused {
        key: "buffer_count",
        message: "the key buffer_count was removed from the receiver",
        help: "remove the key",
    },
];

const PROMETHEUS: &[Refused] = &[Refused {
    key: "scrape_config_files",
    message: "scrape_config_files is not supported",
    help: "write the jobs under scrape_configs; several --config files are merged",
}];

/// Sections that the reference rejects together; the second text is its name for them.
const SERVER_ONLY: &[(&[&str], &str)] = &[
    (&["alerting", "alertmanagers"], "alert_config.alertmanagers"),
    (&["alerting", "alert_relabel_configs"], "alert_config.relabel_configs"),
    (&["remote_read"], "remote_read"),
    (&["remote_write"], "remote_write"),
    (&["rule_files"], "rule_files"),
];

/// Sections of a Prometheus server that the reference accepts without any effect.
const WITHOUT_EFFECT: &[&str] = &["storage", "tracing", "otlp", "runtime"];

const OTHER_DISCOVERIES: &[&str] = &[
    "aws",
    "azure",
    "consul",
    "digitalocean",
    "docker",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "gce",
    "hetzner",
    "ionos",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "openstack",
    "outscale",
    "ovhcloud",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "triton",
    "uyuni",
    "vultr",
];

/// Keys of the receiver itself.
pub(super) fn receiver(node: &mut Node, found: &mut Vec<Diagnostic>) {
    take(node, RECEIVER, found);
}

/// Keys of the Prometheus configuration.
pub(super) fn prometheus(node: &mut Node, found: &mut Vec<Diagnostic>) {
    take(node, PROMETHEUS, found);
    let mut unsupported: Vec<(&str, Node)> = SERVER_ONLY
        .iter()
        .filter_map(|(keys, name)| Some((*name, node.at(keys).filter(|n| has_value(n))?.clone())))
        .collect();
    unsupported.sort_by_key(|(name, _)| *name);
    if let Some((_, first)) = unsupported.first() {
        let list: String = unsupported.iter().map(|(name, _)| format!("\n\t{name}")).collect();
        let mut diagnostic = Diagnostic::error(format!("unsupported features:{list}"))
            .on(first)
            .help("a collector scrapes and exports; remove these parts of the Prometheus server's configuration");
        for (name, other) in &unsupported[1..] {
            diagnostic = diagnostic.also(&other.span, *name);
        }
        found.push(diagnostic);
    }
    for key in ["alerting", "remote_read", "remote_write", "rule_files"] {
        remove(node, key);
    }
    for key in WITHOUT_EFFECT {
        if let Some(section) = remove(node, key).filter(has_value) {
            found.push(no_effect(&section, key));
        }
    }
}

/// Service discoveries of a scrape config that this collector does not have.
pub(super) fn discoveries(node: &mut Node, found: &mut Vec<Diagnostic>) {
    for name in OTHER_DISCOVERIES {
        let key = format!("{name}_sd_configs");
        if let Some(section) = remove(node, &key).filter(has_value) {
            let help = match *name {
                "ecs" | "aws" | "ec2" => "use the ecs_observer extension with file_sd_configs",
                _ => "use static_configs, file_sd_configs, http_sd_configs or dns_sd_configs",
            };
            found.push(Diagnostic::error(format!("{key} is not supported")).on(&section).help(help));
        }
    }
}

/// A warning that a key does nothing, here as in the reference.
pub(super) fn no_effect(node: &Node, key: &str) -> Diagnostic {
    Diagnostic::warning(format!("{key} belongs to a Prometheus server and has no effect in a collector")).on(node)
}

fn take(node: &mut Node, refused: &[Refused], found: &mut Vec<Diagnostic>) {
    for Refused { key, message, help } in refused {
        if let Some(section) = remove(node, key).filter(has_value) {
            found.push(Diagnostic::error(*message).on(&section).help(*help));
        }
    }
}

fn has_value(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Seq(list) => !list.is_empty(),
        _ => true,
    }
}

pub(super) fn remove(node: &mut Node, key: &str) -> Option<Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    let index = entries.iter().position(|(k, _)| &*k.name == key)?;
    Some(entries.remove(index).1)
}
