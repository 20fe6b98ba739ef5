//! Resource attributes of a scraped target: from job, instance, scheme, and what Kubernetes discovery said.

use std::net::IpAddr;

/// The attributes of a job's instance. `discovered` comes from [`discovered`].
pub(crate) fn attributes(
    job: &str,
    instance: &str,
    scheme: &str,
    discovered: &[(&'static str, String)],
) -> Vec<(&'static str, String)> {
    let (host, port) = split_host_port(instance);
    let mut out = vec![("service.name", job.to_owned())];
    if !means_itself(host) {
        out.push(("server.address", host.to_owned()));
    }
    out.push(("service.instance.id", instance.to_owned()));
    out.push(("server.port", port.to_owned()));
    out.push(("url.scheme", scheme.to_owned()));
    out.extend(discovered.iter().cloned());
    out
}

/// Attributes from the labels that discovery gave the target, before relabelling.
pub(crate) fn discovered<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Vec<(&'static str, String)> {
    let get = |names: &[&str]| names.iter().find_map(|name| label(name).filter(|value| !value.is_empty()));
    let mut out = Vec::new();
    for (attribute, names) in [
        ("k8s.pod.name", &["__meta_kubernetes_pod_name"][..]),
        ("k8s.pod.uid", &["__meta_kubernetes_pod_uid"]),
        ("k8s.container.name", &["__meta_kubernetes_pod_container_name"]),
        ("k8s.namespace.name", &["__meta_kubernetes_namespace"]),
        (
            "k8s.node.name",
            &["__meta_kubernetes_pod_node_name", "__meta_kubernetes_node_name", "__meta_kubernetes_endpoint_node_name"],
        ),
    ] {
        out.extend(get(names).map(|value| (attribute, value.to_owned())));
    }
    let controller = match get(&["__meta_kubernetes_pod_controller_kind"]) {
        Some("ReplicaSet") => Some("k8s.replicaset.name"),
        Some("DaemonSet") => Some("k8s.daemonset.name"),
        Some("StatefulSet") => Some("k8s.statefulset.name"),
        Some("Job") => Some("k8s.job.name"),
        Some("CronJob") => Some("k8s.cronjob.name"),
        _ => None,
    };
    if let (Some(attribute), Some(name)) = (controller, get(&["__meta_kubernetes_pod_controller_name"])) {
        out.push((attribute, name.to_owned()));
    }
    out
}

/// Host and port as Go's `net.SplitHostPort` cuts them; the whole as host when it is no `host:port`.
fn split_host_port(instance: &str) -> (&str, &str) {
    let cut = match instance.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").filter(|(host, port)| !host.contains(['[', ']']) && !port.contains(':')),
        None => instance.rsplit_once(':').filter(|(host, _)| !host.contains([':', '[', ']'])),
    };
    cut.unwrap_or((instance, ""))
}

/// Hosts that mean something else on every machine: `localhost`, loopback and unspecified addresses.
fn means_itself(host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(instance: &str, address: Option<&str>, port: &str) {
        let attributes = attributes("j", instance, "http", &[]);
        let get = |key: &str| attributes.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str());
        assert_eq!((get("server.address"), get("server.port")), (address, Some(port)), "{instance}");
        assert_eq!(get("service.instance.id"), Some(instance));
    }

    #[test]
    fn address_and_port_come_from_the_instance() {
        check("127.0.0.1:8080", None, "8080");
        check("0.0.0.0:1", None, "1");
        check("localhost:80", None, "80");
        check("web", Some("web"), "");
        check("web.example:9100", Some("web.example"), "9100");
        check("[::1]:80", None, "80");
        check("[2001:db8::1]:80", Some("2001:db8::1"), "80");
        check("2001:db8::1", Some("2001:db8::1"), "");
        check("a:b:c", Some("a:b:c"), "");
    }

    #[test]
    fn kubernetes_labels_become_attributes() {
        let labels = [
            ("__meta_kubernetes_pod_name", "p"),
            ("__meta_kubernetes_pod_controller_kind", "DaemonSet"),
            ("__meta_kubernetes_pod_controller_name", "d"),
            ("__meta_kubernetes_node_name", "n"),
        ];
        let got = discovered(|name| labels.iter().find(|(k, _)| *k == name).map(|(_, v)| *v));
        let got: Vec<_> = got.iter().map(|(k, v)| (*k, v.as_str())).collect();
        assert_eq!(got, [("k8s.pod.name", "p"), ("k8s.node.name", "n"), ("k8s.daemonset.name", "d")]);
    }
}
