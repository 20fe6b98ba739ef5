//! The settings of `awsemf` and what is wrong with them.

use std::collections::{BTreeMap, HashMap};

use config::pattern::GoRegex;
use config::{Built, CLOUDWATCH_UNITS, Diagnostic, Spanned, hint};
use processor::metric_declaration::{DeclarationConfig, Declarations, Rollup, compile};
use proto::BuildContext;
use serde::Deserialize;

use super::layout::Layout;
use super::placeholders::Template;
use super::session::AwsSessionConfig;
use super::units::Descriptors;
use crate::Expectation;

/// Feature gate: without a `dimension_rollup_option` there is no rollup.
pub const NO_ROLLUP_GATE: &str = "awsemf.nodimrollupdefault";

/// The section as written. Defaults are those of the reference.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct AwsEmfConfig {
    /// CloudWatch namespace; empty: from the resource's `service.namespace` and `service.name`, or `default`.
    pub namespace: String,
    /// Log group, with placeholders; empty: `/metrics/<namespace>`.
    pub log_group_name: String,
    /// Log stream, with placeholders; empty: `otel-stream-<uuid>`.
    pub log_stream_name: String,
    /// Days that a created log group keeps its events; 0: for ever.
    pub log_retention: Spanned<i32>,
    /// Tags of created log groups.
    pub tags: Option<Spanned<BTreeMap<String, String>>>,
    /// `ZeroAndSingleDimensionRollup`, `SingleDimensionRollupOnly` or `NoDimensionRollup`.
    pub dimension_rollup_option: Spanned<String>,
    /// Labels whose text is JSON and is written as such.
    pub parse_json_encoded_attr_values: Vec<String>,
    /// Which metrics are published under which dimensions; none: all, under all labels.
    pub metric_declarations: Vec<Spanned<DeclarationConfig>>,
    /// Units by metric name.
    pub metric_descriptors: Vec<Spanned<DescriptorConfig>>,
    /// `cloudwatch` or `stdout`.
    pub output_destination: Spanned<String>,
    /// Adds the `kubernetes` object of EKS Fargate to events of type `Pod` and `Container`.
    pub eks_fargate_container_insights_enabled: bool,
    /// Resource attributes as labels.
    pub resource_to_telemetry_conversion: ResourceConversion,
    /// Quantiles of summaries as metrics of their own.
    pub detailed_metrics: bool,
    /// EMF layout, `1` or `0`.
    pub version: Spanned<String>,
    /// Emit the first value of a cumulative series instead of dropping it.
    pub retain_initial_value_of_delta_metric: bool,
    /// Leave out what no declaration selects instead of logging it without publishing it.
    pub drop_unmatched: Spanned<bool>,
    /// Whose events ours look like: `collector` or `cloudwatch_agent`.
    pub layout: Spanned<String>,
    /// Labels that every event gets that has none of the name.
    pub event_labels: BTreeMap<String, String>,
    /// A metric that several declarations select is published once per dimension set, not once per declaration.
    pub metric_declaration_dedup: bool,
    /// How requests reach AWS.
    #[serde(rename = "<inline aws>")]
    pub session: AwsSessionConfig,
}

/// `resource_to_telemetry_conversion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResourceConversion {
    /// Copy the resource's attributes onto every data point.
    pub enabled: bool,
    /// But not `service.name`, `service.instance.id` and `service.namespace`.
    pub exclude_service_attributes: bool,
}

/// An entry of `metric_descriptors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DescriptorConfig {
    /// Exact metric name.
    pub metric_name: String,
    /// CloudWatch unit.
    pub unit: String,
    /// Also when the metric has a unit.
    pub overwrite: bool,
}

impl Default for AwsEmfConfig {
    fn default() -> Self {
        AwsEmfConfig {
            namespace: String::new(),
            log_group_name: String::new(),
            log_stream_name: String::new(),
            log_retention: Spanned::default(),
            tags: None,
            dimension_rollup_option: Spanned::default(),
            parse_json_encoded_attr_values: Vec::new(),
            metric_declarations: Vec::new(),
            metric_descriptors: Vec::new(),
            output_destination: Spanned::built_in("cloudwatch".to_owned()),
            eks_fargate_container_insights_enabled: false,
            resource_to_telemetry_conversion: ResourceConversion::default(),
            detailed_metrics: false,
            version: Spanned::built_in("1".to_owned()),
            retain_initial_value_of_delta_metric: false,
            drop_unmatched: Spanned::default(),
            layout: Spanned::built_in("collector".to_owned()),
            event_labels: BTreeMap::new(),
            metric_declaration_dedup: true,
            session: AwsSessionConfig::default(),
        }
    }
}

/// Where documents go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// CloudWatch Logs.
    #[default]
    CloudWatch,
    /// Standard output, one document per line.
    Stdout,
}

/// Layout of the metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// `"Version":"0"`, metadata at the top level.
    V0,
    /// `"Version":"1"`, metadata under `_aws`.
    #[default]
    V1,
}

/// What the translation works with, checked.
#[derive(Debug)]
pub struct TranslationSettings {
    pub(crate) namespace: String,
    pub(crate) group: Template,
    pub(crate) stream: Template,
    pub(crate) rollup: Rollup,
    pub(crate) json_labels: Vec<String>,
    pub(crate) declarations: Declarations,
    pub(crate) descriptors: Descriptors,
    pub(crate) fargate: bool,
    pub(crate) resource_conversion: ResourceConversion,
    pub(crate) detailed_metrics: bool,
    pub(crate) version: Version,
    pub(crate) retain_initial: bool,
    pub(crate) drop_unmatched: bool,
    pub(crate) layout: Layout,
    /// By name.
    pub(crate) event_labels: Vec<(String, String)>,
    pub(crate) dedup: bool,
}

impl TranslationSettings {
    pub(crate) fn is_agent(&self) -> bool {
        self.layout == Layout::CloudWatchAgent
    }
}

/// The values of `log_retention` that CloudWatch Logs knows.
const RETENTION_DAYS: [i32; 22] =
    [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 2192, 2557, 2922, 3288, 3653];

const ROLLUPS: [(&str, Rollup); 3] = [
    ("ZeroAndSingleDimensionRollup", Rollup::ZeroAndSingle),
    ("SingleDimensionRollupOnly", Rollup::Single),
    ("NoDimensionRollup", Rollup::None),
];

impl AwsEmfConfig {
    /// Checks everything and gives what the translation works with.
    pub fn check(&self, context: &BuildContext) -> Built<TranslationSettings> {
        let mut found = Vec::new();
        self.session.check(&mut found);
        self.check_retention(&mut found);
        self.check_tags(&mut found);
        self.output(&mut found);
        let version = self.version(&mut found);
        let layout = self.layout(version, &mut found);
        let rollup = self.rollup(context, &mut found);
        let descriptors = self.descriptors(&mut found);
        let (declarations, problems) = compile(&self.metric_declarations);
        found.extend(problems);
        let settings = declarations.map(|declarations| TranslationSettings {
            namespace: self.namespace.clone(),
            group: Template::new(&self.log_group_name, layout),
            stream: Template::new(&self.log_stream_name, layout),
            rollup,
            json_labels: self.parse_json_encoded_attr_values.clone(),
            declarations,
            descriptors,
            fargate: self.eks_fargate_container_insights_enabled,
            resource_conversion: self.resource_to_telemetry_conversion,
            detailed_metrics: self.detailed_metrics,
            version,
            retain_initial: self.retain_initial_value_of_delta_metric,
            drop_unmatched: *self.drop_unmatched,
            layout,
            event_labels: self.event_labels.clone().into_iter().collect(),
            dedup: self.metric_declaration_dedup,
        });
        (settings, found)
    }

    /// Without declarations of its own, `drop_unmatched` goes by those of the processor.
    pub(crate) fn expects(&self) -> Option<Expectation> {
        let otherwise = || {
            let text = "drop_unmatched has no effect: there are no declarations that something could fail to match";
            let help = "add metric_declarations, or the processor metric_declaration to a pipeline of this exporter";
            self.drop_unmatched.warning(text).help(help)
        };
        let depends = *self.drop_unmatched && self.metric_declarations.is_empty();
        depends.then(|| Expectation { processor: "metric_declaration", otherwise: otherwise() })
    }

    /// `output_destination`; case does not matter.
    pub fn output(&self, found: &mut Vec<Diagnostic>) -> Output {
        if self.output_destination.eq_ignore_ascii_case("cloudwatch") {
            return Output::CloudWatch;
        }
        if !self.output_destination.eq_ignore_ascii_case("stdout") {
            let problem = format!("output_destination {:?} would discard every metric", self.output_destination.value);
            found.push(self.output_destination.error(problem).help("write cloudwatch or stdout"));
        }
        Output::Stdout
    }

    fn version(&self, found: &mut Vec<Diagnostic>) -> Version {
        match self.version.as_str() {
            "0" => Version::V0,
            "1" => Version::V1,
            other => {
                let problem = format!("version {other:?} is no EMF version, events would carry no metrics");
                found.push(self.version.error(problem).help("write version: \"1\" or \"0\""));
                Version::V1
            }
        }
    }

    fn layout(&self, version: Version, found: &mut Vec<Diagnostic>) -> Layout {
        match self.layout.as_str() {
            "collector" => Layout::Collector,
            "cloudwatch_agent" => {
                if version != Version::V0 {
                    let problem = self.layout.error("layout cloudwatch_agent needs EMF version 0");
                    found.push(problem.help("write version: \"0\" beside it"));
                }
                Layout::CloudWatchAgent
            }
            other => {
                let problem = self.layout.error(format!("layout {other:?} does not exist"));
                found.push(problem.help("write collector or cloudwatch_agent"));
                Layout::Collector
            }
        }
    }

    fn rollup(&self, context: &BuildContext, found: &mut Vec<Diagnostic>) -> Rollup {
        let option = &self.dimension_rollup_option;
        // Nobody wrote the key. Written without a value it is an empty text, not the default.
        if option.is_empty() && option.span.is_built_in() {
            return if context.gates.contains(NO_ROLLUP_GATE) { Rollup::None } else { Rollup::ZeroAndSingle };
        }
        if let Some((_, rollup)) = ROLLUPS.iter().find(|(name, _)| *name == option.as_str()) {
            return *rollup;
        }
        let names = ROLLUPS.map(|(name, _)| name);
        let help = match hint::nearest(option, names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("write {}, {} or {}", names[0], names[1], names[2]),
        };
        found.push(option.error(format!("dimension_rollup_option {:?} does not exist", option.value)).help(help));
        Rollup::None
    }

    fn check_retention(&self, found: &mut Vec<Diagnostic>) {
        if !RETENTION_DAYS.contains(&self.log_retention) {
            let days: Vec<String> = RETENTION_DAYS.iter().map(i32::to_string).collect();
            let problem = format!("invalid value for retention policy: {} days", *self.log_retention);
            found.push(self.log_retention.error(problem).help(format!("CloudWatch Logs knows {}", days.join(", "))));
        }
    }

    fn check_tags(&self, found: &mut Vec<Diagnostic>) {
        let Some(tags) = &self.tags else { return };
        if tags.is_empty() {
            found.push(tags.error("tags has no entry").help("give at least 1 tag or remove the key"));
        }
        if tags.len() > 50 {
            let problem = tags.error(format!("{} tags, but a log group takes at most 50", tags.len()));
            found.push(problem.help("remove some of them"));
        }
        let allowed = GoRegex::new(TAG_PATTERN).expect("the pattern is right");
        for (key, value) in tags.iter() {
            if !(1..=128).contains(&key.len()) {
                let problem = format!("the tag key {key:?} has {} bytes, allowed are 1 to 128", key.len());
                found.push(tags.error(problem).help("give the tag a shorter key, but not an empty one"));
            }
            if !(1..=256).contains(&value.len()) {
                let problem =
                    format!("the value {value:?} of tag {key:?} has {} bytes, allowed are 1 to 256", value.len());
                found.push(tags.error(problem).help("give the tag a shorter value, but not an empty one"));
            }
            for text in [key, value].into_iter().filter(|text| !allowed.is_match(text)) {
                let problem = tags.error(format!("{text:?} in tags has characters outside of {TAG_PATTERN}"));
                found.push(problem.help("use letters, digits, spaces and _.:/=+-@"));
            }
        }
    }

    fn descriptors(&self, found: &mut Vec<Diagnostic>) -> Descriptors {
        let mut descriptors = HashMap::new();
        for entry in &self.metric_descriptors {
            if entry.metric_name.is_empty() {
                found.push(entry.warning("metric descriptor left out: it has no metric_name"));
            } else if !CLOUDWATCH_UNITS.contains(&entry.unit.as_str()) {
                let problem = format!("metric descriptor left out: CloudWatch has no unit {:?}", entry.unit);
                let near = hint::nearest(&entry.unit, CLOUDWATCH_UNITS.iter().copied())
                    .map(|unit| format!("did you mean {unit:?}?"));
                found.push(entry.warning(problem).maybe_help(near));
            } else {
                descriptors.insert(entry.metric_name.clone(), (entry.unit.clone(), entry.overwrite));
            }
        }
        Descriptors(descriptors)
    }
}

/// Go's pattern for tag keys and values; their length is checked apart.
const TAG_PATTERN: &str = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$";
