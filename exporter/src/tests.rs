//! What holds for every exporter.

use proto::{BuildContext, Uses};

use super::FACTORIES;

#[test]
fn each_exporter_says_what_of_requests_it_looks_at() {
    let buckets = Uses { buckets: true, ..Uses::NONE };
    let cases = [
        ("awsemf", "output_destination: stdout", Uses::NONE),
        ("debug", "verbosity: detailed", buckets),
        ("file", "path: metrics.json", buckets),
        ("otlp", "{endpoint: \"localhost:4317\", tls: {insecure: true}}", Uses::ALL),
        ("otlphttp", "endpoint: http://localhost:4318", Uses::ALL),
        ("otlphttp", "{endpoint: \"http://localhost:4318\", encoding: json}", buckets),
    ];
    for factory in FACTORIES {
        assert!(cases.iter().any(|(kind, ..)| *kind == factory.kind), "{} has no case", factory.kind);
    }
    for (kind, yaml, expected) in cases {
        let factory = FACTORIES.iter().find(|factory| factory.kind == kind).unwrap();
        let (node, found) = config::parse_yaml("test.yaml", yaml);
        assert_eq!(found, [], "{kind}");
        let (exporter, found) = (factory.build)(&node.unwrap(), &BuildContext::for_test(kind));
        let exporter = exporter.unwrap_or_else(|| panic!("{kind}: {found:?}"));
        assert_eq!(exporter.uses(), expected, "{kind} {yaml}");
    }
}
