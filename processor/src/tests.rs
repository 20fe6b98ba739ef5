//! What holds for every inline processor.

use proto::{BuildContext, Uses};

use super::{AnyProcessor, FACTORIES};

#[test]
fn each_processor_says_what_of_requests_is_looked_at() {
    let (all, none) = (Uses::ALL, Uses::NONE);
    let buckets = Uses { buckets: true, ..none };
    let rename = "transforms: [{include: a, action: update, new_name: b}]";
    let aggregate = "transforms: [{include: a, action: update, operations: [{action: aggregate_labels, label_set: [x], aggregation_type: sum}]}]";
    for (kind, yaml, behind, expected) in [
        ("memory_limiter", "{check_interval: 1s, limit_mib: 100}", all, all),
        ("memory_limiter", "{check_interval: 1s, limit_mib: 100}", none, none),
        ("metric_declaration", "declarations: [{metric_name_selectors: [a]}]", all, all),
        ("metric_declaration", "declarations: [{metric_name_selectors: [a]}]", none, none),
        ("resource", "attributes: [{key: a, value: b, action: upsert}]", all, buckets),
        ("resource", "attributes: [{key: a, value: b, action: upsert}]", none, none),
        ("metricstransform", rename, all, buckets),
        ("metricstransform", rename, none, none),
        ("metricstransform", aggregate, none, buckets),
    ] {
        let factory = FACTORIES.iter().find(|factory| factory.kind == kind).unwrap();
        let (node, found) = config::parse_yaml("test.yaml", yaml);
        assert_eq!(found, [], "{kind}");
        let (processor, found) = (factory.build)(&node.unwrap(), &BuildContext::for_test(kind));
        let Some(AnyProcessor::Inline(processor)) = processor else { panic!("{kind}: {found:?}") };
        assert_eq!(processor.uses(behind), expected, "{kind} {yaml}");
    }
}
