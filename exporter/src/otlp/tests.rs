//! Settings of the OTLP exporters and their compression; the exchange itself is tested against the fake peer.

use super::*;

fn check(factory: &ExporterFactory, text: &str, expected: &[&str]) {
    let (node, _) = ::config::parse_yaml("test.yaml", text);
    let (exporter, found) = (factory.build)(&node.unwrap(), &BuildContext::for_test("otlp"));
    let problems: String = found.iter().map(|d| format!("{d}\n")).collect();
    assert_eq!(exporter.is_some(), !has_errors(&found));
    assert_eq!(expected.is_empty(), problems.is_empty(), "{problems}");
    for text in expected {
        assert!(problems.contains(text), "{text:?} is missing in\n{problems}");
    }
}

#[test]
fn minimal_sections_are_valid() {
    check(&FACTORY, "endpoint: collector:4317", &[]);
    check(
        &FACTORY,
        "{endpoint: \"http://c:4317\", tls: {insecure: true}, compression: zstd, keepalive: {time: 30s}}",
        &[],
    );
    check(&HTTP_FACTORY, "endpoint: https://c:4318", &[]);
    check(
        &HTTP_FACTORY,
        "{metrics_endpoint: \"https://c/x\", encoding: json, compression: none, headers: {a: b}}",
        &[],
    );
    for level in [-1, 0, 9] {
        let text = format!("{{endpoint: \"https://c:4318\", compression_params: {{level: {level}}}}}");
        check(&HTTP_FACTORY, &text, &[]);
    }
    check(
        &HTTP_FACTORY,
        "{endpoint: \"https://c:4318\", max_idle_conns: 5, max_conns_per_host: 2, force_attempt_http2: false, cookies: {enabled: false},
          middlewares: [], tls: {server_name_override: x, reload_interval: 1h, curve_preferences: [P256]}}",
        &[],
    );
    check(&FACTORY, "{endpoint: \"c:1\", authority: \"a:1\", balancer_name: pick_first, wait_for_ready: true}", &[]);
}

#[test]
fn every_problem_is_named() {
    check(&FACTORY, "{}", &["requires a non-empty endpoint"]);
    check(&HTTP_FACTORY, "{}", &["at least one endpoint must be specified"]);
    check(
        &HTTP_FACTORY,
        "{endpoint: \"c:4318\", encoding: xml, compression: rar, auth: {authenticator: nobody}, traces_endpoint: \"http://x\",
          timeout: -1s, tls: {server_name_override: \"x:1\", cipher_suites: [fast]}, cookies: {enabled: true},
          middlewares: [{id: m}], max_conns_per_host: -1, max_idle_conns: -1, compression_params: {level: 3}}",
        &[
            "endpoint \"c:4318\" is not an HTTP URL",
            "encoding \"xml\" does not exist",
            "unsupported compression type \"rar\"",
            "failed to resolve authenticator \"nobody\": authenticator not found",
            "traces_endpoint has no effect",
            "timeout must not be negative",
            "server_name_override \"x:1\" is not a host name",
            "invalid TLS cipher suite: \"fast\"",
            "cookies are not kept",
            "middleware \"m\" does not exist",
            "max_conns_per_host must not be negative",
            "max_idle_conns must not be negative",
            "this compression does not have that level",
        ],
    );
    check(
        &FACTORY,
        "{endpoint: \"c:1\", compression: lz4, balancer_name: magic, auth: {authenticator: sigv4auth}}",
        &["unsupported compression type \"lz4\"", "invalid balancer_name", "sigv4auth signs HTTP requests only"],
    );
    for (authority, expected) in [
        ("a/b", "authority \"a/b\" is not a host name"),
        ("10.0.0.1", "authority \"10.0.0.1\" is not a host name"),
        ("a:2", "authority names another port than endpoint"),
        ("a, tls: {server_name_override: b}", "authority and tls::server_name_override are different names"),
    ] {
        check(&FACTORY, &format!("{{endpoint: \"c:1\", authority: {authority}}}"), &[expected]);
    }
    check(&FACTORY, "{endpoint: \"c:1\", middlewares: [{id: m}]}", &["middleware \"m\" does not exist"]);
}

#[test]
fn compressed_bodies_come_back() {
    use std::io::Read;
    let body = b"otlp ".repeat(1000);
    let packed = |name| Compression::http(name, 0).unwrap().compress(&body).unwrap();
    let read = |mut reader: Box<dyn Read>| {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        out
    };
    let gzip = packed("gzip");
    assert!(gzip.len() < 200);
    assert_eq!(read(Box::new(flate2::read::GzDecoder::new(std::io::Cursor::new(gzip)))), body);
    for name in ["zlib", "deflate"] {
        assert_eq!(read(Box::new(flate2::read::ZlibDecoder::new(std::io::Cursor::new(packed(name))))), body);
    }
    assert_eq!(zstd::bulk::decompress(&packed("zstd"), 1 << 20).unwrap(), body);
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&packed("snappy")).unwrap(), body);
    assert_eq!(read(Box::new(snap::read::FrameDecoder::new(std::io::Cursor::new(packed("x-snappy-framed"))))), body);
    assert_eq!(read(Box::new(lz4_flex::frame::FrameDecoder::new(std::io::Cursor::new(packed("lz4"))))), body);
}

#[test]
fn an_answer_is_inflated_up_to_the_limit() {
    for name in compress::GRPC_ACCEPTED.split(',') {
        let packed = Compression::grpc(name, 0).unwrap().compress(&[7; 1000]).unwrap();
        assert_eq!(compress::inflate(name, &packed, 1000).unwrap(), [7; 1000]);
        let error = compress::inflate(name, &packed, 999).unwrap_err();
        assert!(error.to_string().contains("999"), "{error}");
    }
    assert!(compress::inflate("rot13", b"", 10).is_err());
}
