//! Defaults, inheritance, and the message for each thing that is wrong.

use config::Severity;

use super::{JobSettings, Settings, settings};

/// The settings and the problems of a section.
fn read(text: &str) -> (Settings, Vec<(Severity, String)>) {
    let (node, found) = config::parse_yaml("test.yaml", text);
    assert!(found.is_empty(), "{found:?}");
    let (settings, found) = settings(&node.unwrap(), &|_| None);
    (settings.unwrap(), found.iter().map(|d| (d.severity, d.to_string())).collect())
}

fn job(keys: &str) -> JobSettings {
    let (mut settings, found) = read(&section(keys));
    assert!(found.is_empty(), "{keys}: {found:?}");
    settings.jobs.remove(0)
}

fn section(keys: &str) -> String {
    format!("{{config: {{scrape_configs: [{{job_name: j, {keys}}}]}}}}")
}

fn fails(text: &str, message: &str) {
    let (_, found) = read(text);
    let errors: Vec<&String> = found.iter().filter(|(s, _)| *s == Severity::Error).map(|(_, text)| text).collect();
    assert!(errors.iter().any(|error| error.contains(message)), "{text}\n  expected {message}\n  got {errors:#?}");
    assert!(errors.iter().all(|error| error.starts_with("test.yaml:")), "{errors:#?}");
}

#[test]
fn intervals_and_timeouts_are_inherited() {
    for (global, keys, interval, timeout) in [
        ("", "", "1m", "10s"),
        ("scrape_interval: 5s", "", "5s", "5s"),
        ("scrape_interval: 30s, scrape_timeout: 20s", "scrape_interval: 15s", "15s", "15s"),
        ("", "scrape_interval: 2m, scrape_timeout: 90s", "2m", "1m30s"),
    ] {
        let text = format!("{{config: {{global: {{{global}}}, scrape_configs: [{{job_name: j, {keys}}}]}}}}");
        let (settings, found) = read(&text);
        assert!(found.is_empty(), "{found:?}");
        let job = &settings.jobs[0];
        assert_eq!(
            (job.interval.to_string(), job.timeout.to_string()),
            (interval.to_owned(), timeout.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn defaults_are_those_of_prometheus_with_a_body_limit() {
    let job = job("");
    assert_eq!((job.metrics_path.as_str(), job.scheme.as_str()), ("/metrics", "http"));
    assert!(!job.honor_labels && job.honor_timestamps && !job.track_timestamps_staleness && job.compression);
    assert_eq!((job.body_limit_bytes, job.target_limit, job.protocols.len()), (64 << 20, 0, 4));
    assert!(job.http.follow_redirects && job.http.enable_http2);
    assert_eq!(self::job("body_size_limit: 10MB").body_limit_bytes, 10 << 20);
}

#[test]
fn file_patterns_are_those_of_prometheus() {
    for name in ["a.json", "/x/a.YML", "*.yaml", "a*b*c.json", "**.json", "t[12].json", "t?.json", "/a[b]/c?.yml"] {
        job(&format!("file_sd_configs: [{{files: ['{name}']}}]"));
    }
}

#[test]
fn plain_scalars_keep_their_spelling_as_text() {
    let job = job("static_configs: [{targets: [a:1], labels: {v: 1.10, oct: 0123, on: yes}}]");
    let super::DiscoverySettings::Static(group) = &job.discoveries[0] else { panic!("{job:?}") };
    let labels: Vec<_> = group.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["oct=0123", "on=yes", "v=1.10"]);
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    for (text, message) in [
        ("{}", "no Prometheus scrape_configs or target_allocator set"),
        ("{config: {scrape_configs: []}}", "no Prometheus scrape_configs"),
        ("{target_allocator: {endpoint: x}}", "target allocator"),
        ("{api_server: {enabled: true}}", "API server"),
        ("{use_start_time_metric: true}", "use_start_time_metric"),
        ("{report_extra_scrape_metrics: true}", "extra_scrape_metrics: true"),
        ("{config: {scrape_config_files: [a.yml]}}", "scrape_config_files"),
        (
            "{config: {remote_write: [{url: x}], rule_files: [a]}}",
            "unsupported features:\n\tremote_write\n\trule_files",
        ),
        ("{config: {alerting: {alertmanagers: [{}]}}}", "alert_config.alertmanagers"),
        ("{config: {scrape_config: []}}", "did you mean \"scrape_configs\""),
    ] {
        fails(text, message);
    }
    for (keys, message) in [
        ("kubernetes_sd_configs: [{role: pod}]", "kubernetes_sd_configs is not supported"),
        ("ec2_sd_configs: [{}]", "ecs_observer"),
        ("scrape_native_histograms: true", "scrape_native_histograms is not supported"),
        ("convert_classic_histograms_to_nhcb: true", "convert_classic_histograms_to_nhcb is not supported"),
        ("native_histogram_bucket_limit: 10", "native_histogram_bucket_limit needs native histograms"),
        ("native_histogram_min_bucket_factor: 1.1", "native_histogram_min_bucket_factor needs native histograms"),
        ("scrape_protocols: [PrometheusProto]", "PrometheusProto is not supported"),
        ("scrape_protocols: [Foo]", "unknown scrape protocol Foo"),
        ("scrape_protocols: []", "scrape_protocols cannot be empty"),
        ("scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]", "duplicated protocol in scrape_protocols"),
        ("scrape_classic_histograms: true", "unknown key \"scrape_classic_histograms\""),
        ("oauth2: {client_id: x}", "oauth2 is not supported"),
        ("basic_auth: {username: u, password_ref: x}", "no secret manager"),
        ("proxy_connect_header: {X: [a]}", "proxy_url or proxy_from_environment must also be configured"),
    ] {
        fails(&section(keys), message);
    }
}

#[test]
fn a_key_at_the_wrong_level_is_told_where_it_belongs() {
    for (text, place) in [
        ("{scrape_configs: [{job_name: a}]}", "config"),
        ("{config: {scrape_configs: [{job_name: a}]}, global: {scrape_interval: 1s}}", "config"),
        ("{remote_write: [{url: a}]}", "config"),
        ("{scrape_interval: 5s}", "config::global"),
        ("{job_name: a}", "config::scrape_configs[]"),
        ("{config: {scrape_interval: 5s}}", "config::global"),
        ("{config: {static_configs: [{targets: [a]}]}}", "config::scrape_configs[]"),
    ] {
        let (node, _) = config::parse_yaml("test.yaml", text);
        let (_, found) = settings(&node.unwrap(), &|_| None);
        let help: Vec<_> = found.iter().filter_map(|d| d.help.as_deref()).collect();
        assert!(help.contains(&format!("this key belongs under {place}").as_str()), "{text}: {found:#?}");
    }
}

#[test]
fn wrong_values_are_errors_with_their_place() {
    fails("{config: {scrape_configs: [{}]}}", "job_name is empty");
    fails("{config: {scrape_configs: [{job_name: a}, {job_name: a}]}}", "multiple scrape configs with job name \"a\"");
    let inherits = "{config: {global: {metric_name_escaping_scheme: allow-utf-8}, scrape_configs: [{job_name: j, metric_name_validation_scheme: legacy}]}}";
    fails(inherits, "test.yaml:1:80: config::scrape_configs[0]: allow-utf-8 names cannot be escaped");
    fails("{config: {global: {scrape_interval: 5s, scrape_timeout: 6s}}}", "global scrape timeout greater");
    for (keys, message) in [
        (
            "scrape_interval: 5s, scrape_timeout: 6s",
            "scrape timeout greater than scrape interval for scrape config with job name \"j\"",
        ),
        ("scrape_interval: 1.5s", "not a valid duration string"),
        ("scheme: ftp", "unsupported scheme"),
        ("body_size_limit: 100", "unknown unit"),
        ("metric_name_validation_scheme: old", "invalid metric name validation scheme"),
        ("metric_name_validation_scheme: legacy, metric_name_escaping_scheme: allow-utf-8", "cannot be escaped"),
        ("metric_name_escaping_scheme: none", "unknown metric name escaping scheme"),
        ("static_configs: [{targets: ['http://x/y']}]", "\"http://x/y\" is not a valid hostname"),
        ("static_configs: [{target: [a]}]", "unknown key \"target\""),
        ("relabel_configs: [{action: foo}]", "unknown relabel action \"foo\" (write one of replace, keep, "),
        ("relabel_configs: [{action: replase}]", "unknown relabel action \"replase\" (write replace)"),
        ("relabel_configs: [{regex: '('}]", "(write a Go regular expression: give each ( its )"),
        ("static_configs: [null]", "static_configs[0]: empty or null element in a list of sections"),
        ("relabel_configs: [{target_label: a, regex: a}, null]", "relabel_configs[1]: empty or null element"),
        ("file_sd_configs: [{files: []}]", "at least one path name"),
        ("file_sd_configs: [{files: [a.txt]}]", "path name \"a.txt\" is not valid for file discovery"),
        ("file_sd_configs: [{files: ['*/a.json']}]", "is not valid for file discovery"),
        ("file_sd_configs: [{files: ['a*/b*.json']}]", "is not valid for file discovery"),
        ("file_sd_configs: [{files: ['a.Json']}]", "is not valid for file discovery"),
        ("file_sd_configs: [{files: [a.json], refresh_interval: 0s}]", "refresh_interval must be greater than 0"),
        ("http_sd_configs: [{}]", "URL is missing"),
        ("http_sd_configs: [{url: 'ftp://x'}]", "URL scheme must be 'http' or 'https'"),
        ("dns_sd_configs: [{names: []}]", "at least one SRV record name"),
        ("dns_sd_configs: [{names: [a], type: A}]", "a port is required in DNS-SD configs"),
        ("dns_sd_configs: [{names: [a], type: TXT}]", "invalid DNS-SD records type TXT"),
        (
            "basic_auth: {username: u}, authorization: {credentials: c}",
            "at most one of basic_auth, oauth2 & authorization",
        ),
        (
            "basic_auth: {username: a, username_file: b}",
            "at most one of basic_auth username, username_file & username_ref",
        ),
        (
            "basic_auth: {password: a, password_file: b}",
            "at most one of basic_auth password, password_file & password_ref",
        ),
        ("authorization: {type: BASIC}", "use \"basic_auth\" instead"),
        ("authorization: {credentials_file: /nowhere}", "error checking authorization credentials file \"/nowhere\""),
        ("tls_config: {cert_file: /nowhere, key: k}", "error checking client cert file \"/nowhere\""),
        ("tls_config: {cert: c}", "exactly one of key or key_file"),
        ("tls_config: {min_version: SSL3}", "unknown TLS version: SSL3"),
        ("no_proxy: a", "proxy_url must also be configured"),
        ("proxy_from_environment: true, proxy_url: 'http://p:1'", "proxy_url must not be configured"),
        ("proxy_url: nonsense", "proxy_url is not a URL"),
        ("http_headers: {accept-encoding: {values: [x]}}", "setting header \"accept-encoding\" is not allowed"),
    ] {
        fails(&section(keys), message);
    }
}

#[test]
fn parts_without_effect_are_warnings() {
    for text in [
        "{config: {storage: {tsdb: {}}, scrape_configs: [{job_name: j}]}}",
        "{config: {global: {evaluation_interval: 1m}, scrape_configs: [{job_name: j}]}}",
        &section("metrics_path: '/m?a=b'"),
        &section("metric_relabel_configs: [{target_label: __name__, replacement: x}]"),
        &section("tls_config: {min_version: TLS10}"),
        &section("keep_dropped_targets: 5"),
        &section("file_sd_configs: [{files: ['t[.json']}]"),
        "{config: {global: {keep_dropped_targets: 5}, scrape_configs: [{job_name: j}]}}",
        "{discovery_reload_on_startup: false, config: {scrape_configs: [{job_name: j}]}}",
    ] {
        let (_, found) = read(text);
        assert_eq!(
            found.iter().map(|(severity, _)| *severity).collect::<Vec<_>>(),
            [Severity::Warning],
            "{text}: {found:?}"
        );
    }
}

#[test]
fn secrets_are_not_printed() {
    let job = job(
        "basic_auth: {username: u, password: hunter2}, proxy_url: 'http://a:hunter2@p:1', http_headers: {X: {secrets: [hunter2]}}",
    );
    assert!(!format!("{job:?}").contains("hunter2"));
}
