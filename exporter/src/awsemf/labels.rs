//! The labels of a data point: its attributes as text, converted resource attributes, the scope name, and the
//! Kubernetes object of EKS Fargate. Made once per distinct attribute set.

use std::collections::BTreeMap;

use processor::metric_declaration::SCOPE_LABEL;
use proto::{AttrSetId, MetricKind, Tables};

use super::config::TranslationSettings;
use super::json::push_string;
use super::layout;
use super::resource::ResourceContext;

/// The attribute that asks for high resolution; neither field nor dimension.
pub(crate) const STORAGE_RESOLUTION: &str = "aws.emf.storage_resolution";

/// Label names and values in byte order.
pub(crate) type Labels = BTreeMap<String, String>;

/// The labels of points with these attributes under this resource and scope.
pub(crate) fn labels(
    settings: &TranslationSettings,
    resource: &ResourceContext,
    scope: &str,
    tables: &Tables,
    set: AttrSetId,
    kind: MetricKind,
) -> Labels {
    let mut labels = Labels::new();
    for &(key, value) in tables.attrs.pairs(set) {
        labels.insert(tables.str(key).to_owned(), tables.value_str(value).to_owned());
    }
    labels.extend(resource.converted().cloned());
    if settings.is_agent() {
        layout::add_labels(settings, resource, kind, &mut labels);
        return labels;
    }
    layout::add_event_labels(settings, &mut labels);
    if !scope.is_empty() {
        labels.insert(SCOPE_LABEL.to_owned(), scope.to_owned());
    }
    if settings.fargate && matches!(labels.get("Type").map(String::as_str), Some("Pod" | "Container")) {
        let object = kubernetes(&labels);
        labels.insert("kubernetes".to_owned(), object);
    }
    labels
}

/// The JSON text of the `kubernetes` label; empty values and objects are left out.
fn kubernetes(labels: &Labels) -> String {
    let mut object = Object::default();
    let label = |name: &str| labels.get(name).map_or("", String::as_str);
    object.text("container_name", label("container"));
    object.object("docker", &[("container_id", label("container_id"))]);
    object.text("host", label("NodeName"));
    object.object("labels", &[("app", label("app")), ("pod-template-hash", label("pod-template-hash"))]);
    object.text("namespace_name", label("Namespace"));
    object.text("pod_id", label("PodId"));
    object.text("pod_name", label("PodName"));
    object.object("pod_owners", &[("owner_kind", label("owner_kind")), ("owner_name", label("owner_name"))]);
    object.text("service_name", label("Service"));
    object.finish()
}

/// A JSON object in the making.
#[derive(Default)]
struct Object(Vec<u8>);

impl Object {
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.key(key);
            push_string(&mut self.0, value);
        }
    }

    fn object(&mut self, key: &str, entries: &[(&str, &str)]) {
        let mut inner = Object::default();
        entries.iter().for_each(|(key, value)| inner.text(key, value));
        if !inner.0.is_empty() {
            self.key(key);
            self.0.extend_from_slice(inner.finish().as_bytes());
        }
    }

    fn key(&mut self, key: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        push_string(&mut self.0, key);
        self.0.push(b':');
    }

    fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        String::from_utf8(self.0).expect("made of strings and ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubernetes_object_has_its_order_and_no_empty_parts() {
        let of = |pairs: &[(&str, &str)]| {
            kubernetes(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(
            of(&[("container", "c"), ("container_id", "id"), ("NodeName", "n<1>"), ("PodId", "p")]),
            r#"{"container_name":"c","docker":{"container_id":"id"},"host":"n\u003c1\u003e","pod_id":"p"}"#
        );
        assert_eq!(
            of(&[("owner_name", "o"), ("app", "a"), ("pod-template-hash", ""), ("Service", "s"), ("Namespace", "ns")]),
            r#"{"labels":{"app":"a"},"namespace_name":"ns","pod_owners":{"owner_name":"o"},"service_name":"s"}"#
        );
        assert_eq!(of(&[("Type", "Pod")]), "{}");
    }
}
