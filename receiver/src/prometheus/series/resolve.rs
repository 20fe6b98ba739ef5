//! The slow path of the cache: from the raw text of a series to what its samples do. Runs once per series.

use std::borrow::Cow;
use std::sync::Arc;

use proto::SymbolId;

use super::group::{Distribution, DistributionKind, DistributionPart, NONE, NumberGroup, Rejection, Role};
use super::tables::{MetricText, ScopeKey};
use super::{ScrapeError, SeriesCache};
use crate::prometheus::families::Part;
use crate::prometheus::labels::{Labels, METRIC_NAME};
use crate::prometheus::relabel::apply_rules;
use crate::prometheus::text::{self, MetricType, canonical_label_value};
use crate::prometheus::units::{otlp_unit, trim_suffixes};

const TARGET_INFO: &str = "target_info";

/// Scope of samples without `otel_scope_*` labels. It becomes the `OTelLib` label of EMF, so it is part of the output.
pub(crate) const SCOPE_NAME: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";

impl SeriesCache {
    /// What samples of this series do; `read_as` is the type of the last `# TYPE` line above it. An error fails the
    /// scrape.
    pub(super) fn resolve(&mut self, raw: &[u8], read_as: MetricType) -> Result<Role, ScrapeError> {
        let mut labels = read_labels(raw, read_as);
        self.add_target_labels(&mut labels);
        let repeated = labels.finish();
        let original = self.rules.type_by_original_name.then(|| labels.value(METRIC_NAME).to_owned());
        if !apply_rules(&self.rules.metric_relabel, &mut labels) || labels.is_empty() {
            return Ok(Role::Dropped);
        }
        self.check_labels(&labels)?;
        repeated.map_err(|_| ScrapeError::DuplicateLabels { series: String::from_utf8_lossy(raw).into_owned() })?;
        self.role_of(labels, original.as_deref())
    }

    /// The group of a report series: the labels of the target.
    pub(super) fn report_group(&mut self, name: &str, unit: &str, description: &str, kind: MetricType) -> u32 {
        let target = Arc::clone(&self.target);
        let mut labels: Labels<'_> = target.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.add_external_labels(&mut labels);
        let (resource, scope) = self.place(&labels);
        let scope = self.scope(resource, scope, &labels);
        let metric = self.tables.metric(scope, &MetricText { name, description, unit, kind });
        self.number_group(metric, &labels)
    }

    /// Adds the labels of the target; `honor_labels` decides who wins.
    fn add_target_labels(&self, labels: &mut Labels<'_>) {
        let mut conflicts: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.target.labels {
            match labels.get(name) {
                // A label that is there without a value counts as there.
                Some(_) if self.rules.honor_labels => continue,
                Some(own) if !own.is_empty() => conflicts.push((name, own.to_owned())),
                _ => {}
            }
            labels.set(name.clone(), value.clone());
        }
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut exported = format!("exported_{name}");
            while !labels.value(&exported).is_empty() {
                exported.insert_str(0, "exported_");
            }
            labels.set(exported, value);
        }
    }

    fn check_labels(&self, labels: &Labels<'_>) -> Result<(), ScrapeError> {
        let Some(metric) = labels.get(METRIC_NAME) else { return Err(ScrapeError::NoMetricName) };
        let validation = self.rules.validation;
        if !validation.is_metric_name(metric) {
            return Err(ScrapeError::InvalidName { name: metric.to_owned() });
        }
        let limits = &self.rules.limits;
        let over = |limit: u64, size: usize| limit != 0 && size as u64 > limit;
        if over(limits.labels, labels.len()) {
            return Err(ScrapeError::LabelLimit {
                metric: metric.to_owned(),
                labels: labels.len(),
                limit: limits.labels,
            });
        }
        for (name, value) in labels.iter() {
            if name != METRIC_NAME && !validation.is_label_name(name) {
                return Err(ScrapeError::InvalidName { name: name.to_owned() });
            }
            if over(limits.label_name_bytes, name.len()) {
                return Err(ScrapeError::LabelNameLength {
                    metric: metric.to_owned(),
                    label: name.to_owned(),
                    limit: limits.label_name_bytes,
                });
            }
            if over(limits.label_value_bytes, value.len()) {
                return Err(ScrapeError::LabelValueLength {
                    metric: metric.to_owned(),
                    label: name.to_owned(),
                    bytes: value.len(),
                    limit: limits.label_value_bytes,
                });
            }
        }
        Ok(())
    }

    /// Adds the external labels and sorts everything.
    fn add_external_labels(&self, labels: &mut Labels<'_>) {
        for (name, value) in &self.rules.external_labels {
            labels.set(name.clone(), value.clone());
        }
        // Names are unique by now: a repeated one has failed the scrape.
        drop(labels.finish());
    }

    /// `original` is the name before `metric_relabel_configs`, where it decides about the type.
    fn role_of(&mut self, mut labels: Labels<'_>, original: Option<&str>) -> Result<Role, ScrapeError> {
        self.add_external_labels(&mut labels);
        let labels = &labels;
        let Some(name) = labels.get(METRIC_NAME) else { return Err(ScrapeError::NoMetricName) };
        let (resource, scope_key) = self.place(labels);
        if name == TARGET_INFO {
            let info = labels.iter().filter(|(k, _)| !matches!(*k, METRIC_NAME | "job" | "instance"));
            return Ok(Role::TargetInfo { resource, attrs: self.tables.attrs(info) });
        }
        let report = super::report::known(name);
        let is_used = |family| self.columns.is_used(family);
        let classified = match original {
            Some(original) if original != name => self.families.classify_renamed(original, name, is_used),
            _ => self.families.classify(name, is_used),
        };
        let (family, named) = (classified.id, classified.name_id);
        let (kind, part) = match report {
            Some(_) => (MetricType::Gauge, Part::Value),
            None => (classified.kind, classified.part),
        };
        let about = classified.about;
        let prometheus_unit = about.map_or("", |about| &about.unit);
        let (unit, description) = match report {
            Some(known) => (known.unit.to_owned(), known.description.to_owned()),
            None => (otlp_unit(prometheus_unit), about.map_or_else(String::new, |about| about.help.to_string())),
        };
        let mut emitted = if report.is_some() { name.to_owned() } else { classified.name.clone().into_owned() };
        if self.rules.trim_metric_suffixes && emitted.contains('_') {
            let is_sum = matches!(kind, MetricType::Counter | MetricType::Info | MetricType::StateSet);
            emitted = trim_suffixes(&emitted, is_sum, prometheus_unit).to_owned();
        }
        let scope = self.scope(resource, scope_key, labels);
        let text = MetricText { name: &emitted, description: &description, unit: &unit, kind };
        let metric = self.tables.metric(scope, &text);
        if part != Part::Created || !self.columns.has_family(metric) {
            self.columns.set_family(metric, family, named);
        }
        Ok(match kind {
            MetricType::Histogram => self.distribution_role(DistributionKind::Histogram, metric, part, labels),
            MetricType::Summary => self.distribution_role(DistributionKind::Summary, metric, part, labels),
            _ => {
                let group = self.number_group(metric, labels);
                if part == Part::Created { Role::NumberCreated { group } } else { Role::Number { group } }
            }
        })
    }

    /// Resource of a sample, and whether it has scope labels.
    fn place(&mut self, labels: &Labels<'_>) -> (u32, bool) {
        let or_target =
            |own: Option<&str>, target: &str| own.filter(|own| !own.is_empty()).unwrap_or(target).to_owned();
        let job = or_target(labels.get("job"), &self.target.job);
        let instance = or_target(labels.get("instance"), &self.target.instance);
        let has_scope = labels.iter().any(|(name, _)| name.starts_with("otel_scope_"));
        let resource = self.tables.resource(&job, &instance, &self.target.scheme, &self.target.discovered);
        (resource, has_scope)
    }

    fn scope(&mut self, resource: u32, has_labels: bool, labels: &Labels<'_>) -> u32 {
        let key = if has_labels {
            let attrs = self.tables.attrs(labels.iter().filter_map(|(name, value)| {
                let key = name.strip_prefix("otel_scope_")?;
                (!matches!(key, "name" | "version" | "schema_url")).then_some((key, value))
            }));
            let symbols = &mut self.tables.edit().symbols;
            let mut symbol = |name: &str| symbols.intern(labels.get(name).unwrap_or(""));
            let (name, version) = (symbol("otel_scope_name"), symbol("otel_scope_version"));
            ScopeKey { resource, name, version, schema_url: symbol("otel_scope_schema_url"), attrs }
        } else {
            let symbols = &mut self.tables.edit().symbols;
            let (name, version) = (symbols.intern(SCOPE_NAME), symbols.intern(self.rules.version));
            ScopeKey { resource, name, version, schema_url: SymbolId::EMPTY, attrs: proto::AttrSetId::EMPTY }
        };
        self.tables.scope(key)
    }

    fn point_attrs(&mut self, labels: &Labels<'_>, except: &str) -> proto::AttrSetId {
        self.tables.attrs(labels.iter().filter(|(name, _)| {
            *name != except
                && !matches!(*name, METRIC_NAME | "job" | "instance" | "__scheme__" | "__metrics_path__")
                && !name.starts_with("otel_scope_")
        }))
    }

    fn number_group(&mut self, metric: u32, labels: &Labels<'_>) -> u32 {
        let attrs = self.point_attrs(labels, "");
        *self.number_index.entry((metric, attrs)).or_insert_with(|| {
            self.numbers.push(NumberGroup { metric, attrs, round: 0, point: NONE, created: NONE });
            u32::try_from(self.numbers.len() - 1).expect("fewer groups than series")
        })
    }

    fn distribution_role(&mut self, kind: DistributionKind, metric: u32, part: Part, labels: &Labels<'_>) -> Role {
        let (label, missing) = match kind {
            DistributionKind::Histogram => ("le", Rejection::NoBound),
            DistributionKind::Summary => ("quantile", Rejection::NoQuantile),
        };
        let value = match part {
            Part::Bare if labels.get(label).is_none() => return Role::Rejected(Rejection::BareHistogram),
            Part::Bare | Part::Bucket | Part::Quantile => {
                match labels.get(label).and_then(text::parse_go_float).filter(|value| !value.is_nan()) {
                    Some(value) => Some(value),
                    None => return Role::Rejected(missing),
                }
            }
            _ => None,
        };
        let attrs = self.point_attrs(labels, label);
        let distribution = *self.distribution_index.entry((metric, attrs)).or_insert_with(|| {
            self.distributions.push(Distribution::new(kind, metric, attrs));
            u32::try_from(self.distributions.len() - 1).expect("fewer distributions than series")
        });
        let part = match (part, value) {
            (_, Some(value)) => match self.value_position(distribution, value) {
                Some(position) => DistributionPart::Value(position),
                None => return Role::Rejected(Rejection::TooMany),
            },
            (Part::Sum, _) => DistributionPart::Sum,
            (Part::Count, _) => DistributionPart::Count,
            _ => DistributionPart::Created,
        };
        Role::Part { distribution, part }
    }
}

/// Decodes the labels of the text; `le` of histograms and `quantile` of summaries in canonical form.
fn read_labels(raw: &[u8], read_as: MetricType) -> Labels<'_> {
    let mut labels = Labels::new();
    for (name, value) in text::labels(raw) {
        let canonical = canonical_label_value(read_as, &name, &value);
        labels.push(name, canonical.map_or(value, Cow::Owned));
    }
    labels
}
