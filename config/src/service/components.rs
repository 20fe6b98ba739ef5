//! A section of declared components: ids, types, and what to say about types that do not exist.

use super::absent::{self, Absent};
use super::known::{KnownComponents, Section};
use super::{Service, Signal};
use crate::diagnostic::Diagnostic;
use crate::hint;
use crate::id::{self, ComponentId};
use crate::node::{Node, Value};
use crate::position::Span;

/// A declared component whose type exists.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its id as written: `metricstransform/rename`.
    pub id: ComponentId,
    /// Its type under the name that the factory has, also when the id uses another spelling.
    pub kind: &'static str,
    /// Where its id is written.
    pub key: Span,
    /// Its settings; null when there are none.
    pub node: Node,
}

/// The components of a section in the order written.
#[derive(Clone, Debug, Default)]
pub struct Components(Vec<Component>);

impl Components {
    /// The component with an id.
    pub fn get(&self, id: &ComponentId) -> Option<&Component> {
        self.0.iter().find(|component| component.id == *id)
    }

    /// All of them in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &Component> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Everything that a section declares, known or not.
pub(super) struct Declared {
    pub(super) section: Section,
    all: Vec<(ComponentId, Span, Kind)>,
    components: Vec<Component>,
}

enum Kind {
    Known,
    Absent(&'static Absent),
    Unknown,
}

impl Declared {
    pub(super) fn read(
        section: Section,
        node: Option<Node>,
        known: &KnownComponents,
        found: &mut Vec<Diagnostic>,
    ) -> Declared {
        let mut declared = Declared { section, all: Vec::new(), components: Vec::new() };
        let Some(node) = node else { return declared };
        let Value::Map(entries) = node.value else {
            if !node.is_null() {
                let problem =
                    Diagnostic::error(format!("expected a map of {}, got {}", section.key(), node.value.describe()))
                        .on(&node);
                found.push(problem.help(format!("write the id of each {} as a key", section.singular())));
            }
            return declared;
        };
        for (key, node) in entries {
            let here = |problem: Diagnostic| problem.at(&key.span).path(node.path.clone());
            let id = match ComponentId::parse(&key.name) {
                Ok(id) => id,
                Err(why) => {
                    found.push(here(Diagnostic::error(why).help(id::HELP)));
                    continue;
                }
            };
            if let Some((_, first, _)) = declared.all.iter().find(|(other, ..)| *other == id) {
                found.push(
                    here(Diagnostic::error(format!("duplicate name {:?}", id.to_string())))
                        .also(first, "first declared here")
                        .help(format!("give one of them a name of its own, as {}/2", id.kind())),
                );
                continue;
            }
            let kind = match known.resolve(section, id.kind()) {
                Some(resolved) => {
                    if let Some(new) = resolved.preferred {
                        let text = format!("{:?} alias is deprecated; use {new:?} instead", id.kind());
                        found.push(here(Diagnostic::warning(text)));
                    }
                    let key = key.span.clone();
                    declared.components.push(Component { id: id.clone(), kind: resolved.kind, key, node });
                    Kind::Known
                }
                None => match absent::find(section, id.kind()) {
                    Some(entry) => Kind::Absent(entry),
                    None => {
                        found.push(here(unknown(section, &id, known)));
                        Kind::Unknown
                    }
                },
            };
            declared.all.push((id, key.span, kind));
        }
        declared
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether something with this id is declared, whatever its type.
    pub(super) fn has(&self, id: &ComponentId) -> bool {
        self.all.iter().any(|(other, ..)| other == id)
    }

    /// Whether it is declared with a type that is known elsewhere only.
    pub(super) fn is_absent(&self, id: &ComponentId) -> bool {
        self.all.iter().any(|(other, _, kind)| other == id && matches!(kind, Kind::Absent(_)))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(|(id, ..)| id.to_string())
    }

    /// Components that this agent does not have: an error where a running pipeline needs them, else a warning.
    pub(super) fn report_absent(&self, service: &Service, found: &mut Vec<Diagnostic>) {
        for (id, span, kind) in &self.all {
            let Kind::Absent(entry) = kind else { continue };
            let is_needed = match self.section {
                Section::Extensions => service.extensions.iter().any(|used| **used == *id),
                _ => service.pipelines.iter().any(|pipeline| {
                    pipeline.id.signal == Signal::Metrics && pipeline.of(self.section).iter().any(|used| **used == *id)
                }),
            };
            let path = format!("{}::{id}", self.section.key());
            let text =
                format!("the {} {:?} is not available: {}", self.section.singular(), id.to_string(), entry.reason);
            let problem = match is_needed && !entry.optional || self.section == Section::Connectors {
                true => Diagnostic::error(text),
                false => Diagnostic::warning(format!("{text}; it is left out")),
            };
            found.push(problem.at(span).path(path).help(entry.instead));
        }
    }

    pub(super) fn into_components(self) -> Components {
        Components(self.components)
    }
}

fn unknown(section: Section, id: &ComponentId, known: &KnownComponents) -> Diagnostic {
    if section == Section::Exporters && id.kind() == "logging" {
        return Diagnostic::error("the logging exporter has been deprecated, use the debug exporter instead")
            .help("rename it to debug; loglevel became verbosity: basic, normal or detailed");
    }
    let types = known.of(section);
    let text =
        format!("unknown type: {:?} for id: {:?} (valid values: [{}])", id.kind(), id.to_string(), types.join(" "));
    let near = hint::nearest(id.kind(), types.iter().copied()).map(|near| format!("did you mean {near:?}?"));
    let elsewhere = || {
        let other = Section::ALL.into_iter().find(|other| *other != section && known.has(*other, id.kind()))?;
        Some(format!("there is {} {} of this type; move it to {}", article(other), other.singular(), other.key()))
    };
    let help = near.or_else(elsewhere).unwrap_or_else(|| match types.is_empty() {
        true => format!("there are no {}; remove it", section.key()),
        false => "write one of the valid values, or remove it".to_owned(),
    });
    Diagnostic::error(text).help(help)
}

fn article(section: Section) -> &'static str {
    if section.key().starts_with('e') { "an" } else { "a" }
}
