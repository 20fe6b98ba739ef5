//! Which component types exist, under which spellings. The lists come from whoever has the components.

/// A section of the configuration that declares components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Section {
    /// `receivers`
    #[default]
    Receivers,
    /// `processors`
    Processors,
    /// `exporters`
    Exporters,
    /// `connectors`; there are none, as in ADOT
    Connectors,
    /// `extensions`
    Extensions,
}

impl Section {
    pub(super) const ALL: [Section; 5] =
        [Section::Receivers, Section::Processors, Section::Exporters, Section::Connectors, Section::Extensions];

    /// The key: `receivers`.
    pub fn key(self) -> &'static str {
        match self {
            Section::Receivers => "receivers",
            Section::Processors => "processors",
            Section::Exporters => "exporters",
            Section::Connectors => "connectors",
            Section::Extensions => "extensions",
        }
    }

    /// One of them: `receiver`.
    pub fn singular(self) -> &'static str {
        self.key().trim_end_matches('s')
    }
}

/// The component types that exist, per section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownComponents {
    /// Types of receivers: `prometheus`.
    pub receivers: Vec<&'static str>,
    /// Types of processors.
    pub processors: Vec<&'static str>,
    /// Types of exporters.
    pub exporters: Vec<&'static str>,
    /// Types of extensions.
    pub extensions: Vec<&'static str>,
}

/// Deprecated spellings that configurations use almost everywhere: section, old, new.
const ALIASES: &[(Section, &str, &str)] = &[
    (Section::Receivers, "filelog", "file_log"),
    (Section::Processors, "resourcedetection", "resource_detection"),
    (Section::Processors, "metricstransform", "metrics_transform"),
    (Section::Processors, "k8sattributes", "k8s_attributes"),
    (Section::Exporters, "prometheusremotewrite", "prometheus_remote_write"),
    (Section::Exporters, "otlphttp", "otlp_http"),
    (Section::Exporters, "otlp", "otlp_grpc"),
    (Section::Exporters, "loadbalancing", "load_balancing"),
];

/// A type that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Its name in the lists.
    pub(super) kind: &'static str,
    /// The spelling to use instead of the deprecated one.
    pub(super) preferred: Option<&'static str>,
}

impl KnownComponents {
    /// The types of a section.
    pub fn of(&self, section: Section) -> &[&'static str] {
        match section {
            Section::Receivers => &self.receivers,
            Section::Processors => &self.processors,
            Section::Exporters => &self.exporters,
            Section::Extensions => &self.extensions,
            Section::Connectors => &[],
        }
    }

    /// Whether a type exists under this or the other spelling.
    pub fn has(&self, section: Section, kind: &str) -> bool {
        self.resolve(section, kind).is_some()
    }

    pub(super) fn resolve(&self, section: Section, kind: &str) -> Option<Resolved> {
        let types = self.of(section);
        let alias = ALIASES.iter().find(|(s, old, new)| *s == section && (*old == kind || *new == kind));
        let preferred = alias.filter(|(_, old, _)| *old == kind).map(|(_, _, new)| *new);
        let spellings = [Some(kind), alias.map(|(_, old, _)| *old), alias.map(|(_, _, new)| *new)];
        let kind = spellings.into_iter().flatten().find_map(|name| types.iter().find(|known| **known == name))?;
        Some(Resolved { kind, preferred })
    }
}

/// The current spelling of a type.
pub(super) fn canonical(section: Section, kind: &str) -> &str {
    ALIASES.iter().find(|(s, old, _)| *s == section && *old == kind).map_or(kind, |(_, _, new)| new)
}
