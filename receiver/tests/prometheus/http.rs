//! The request: headers, credentials, parameters, redirects, compression.

use std::io::Write;

use axum::body::Body;
use axum::response::Response;

use crate::support::{Target, lines, start, start_with, text_page, up};

fn config(target: &Target, keys: &str) -> String {
    let keys: String = keys.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  static_configs: [{{targets: ['{}']}}]\n{keys}",
        target.address
    )
}

/// One scrape with further keys; answers the URI, a header and `up`.
async fn ask(keys: &str, header: &str) -> (String, Option<String>) {
    let target = Target::page("a 1\n").await;
    let mut receiver = start(&config(&target, keys)).await;
    assert_eq!(up(&receiver.batch().await), 1.0, "{keys}");
    receiver.stop().await;
    let (uri, headers) = target.requests().swap_remove(0);
    (uri, headers.get(header).cloned())
}

#[tokio::test]
async fn requests_have_the_headers_of_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("user");
    std::fs::write(&user, "u\n").unwrap();
    for (keys, header, expected) in [
        (
            "",
            "accept",
            Some(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ),
        ),
        ("scrape_protocols: [PrometheusText0.0.4]", "accept", Some("text/plain;version=0.0.4;q=0.6,*/*;q=0.5")),
        ("", "accept-encoding", Some("gzip")),
        ("enable_compression: false", "accept-encoding", Some("identity")),
        ("", "user-agent", Some("otelcol-ecs/0.0.0-test")),
        ("", "x-prometheus-scrape-timeout-seconds", Some("0.5")),
        ("", "authorization", None),
        ("basic_auth: {username: u, password: p}", "authorization", Some("Basic dTpw")),
        ("authorization: {credentials: secret}", "authorization", Some("Bearer secret")),
        ("authorization: {type: Token, credentials: secret}", "authorization", Some("Token secret")),
        ("bearer_token: secret", "authorization", Some("Bearer secret")),
        (
            &format!("basic_auth: {{username_file: {}, password: p}}", user.display()),
            "authorization",
            Some("Basic dTpw"),
        ),
        ("http_headers: {X-Scope: {values: [one]}}", "x-scope", Some("one")),
    ] {
        assert_eq!(ask(keys, header).await.1.as_deref(), expected, "{keys} {header}");
    }
}

#[tokio::test]
async fn parameters_and_paths_make_the_url() {
    for (keys, uri) in [
        ("", "/metrics"),
        ("metrics_path: /a/b", "/a/b"),
        ("metrics_path: /m?x=y", "/m%3Fx=y"),
        ("metrics_path: /a%20b c(d)", "/a%2520b%20c%28d%29"),
        ("params: {module: [a, b], 'x y': ['1&2']}", "/metrics?module=a&module=b&x+y=1%262"),
        (
            "params: {module: [a, b]}\nrelabel_configs: [{target_label: __param_module, replacement: c}, {target_label: __param_new, replacement: d}]",
            "/metrics?module=c&module=b&new=d",
        ),
        ("relabel_configs: [{target_label: __metrics_path__, replacement: /other}]", "/other"),
    ] {
        assert_eq!(ask(keys, "").await.0, uri, "{keys}");
    }
}

#[tokio::test]
async fn secret_files_are_read_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, " one \n").unwrap();
    let target = Target::page("a 1\n").await;
    let mut receiver = start(&config(&target, &format!("bearer_token_file: {}", path.display()))).await;
    receiver.batch().await;
    std::fs::write(&path, "two").unwrap();
    let seen = || target.requests().into_iter().filter_map(|(_, headers)| headers.get("authorization").cloned());
    while !seen().any(|value| value == "Bearer two") {
        receiver.batch().await;
    }
    assert_eq!(seen().next().as_deref(), Some("Bearer one"));
    std::fs::remove_file(&path).unwrap();
    while up(&receiver.batch().await) != 0.0 {}
    assert_eq!(receiver.metric("otelcol_prometheus_scrape_failures", "setup"), 1);
    receiver.stop().await;
}

#[tokio::test]
async fn redirects_are_followed_unless_told_otherwise_and_lose_credentials_at_another_host() {
    let other = Target::page("other 1\n").await;
    let location = format!("http://localhost:{}/there", other.address.port());
    let redirect = move |_: usize, _: &str| {
        Response::builder().status(302).header("location", &location).body(Body::empty()).unwrap()
    };
    let target = Target::serve(redirect).await;
    let mut receiver = start(&config(&target, "bearer_token: secret")).await;
    assert_eq!(lines(&receiver.batch().await, false), ["other{} 1"]);
    receiver.stop().await;
    assert_eq!(target.requests()[0].1["authorization"], "Bearer secret");
    assert_eq!((other.requests()[0].0.as_str(), other.requests()[0].1.get("authorization")), ("/there", None));
    let mut receiver = start(&config(&target, "follow_redirects: false")).await;
    assert_eq!(up(&receiver.batch().await), 0.0);
    assert_eq!(receiver.metric("otelcol_prometheus_scrape_failures", "http_status"), 1);
    receiver.stop().await;
}

/// A target that redirects to `location`.
async fn redirecting(location: String) -> Target {
    Target::serve(move |_, _| {
        Response::builder().status(302).header("location", &location).body(Body::empty()).unwrap()
    })
    .await
}

const SECRETS: &str = "bearer_token: secret\nhttp_headers: {X-Tenant: {values: [t]}, X-Key: {secrets: [hidden]}}";

/// `Authorization`, the plain header and the secret one of the first request to a target.
fn sent(target: &Target) -> [Option<String>; 3] {
    let headers = target.requests().swap_remove(0).1;
    ["authorization", "x-tenant", "x-key"].map(|name| headers.get(name).cloned())
}

#[tokio::test]
async fn a_redirect_to_another_port_of_the_host_keeps_credentials() {
    let other = Target::page("other 1\n").await;
    let target = redirecting(format!("http://{}/there", other.address)).await;
    let mut receiver = start(&config(&target, SECRETS)).await;
    assert_eq!(lines(&receiver.batch().await, false), ["other{} 1"]);
    receiver.stop().await;
    let all = [Some("Bearer secret"), Some("t"), Some("hidden")].map(|value| value.map(str::to_owned));
    assert_eq!((sent(&target), sent(&other)), (all.clone(), all));
}

#[tokio::test]
async fn once_a_redirect_has_left_the_host_secrets_are_not_sent_any_more() {
    let back = Target::page("back 1\n").await;
    let other = redirecting(format!("http://{}/back", back.address)).await;
    let target = redirecting(format!("http://localhost:{}/there", other.address.port())).await;
    let mut receiver = start(&config(&target, SECRETS)).await;
    assert_eq!(lines(&receiver.batch().await, false), ["back{} 1"]);
    receiver.stop().await;
    let plain = [None, Some("t".to_owned()), None];
    assert_eq!((sent(&other), sent(&back)), (plain.clone(), plain));
    assert_eq!(sent(&target)[2].as_deref(), Some("hidden"));
}

#[tokio::test]
async fn http_sd_follows_redirects_like_a_scrape() {
    let scraped = Target::page("a 1\n").await;
    let address = scraped.address;
    let list = Target::serve(move |_, _| {
        let body = Body::from(format!(r#"[{{"targets":["{address}"]}}]"#));
        Response::builder().header("content-type", "application/json").body(body).unwrap()
    })
    .await;
    let first = redirecting(format!("http://localhost:{}/list", list.address.port())).await;
    let text = format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 100ms\n  http_sd_configs: [{{url: 'http://{}/', bearer_token: t}}]\n",
        first.address
    );
    let mut receiver = start(&text).await;
    assert_eq!(lines(&receiver.batch().await, false), ["a{} 1"]);
    receiver.stop().await;
    assert_eq!((sent(&first)[0].as_deref(), sent(&list)[0].as_deref()), (Some("Bearer t"), None));
}

#[tokio::test]
async fn redirects_that_lead_nowhere_fail_the_scrape() {
    for location in ["ftp://127.0.0.1/", "http://[", "/again"] {
        let target = redirecting(location.to_owned()).await;
        let mut receiver = start(&config(&target, "")).await;
        assert_eq!(up(&receiver.batch().await), 0.0, "{location}");
        assert_eq!(receiver.metric("otelcol_prometheus_scrape_failures", "redirect"), 1, "{location}");
        receiver.stop().await;
        let requests = if location == "/again" { 11 } else { 1 };
        assert!(target.requests().len() >= requests, "{location}");
    }
}

#[tokio::test]
async fn gzip_is_unpacked_and_limited_after_unpacking() {
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let page: String = (0..10_000).map(|i| format!("series{{number=\"{i}\"}} 1\n")).collect();
    let packed = gzip(page.as_bytes());
    assert!(packed.len() < 100_000);
    let target = Target::serve(move |_, _| {
        let mut response = text_page(packed.clone());
        response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        response
    })
    .await;
    let mut receiver = start(&config(&target, "")).await;
    assert_eq!(lines(&receiver.batch().await, false).len(), 10_000);
    receiver.stop().await;
    let mut receiver = start(&config(&target, "body_size_limit: 100KB\nextra_scrape_metrics: true")).await;
    let batch = receiver.batch().await;
    assert_eq!(up(&batch), 0.0);
    assert!(lines(&batch, true).contains(&"scrape_body_size_bytes{} -1".to_owned()));
    receiver.stop().await;
}

#[tokio::test]
async fn a_proxy_gets_the_requests() {
    let proxy = Target::page("through_proxy 1\n").await;
    let text = format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 500ms\n  proxy_url: http://user:pass@{}\n  static_configs: [{{targets: ['target.example:9100']}}]\n",
        proxy.address
    );
    let mut receiver = start(&text).await;
    assert_eq!(lines(&receiver.batch().await, false), ["through_proxy{} 1"]);
    receiver.stop().await;
    let (uri, headers) = proxy.requests().swap_remove(0);
    assert_eq!(uri, "http://target.example:9100/metrics");
    assert_eq!(headers["proxy-authorization"], "Basic dXNlcjpwYXNz");
}

/// A proxy that takes the head of one request and no more; answers with it.
async fn head_taking_proxy() -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let head = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    });
    (address, head)
}

#[tokio::test]
async fn connect_requests_have_the_configured_headers_whoever_names_the_proxy() {
    for from_environment in [false, true] {
        let (proxy, head) = head_taking_proxy().await;
        let mut context = proto::BuildContext::for_test("prometheus");
        let env = move |name: &str| (name == "HTTPS_PROXY").then(|| format!("http://{proxy}"));
        context.env = std::sync::Arc::new(env);
        let how =
            if from_environment { "proxy_from_environment: true".into() } else { format!("proxy_url: http://{proxy}") };
        let text = format!(
            "scrape_configs:\n- job_name: j\n  scheme: https\n  scrape_interval: 500ms\n  {how}\n  proxy_connect_header: {{X-Connect: [one]}}\n  static_configs: [{{targets: ['target.example:9100']}}]\n"
        );
        let mut receiver = start_with(&text, context).await;
        assert_eq!(up(&receiver.batch().await), 0.0);
        let head = head.await.unwrap();
        assert!(head.starts_with("connect target.example:9100 "), "{head}");
        assert!(head.contains("\r\nx-connect: one\r\n"), "{head}");
        receiver.stop().await;
    }
}

#[tokio::test]
async fn the_own_host_is_reached_without_a_proxy_where_go_looks_at_exceptions() {
    let proxy = Target::page("through_proxy 1\n").await;
    let address = proxy.address;
    for (keys, host, through_proxy) in [
        (format!("proxy_url: http://{address}"), "127.0.0.1", true),
        (format!("proxy_url: http://{address}\n  no_proxy: other.example"), "127.0.0.1", false),
        (format!("proxy_url: http://{address}\n  no_proxy: other.example"), "localhost", false),
        (format!("proxy_url: http://{address}\n  no_proxy: other.example"), "[::1]", false),
        (format!("proxy_url: http://{address}\n  no_proxy: other.example"), "other.example", false),
        (format!("proxy_url: http://{address}\n  no_proxy: other.example"), "target.example", true),
        ("proxy_from_environment: true".to_owned(), "127.9.9.9", false),
        ("proxy_from_environment: true".to_owned(), "localhost", false),
        ("proxy_from_environment: true".to_owned(), "target.example", true),
        ("proxy_from_environment: true".to_owned(), "excepted.example", false),
    ] {
        let mut context = proto::BuildContext::for_test("prometheus");
        context.env = std::sync::Arc::new(move |name| match name {
            "HTTP_PROXY" => Some(address.to_string()),
            "no_proxy" => Some("excepted.example".to_owned()),
            _ => None,
        });
        // Nobody listens at port 1.
        let text = format!(
            "scrape_configs:\n- job_name: j\n  scrape_interval: 1s\n  {keys}\n  static_configs: [{{targets: ['{host}:1']}}]\n"
        );
        let mut receiver = start_with(&text, context).await;
        assert_eq!(up(&receiver.batch().await), f64::from(u8::from(through_proxy)), "{keys} {host}");
        receiver.stop().await;
    }
}

#[tokio::test]
async fn http_sd_lists_are_followed_and_kept_on_failure() {
    let scraped = Target::page("a 1\n").await;
    let address = scraped.address;
    let list = Target::serve(move |number, _| match number {
        0 => Response::builder()
            .header("content-type", "application/json; charset=utf-8")
            .body(Body::from(format!(r#"[{{"targets":["{address}"],"labels":{{"x":"y"}}}}]"#)))
            .unwrap(),
        _ => Response::builder().status(500).body(Body::empty()).unwrap(),
    })
    .await;
    let text = format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 100ms\n  http_sd_configs: [{{url: 'http://{}/list', refresh_interval: 100ms, bearer_token: t}}]\n",
        list.address
    );
    let mut receiver = start(&text).await;
    while list.requests().len() < 3 {
        assert_eq!(lines(&receiver.batch().await, false), ["a{x=y} 1"]);
    }
    assert!(receiver.metric("otelcol_prometheus_scrape_failures", "http_sd") > 0);
    let (uri, headers) = list.requests().swap_remove(0);
    assert_eq!((uri.as_str(), headers["accept"].as_str()), ("/list", "application/json"));
    assert_eq!(
        (headers["authorization"].as_str(), headers["x-prometheus-refresh-interval-seconds"].as_str()),
        ("Bearer t", "0.1")
    );
    receiver.stop().await;
}
