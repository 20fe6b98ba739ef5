//! Vectors of the configuration. The numbers are those of the exporter's specification.

use processor::metric_declaration::Rollup;
use proto::BuildContext;

use super::super::config::{Output, TranslationSettings, Version};
use super::super::{AwsEmfConfig, ResourceConversion};
use super::translator;

/// A section with its settings and its problems.
fn checked(section: &str) -> (AwsEmfConfig, TranslationSettings, Vec<String>) {
    let (config, mut found) = config::decode_str::<AwsEmfConfig>(section);
    let config = config.unwrap_or_else(|| panic!("{section}: {found:?}"));
    let (settings, more) = config.check(&BuildContext::for_test("awsemf"));
    found.extend(more);
    (config, settings.unwrap(), found.iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_written_and_nulls_are_the_defaults() {
    let nulls = "{tags: , metric_declarations: , metric_descriptors: , parse_json_encoded_attr_values: , resource_to_telemetry_conversion: }";
    for section in ["", "{}", nulls, "{region: us-west-2, role_arn: r}"] {
        let (config, settings, found) = checked(section);
        assert_eq!(found, Vec::<String>::new(), "1, 2: {section}");
        let session = &config.session;
        assert_eq!((*session.num_workers, *session.request_timeout_seconds, *session.max_retries), (8, 30, 2));
        assert!(!session.no_verify_ssl && session.endpoint.is_empty() && session.external_id.is_empty());
        assert_eq!((settings.version, settings.rollup), (Version::V1, Rollup::ZeroAndSingle));
        assert_eq!(config.output(&mut Vec::new()), Output::CloudWatch);
        assert_eq!(settings.resource_conversion, ResourceConversion::default());
        assert!(
            settings.declarations.is_empty() && settings.descriptors.0.is_empty() && settings.json_labels.is_empty()
        );
        assert!(
            !settings.detailed_metrics && !settings.retain_initial && !settings.fargate && !settings.drop_unmatched
        );
        assert!(config.tags.is_none() && *config.log_retention == 0 && settings.namespace.is_empty());
        assert!(settings.group.is_empty() && settings.stream.is_empty());
    }
    let (_, settings, _) = checked("resource_to_telemetry_conversion: {enabled: true}");
    let conversion = settings.resource_conversion;
    assert_eq!((conversion.enabled, conversion.exclude_service_attributes), (true, false), "3");
    let (config, ..) = checked("{num_workers: , max_retries: , region: }");
    assert_eq!((*config.session.num_workers, *config.session.max_retries), (0, 0), "a null number is zero");
}

#[test]
fn descriptors_without_name_or_with_an_unknown_unit_are_left_out() {
    let (_, settings, found) = checked(
        "metric_descriptors: [{unit: Count}, {metric_name: apiserver_total, unit: Count, overwrite: true},
          {metric_name: '404', unit: INVALID}, {metric_name: memory_usage, unit: Megabytes}, {metric_name: lower, unit: count},
          {metric_name: none, unit: ''}]",
    );
    let mut kept: Vec<_> = settings.descriptors.0.iter().collect();
    kept.sort();
    let expected = [("apiserver_total", "Count", true), ("memory_usage", "Megabytes", false)];
    let kept: Vec<_> = kept.into_iter().map(|(name, (unit, overwrite))| (&**name, &**unit, *overwrite)).collect();
    assert_eq!(kept, expected, "5");
    assert_eq!(found.len(), 4, "5: each is said: {found:?}");
}

#[test]
fn retention_and_tags_are_checked_against_the_service() {
    for days in [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 2192, 2557, 2922, 3288, 3653] {
        assert!(translator(&format!("log_retention: {days}")).is_ok(), "6: {days}");
    }
    for days in [-1, 2, 366, 3654] {
        let problems = translator(&format!("log_retention: {days}")).err().unwrap();
        assert!(problems.contains(&format!("invalid value for retention policy: {days} days")), "6: {problems}");
        assert!(problems.contains("knows 0, 1, 3, 5, 7, 14, 30, 60,"), "6: {problems}");
    }
    let tag = |key: &str, value: &str| format!("tags: {{{key:?}: {value:?}}}");
    let (long_key, long_value) = ("k".repeat(128), "é".repeat(128));
    for section in [tag("key", "value"), tag(&long_key, &long_value), tag("é漢 _.:/=+-@", "a b")] {
        assert!(translator(&section).is_ok(), "7: {section}: {:?}", translator(&section).err());
    }
    let many: Vec<String> = (0..51).map(|i| format!("k{i}: v")).collect();
    let cases = [
        ("tags: {}".to_owned(), "tags has no entry"),
        (format!("tags: {{{}}}", many.join(", ")), "51 tags, but a log group takes at most 50"),
        (tag("***", "value"), "\"***\" in tags has characters outside of"),
        (tag("key", "***"), "\"***\" in tags has characters outside of"),
        (tag("", "value"), "the tag key \"\" has 0 bytes"),
        (tag(&"k".repeat(129), "value"), "has 129 bytes"),
        (tag("key", ""), "has 0 bytes"),
        (tag("key", &"v".repeat(257)), "has 257 bytes"),
        (tag("key", &"é".repeat(129)), "has 258 bytes"),
    ];
    for (section, expected) in cases {
        let problems = translator(&section).err().unwrap_or_default();
        assert!(problems.contains(expected), "7: {section}: {problems}");
    }
}

#[test]
fn valid_declarations_are_kept_and_the_others_are_warnings() {
    let names: Vec<String> = (0..31).map(|i| format!("l{i}")).collect();
    let section = format!(
        "metric_declarations: [{{metric_name_selectors: [a, b]}}, {{metric_name_selectors: [c, d]}}, {{dimensions: [[x]]}},
          {{dimensions: [[foo], [{}]], metric_name_selectors: a}},
          {{metric_name_selectors: [a], label_matchers: [{{label_names: [x]}}]}}, {{metric_name_selectors: [a], label_matchers: [{{regex: x}}]}}]",
        names.join(", ")
    );
    let (_, settings, found) = checked(&section);
    assert_eq!(settings.declarations.len(), 3, "8, 11");
    let warnings =
        ["no metric name selectors defined", "it has 31 names", "regex not specified", "at least one label name"];
    for warning in warnings {
        assert!(found.iter().any(|problem| problem.contains(warning)), "8, 10, 11: {warning}: {found:?}");
    }
    assert_eq!(found.len(), warnings.len());
}

#[test]
fn words_of_the_destination_have_no_case_and_those_of_the_version_are_texts() {
    for (section, output) in
        [("cloudwatch", Output::CloudWatch), ("StdOut", Output::Stdout), ("CLOUDWATCH", Output::CloudWatch)]
    {
        assert_eq!(checked(&format!("output_destination: {section}")).0.output(&mut Vec::new()), output, "101");
    }
    let refused = [
        "output_destination: nowhere",
        "version: 0",
        "version: '2'",
        "log_group_name: 5",
        "num_workers: '4'",
        "detailed_metrics: 'true'",
        "Namespace: a",
        "imds_retries: 1",
        "shared_credentials_file: x",
        "middleware: x",
        "add_entity: true",
        "metric_declarations: [{metric_name_selectors: ['a(']}]",
        "metric_declarations: [{metric_name_selectors: [a], dimension: [[a]]}]",
    ];
    for section in refused {
        assert!(translator(section).is_err(), "13, 101: {section}");
    }
}
