//! Which settings are accepted, and what is said of the others.

use proto::BuildContext;

use super::super::FACTORY;

/// The diagnostics of a section, one line each.
fn problems(text: &str) -> String {
    let (node, found) = config::parse_yaml("test.yaml", text);
    assert_eq!(found, []);
    let (_, found) = (FACTORY.build)(&node.unwrap(), &BuildContext::for_test("otlp"));
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_wrong_setting_is_named_with_its_place() {
    for (text, expected) in [
        ("protocols: {grpc: , http: }", ""),
        ("protocols: {grpc: {endpoint: \":4317\"}, http: {endpoint: \"[::]:4318\"}}", ""),
        ("protocols:", "must specify at least one protocol"),
        ("{}", "must specify at least one protocol"),
        ("protocols: {grpc: {enabled: false}}", "must specify at least one protocol"),
        ("protocols: {thrift: }", "thrift"),
        ("protocols: {http: {endpoint: localhost}}", "has no port"),
        ("protocols: {http: {endpoint: /run/x.sock}}", "listens on host:port only"),
        ("protocols: {grpc: {transport: udp}}", "unknown transport \"udp\""),
        ("protocols: {grpc: {transport: unix}}", "the endpoint is a path"),
        ("protocols: {grpc: {endpoint: /run/x.sock}}", "a path needs `transport: unix`"),
        ("protocols: {grpc: {endpoint: /run/x.sock, transport: unix}}", ""),
        ("protocols: {grpc: {max_recv_msg_size_mib: -1}}", "-1 is not between 0 and 512 MiB"),
        ("protocols: {http: {max_request_body_size: -1}}", "-1 is not between 0"),
        ("protocols: {http: {compression_algorithms: [gzip, br]}}", "unsupported compression algorithm \"br\""),
        ("protocols: {http: {metrics_url_path: metrics}}", "\"metrics\" is not a path"),
        ("protocols: {http: {cors: {allowed_origins: [\"*.*\"]}}}", "more than one *"),
        ("protocols: {http: {cors: {allowed_headers: [x]}}}", "no effect without allowed_origins"),
        ("protocols: {http: {auth: {authenticator: nobody}}}", "authenticator not found"),
        ("protocols: {http: {auth: {}}}", "auth has no authenticator"),
        ("protocols: {grpc: {middlewares: [{id: x}]}}", "middleware \"x\" does not exist"),
        ("protocols: {grpc: {tls: {}}}", "TLS of a server needs cert_file and key_file"),
        ("protocols: {http: {read_timeout: 5}}", "read_timeout"),
    ] {
        let found = problems(text);
        if expected.is_empty() {
            assert_eq!(found, "", "{text}");
        } else {
            assert!(found.contains(expected), "{text}: {found}");
            assert!(found.starts_with("test.yaml:1:"), "{text}: {found}");
        }
    }
}
