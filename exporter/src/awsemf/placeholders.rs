//! `{ClusterName}` and its siblings in log group and stream names. A closed list: anything else in braces stays.

use super::layout::Layout;

/// Placeholder, the attribute looked up first, and the one looked up when that is absent.
const PLACEHOLDERS: [(&str, &str, &str); 8] = [
    ("{ClusterName}", "ClusterName", "aws.ecs.cluster.name"),
    ("{TaskId}", "TaskId", "aws.ecs.task.id"),
    ("{NodeName}", "NodeName", "k8s.node.name"),
    ("{PodName}", "PodName", "pod"),
    ("{ServiceName}", "ServiceName", "service.name"),
    ("{ContainerInstanceId}", "ContainerInstanceId", "aws.ecs.container.instance.id"),
    ("{TaskDefinitionFamily}", "TaskDefinitionFamily", "aws.ecs.task.family"),
    ("{JobName}", "JobName", "job"),
];
/// Those that the Collector has; the last one is the CloudWatch agent's.
const OF_COLLECTOR: usize = 7;

const UNDEFINED: &str = "undefined";

/// A name with placeholders, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Index in `PLACEHOLDERS`.
    Value(usize),
}

impl Template {
    pub(crate) fn new(text: &str, layout: Layout) -> Template {
        let known = match layout {
            Layout::Collector => &PLACEHOLDERS[..OF_COLLECTOR],
            Layout::CloudWatchAgent => &PLACEHOLDERS[..],
        };
        let mut parts = Vec::new();
        let mut rest = text;
        let mut literal = String::new();
        while let Some(start) = rest.find('{') {
            let (before, braced) = rest.split_at(start);
            literal.push_str(before);
            match known.iter().position(|(name, ..)| braced.starts_with(name)) {
                Some(which) => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Value(which));
                    rest = &braced[PLACEHOLDERS[which].0.len()..];
                }
                None => {
                    literal.push('{');
                    rest = &braced[1..];
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Template { text: text.to_owned(), parts }
    }

    /// Whether nothing was configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Fills the name in for one set of labels.
    ///
    /// Values are taken from the resource, from left to right, until one is missing there; that one and those
    /// after it are taken from the labels. If that does not give all of them, the name is filled in from the labels
    /// alone, with `undefined` for what they lack, which is what the reference does as soon as the resource lacks
    /// one. An attribute that is there but empty counts as missing, also when its alternative is there.
    pub(crate) fn resolve<'a>(
        &self,
        resource: impl Fn(&str) -> Option<&'a str>,
        labels: impl Fn(&str) -> Option<&'a str>,
    ) -> String {
        let mut from_labels = false;
        let mixed = self.fill(|which| {
            let value = if from_labels { None } else { value_of(which, &resource) };
            from_labels |= value.is_none();
            value.or_else(|| value_of(which, &labels))
        });
        mixed.unwrap_or_else(|| self.fill(|which| value_of(which, &labels).or(Some(UNDEFINED))).unwrap_or_default())
    }

    fn fill<'a>(&self, mut value: impl FnMut(usize) -> Option<&'a str>) -> Option<String> {
        let mut name = String::with_capacity(self.text.len() + 32);
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Value(which) => name.push_str(value(*which)?),
            }
        }
        Some(name)
    }
}

fn value_of<'a>(which: usize, attribute: &impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    let (_, first, second) = PLACEHOLDERS[which];
    attribute(first).or_else(|| attribute(second)).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn get(pairs: Pairs) -> impl Fn(&str) -> Option<&'static str> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    #[test]
    fn placeholders_are_filled_from_resource_and_labels() {
        let cases: &[(&str, Pairs, Pairs, &str)] = &[
            ("/a/{ClusterName}/p", &[("aws.ecs.cluster.name", "test")], &[], "/a/test/p"),
            ("/a/{ClusterName}/p", &[("aws.ecs.cluster.name", "x"), ("ClusterName", "test")], &[], "/a/test/p"),
            ("{TaskDefinitionFamily}-{TaskId}", &[("TaskId", "id"), ("aws.ecs.task.family", "fam")], &[], "fam-id"),
            ("i/{ContainerInstanceId}", &[("aws.ecs.container.instance.id", "c")], &[], "i/c"),
            (
                "{NodeName}{PodName}{ServiceName}",
                &[("k8s.node.name", "n"), ("pod", "p"), ("service.name", "s")],
                &[],
                "nps",
            ),
            ("{ClusterName}", &[("ClusterName", ""), ("aws.ecs.cluster.name", "other")], &[], "undefined"),
            ("{WrongKey}{{TaskId}}{", &[("TaskId", "t")], &[], "{WrongKey}{t}{"),
            ("{JobName}", &[("JobName", "j")], &[], "{JobName}"),
            ("g-{TaskId}", &[], &[("TaskId", "fromlabel")], "g-fromlabel"),
            ("g-{TaskId}", &[], &[], "g-undefined"),
            ("/x/{ClusterName}/{PodName}", &[("ClusterName", "c")], &[("PodName", "p")], "/x/c/p"),
            ("/x/{PodName}/{ClusterName}", &[("ClusterName", "c")], &[("PodName", "p")], "/x/p/undefined"),
            ("/x/{ClusterName}/{PodName}", &[("ClusterName", "c")], &[], "/x/undefined/undefined"),
            ("plain", &[], &[], "plain"),
            ("{ClusterName}-{ClusterName}", &[("ClusterName", "{TaskId}")], &[], "{TaskId}-{TaskId}"),
        ];
        for (template, resource, labels, expected) in cases {
            assert_eq!(
                Template::new(template, Layout::Collector).resolve(get(resource), get(labels)),
                *expected,
                "{template}"
            );
        }
    }
}
