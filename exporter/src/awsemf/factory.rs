//! Puts the exporter together: settings, translator, CloudWatch target, sender.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::pattern::GoRegex;
use config::{Built, Node, has_errors};
use proto::{Batch, BoxFuture, BuildContext, Counter, Uses};

use super::config::{AwsEmfConfig, Output, TranslationSettings};
use super::translator::Translator;
use crate::cloudwatch::{Batcher, CloudWatchSettings, Request, Target};
use crate::sender::{Sender, SenderSettings};
use crate::{Encoded, Encoder, Expectation, Exporter, ExporterFactory, ExporterNode, Outcome};

/// The `awsemf` exporter.
pub static FACTORY: ExporterFactory = ExporterFactory { kind: "awsemf", build };

fn build(node: &Node, context: &BuildContext) -> Built<Box<dyn ExporterNode>> {
    let (config, mut found) = config::decode::<AwsEmfConfig>(node);
    let Some(config) = config else { return (None, found) };
    let (settings, problems) = config.check(context);
    found.extend(problems);
    let (sender, problems) = config.session.sender.check(SenderSettings::default());
    found.extend(problems);
    let Some(settings) = settings.filter(|_| !has_errors(&found)) else { return (None, found) };
    let target = match config.output(&mut Vec::new()) {
        Output::Stdout => Target::stdout(),
        Output::CloudWatch => Target::cloudwatch(cloudwatch_settings(&config, context), context),
    };
    let too_long_sets = context.telemetry.counter(
        "otelcol_ecs_dropped_dimension_sets",
        "Dimension sets that were left out because CloudWatch takes at most 30 names.",
        &[("exporter", &context.id)],
    );
    let (settings, expects) = (Arc::new(settings), config.expects());
    let exporter = AwsEmf { target, settings, id: context.id.clone(), too_long_sets, expects };
    (Some(Box::new(Sender::new(exporter, sender, context))), found)
}

fn cloudwatch_settings(config: &AwsEmfConfig, context: &BuildContext) -> CloudWatchSettings {
    let session = &config.session;
    CloudWatchSettings {
        region: session.region.value.clone(),
        endpoint: session.endpoint.value.clone(),
        role_arn: session.role_arn.value.clone(),
        external_id: session.external_id.value.clone(),
        num_workers: usize::try_from(*session.num_workers).unwrap_or(0),
        request_timeout: Duration::from_secs(u64::try_from(*session.request_timeout_seconds).unwrap_or(0)),
        max_retries: *session.max_retries,
        no_verify_ssl: session.no_verify_ssl,
        proxy_address: session.proxy_address.value.clone(),
        log_retention_days: *config.log_retention,
        tags: config.tags.as_ref().map(|tags| tags.value.clone()).unwrap_or_default(),
        gzip: session.compression.as_str() == "gzip",
        user_agent: user_agent(&config.namespace, &config.log_group_name, context.version),
    }
}

/// What the service's statistics tell features by, from the names as they are configured.
fn user_agent(namespace: &str, log_group_name: &str, version: &str) -> String {
    let insights = GoRegex::new("^/aws/.*containerinsights/.*/(performance|prometheus)$").expect("it is right");
    let mut agent = format!("otelcol-ecs/{version} (awsemf");
    if namespace == "ApplicationSignals" && log_group_name.starts_with("/aws/application-signals/") {
        agent.push_str("; AppSignals");
    }
    if insights.is_match(log_group_name) {
        agent.push_str("; ContainerInsights");
    }
    agent.push(')');
    agent
}

/// The exporter behind its queue.
struct AwsEmf {
    target: Target,
    settings: Arc<TranslationSettings>,
    id: String,
    too_long_sets: Counter,
    expects: Option<Expectation>,
}

impl Exporter for AwsEmf {
    /// Histograms are written as count, sum, least and greatest value.
    fn uses(&self) -> Uses {
        Uses::NONE
    }

    type Encoder = AwsEmfEncoder;

    fn expects(&self) -> Option<Expectation> {
        self.expects.clone()
    }

    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        self.target.start()
    }

    fn encoder(&self) -> AwsEmfEncoder {
        let batcher = self.target.batcher();
        let (settings, too_long_sets) = (self.settings.clone(), self.too_long_sets.clone());
        AwsEmfEncoder { translator: Translator::new(settings, &self.id, too_long_sets, batcher.form()), batcher }
    }

    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Outcome> {
        self.target.send(request)
    }
}

/// Batches to requests.
struct AwsEmfEncoder {
    translator: Translator,
    batcher: Batcher,
}

impl Encoder for AwsEmfEncoder {
    type Request = Request;

    fn encode(&mut self, batch: &Batch, out: &mut Vec<Request>) -> Encoded {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
        self.batcher.begin(now);
        let encoded = self.translator.translate(batch, &mut self.batcher);
        self.batcher.finish(out);
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_names_the_features_that_names_stand_for() {
        let of = |namespace, group| user_agent(namespace, group, "1.0");
        assert_eq!(of("", ""), "otelcol-ecs/1.0 (awsemf)");
        let signals = "/aws/application-signals/data";
        assert_eq!(of("ApplicationSignals", signals), "otelcol-ecs/1.0 (awsemf; AppSignals)");
        assert_eq!(of("Other", signals), "otelcol-ecs/1.0 (awsemf)");
        let insights = "/aws/ecs/containerinsights/{ClusterName}/prometheus";
        assert_eq!(of("", insights), "otelcol-ecs/1.0 (awsemf; ContainerInsights)");
        assert_eq!(of("", "/aws/containerinsights/x/application"), "otelcol-ecs/1.0 (awsemf)");
    }

    #[test]
    fn every_problem_of_a_section_is_found_at_once() {
        let text = "
log_retention: 2
version: '2'
dimension_rollup_option: NoDimensionRolup
output_destination: nowhere
tags: {}
max_retries: '3'
imds_retries: 1
endpoint: localhost:80
timeout: -1s
compression: zstd
metric_declarations: [{dimensions: [[a]]}]
metric_descriptors: [{metric_name: a, unit: count}]
";
        let (node, found) = config::parse_yaml("c.yaml", text);
        assert!(found.is_empty());
        let (built, found) = build(&node.unwrap(), &BuildContext::for_test("awsemf"));
        assert!(built.is_none());
        let text: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        for expected in [
            "c.yaml:2:16: log_retention: invalid value for retention policy: 2 days (CloudWatch Logs knows 0, 1, 3,",
            "version \"2\" is no EMF version",
            "dimension_rollup_option \"NoDimensionRolup\" does not exist (did you mean \"NoDimensionRollup\"?)",
            "output_destination \"nowhere\" would discard every metric",
            "tags has no entry",
            "max_retries: expected a whole number",
            "unknown key \"imds_retries\"",
            "endpoint \"localhost:80\" is not an HTTP URL",
            "timeout must not be negative",
            "compression \"zstd\" is not available for CloudWatch Logs",
            "no metric name selectors defined",
            "the only metric declaration is invalid",
            "CloudWatch has no unit \"count\" (did you mean \"Count\"?)",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
        }
    }

    #[test]
    fn an_empty_section_and_stdout_need_no_aws() {
        for text in ["", "output_destination: StdOut\nregion: eu-west-1\nsending_queue: {enabled: false}"] {
            let (node, _) = config::parse_yaml("c.yaml", text);
            let node = node.unwrap_or_else(|| Node::built_in(config::Value::Null));
            let (built, found) = build(&node, &BuildContext::for_test("awsemf"));
            assert!(built.is_some() && found.is_empty(), "{found:?}");
        }
    }
}
