//! Targets that are slow, huge, endless, broken or dead cost themselves only: the good one beside them is scraped on
//! time, each bad one is reported as down, and memory stays bounded.
#![allow(clippy::unwrap_used)]

use axum::body::Bytes;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tests::agent::PATIENCE;
use tests::fake::targets::TEXT;
use tests::fake::{Behaviour, FakeAws, Pki, Target, World};
use tests::net::{any_port, free_ip};
use tests::story::{arrived, job, numbered, scrape_to_logs, wait_arrived};
use tests::{Agent, wait_until};

/// Largest resident set that an agent with one bad target may reach, in debug builds too.
const MAX_MEMORY_BYTES: u64 = 200 << 20;

/// Whether `up` of a job arrived with this value.
fn up(aws: &FakeAws, job: &str, value: f64) -> bool {
    let documents = aws.documents();
    let is = |document: &&Value| document["kind"] == job && document["up"].as_f64() == Some(value);
    documents.iter().any(|document| is(&document))
}

fn labelled(name: &str, addr: SocketAddr, settings: &[&str]) -> String {
    // `job` itself is not an attribute of the points, so a label of its own tells the jobs apart.
    let mut settings = settings.to_vec();
    let relabel = format!("relabel_configs: [{{target_label: kind, replacement: {name}}}]");
    settings.push(&relabel);
    job(name, &[addr], &settings)
}

/// Scrapes a good target beside a bad one until the bad one is known to be down (or up, where it is only odd).
async fn check(bad: &Target, settings: &[&str], expected_up: f64) -> (FakeAws, Agent) {
    let good = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let jobs = [labelled("good", good.addr(), &[]), labelled("bad", bad.addr(), settings)];
    let mut agent = Agent::with_config(&scrape_to_logs(&jobs, &[])).aws(&aws).start().await;
    wait_until("the verdict on the bad target", PATIENCE, || up(&aws, "bad", expected_up).then_some(())).await;
    let number = arrived(&aws).last().copied().unwrap_or(0);
    wait_arrived(&aws, number + 3).await;
    assert!(up(&aws, "good", 1.0) && !up(&aws, "good", 0.0), "the good target suffered");
    assert!(!up(&aws, "bad", 1.0 - expected_up), "the bad target was taken for the opposite");
    let peak = agent.peak_memory_bytes().unwrap();
    assert!(peak < MAX_MEMORY_BYTES, "{} MiB", peak >> 20);
    assert!(agent.is_running());
    (aws, agent)
}

async fn bad(behaviour: Behaviour) -> Target {
    Target::start(any_port(), behaviour).await
}

fn raw(content_type: &str, body: impl Into<Bytes>) -> Behaviour {
    Behaviour::Raw { status: 200, content_type: content_type.into(), body: body.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_target_is_down() {
    let slow = Behaviour::Slow { delay: Duration::from_secs(60), page: "a 1\n".into() };
    check(&bad(slow).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_and_a_stalling_target_are_down() {
    check(&bad(Behaviour::Silent).await, &[], 0.0).await;
    check(&bad(Behaviour::Stalls).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_target_is_down() {
    check(&bad(Behaviour::Endless { pause: Duration::from_millis(1) }).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_target_is_down() {
    let target = bad(numbered()).await;
    target.pause();
    check(&target, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_html_are_down() {
    let garbage: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    check(&bad(raw(TEXT, garbage)).await, &[], 0.0).await;
    check(&bad(raw("text/html", "<!doctype html><html><body>hello</body></html>")).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_status_is_down() {
    check(&bad(Behaviour::status(500)).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_loop_is_down() {
    check(&bad(Behaviour::RedirectLoop).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_early_is_down_and_leaves_no_samples() {
    let page = "# TYPE half gauge\nhalf 1\n".repeat(50);
    let (aws, _agent) = check(&bad(Behaviour::ClosesEarly(page)).await, &[], 0.0).await;
    assert!(aws.documents().iter().all(|document| document.get("half").is_none()), "half a page was used");
    check(&bad(Behaviour::Hangup).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_compression_is_down() {
    check(&bad(Behaviour::BrokenGzip).await, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compression_bomb_is_down_and_memory_stays_bounded() {
    check(&bad(Behaviour::GzipBomb { bytes: 4 << 30 }).await, &["scrape_timeout: 400ms"], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_page_is_down_by_its_limit() {
    let limits = ["body_size_limit: 1MB"];
    check(&bad(Behaviour::Huge { bytes: 3 << 20 }).await, &limits, 0.0).await;
    check(&bad(Behaviour::Huge { bytes: 300 << 10 }).await, &["sample_limit: 100"], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_page_is_up() {
    let (aws, _agent) = check(&bad(Behaviour::Gzip("# TYPE zipped gauge\nzipped 7\n".into())).await, &[], 1.0).await;
    assert!(aws.documents().iter().any(|document| document["zipped"] == 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_unknown_content_type_is_read_as_text() {
    check(&bad(raw("", "a 1\n")).await, &[], 1.0).await;
    check(&bad(raw("application/unknown", "a 1\n")).await, &[], 1.0).await;
    // As OpenMetrics a page without its end is broken.
    check(&bad(raw("", "a 1\n")).await, &["fallback_scrape_protocol: OpenMetricsText1.0.0"], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_the_door() {
    let page = || Behaviour::BasicAuth { user: "u".into(), password: "p".into(), page: "a 1\n".into() };
    check(&bad(page()).await, &[], 0.0).await;
    check(&bad(page()).await, &["basic_auth: {username: u, password: wrong}"], 0.0).await;
    let (_aws, agent) = check(&bad(page()).await, &["basic_auth: {username: u, password: p}"], 1.0).await;
    assert!(!agent.log().contains("password"), "the log shows a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_needs_the_right_authority() {
    let pki = Pki::new(&["127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ca = format!("ca_file: {}", file("ca.pem", &pki.ca_pem));
    let cert = format!("cert_file: {}", file("cert.pem", &pki.client_cert_pem));
    let key = format!("key_file: {}", file("key.pem", &pki.client_key_pem));
    let open = Target::start_tls(any_port(), Behaviour::Fixed("a 1\n".into()), &pki, false).await;
    check(&open, &["scheme: https"], 0.0).await;
    check(&open, &["scheme: https", &format!("tls_config: {{{ca}}}")], 1.0).await;
    let strict = Target::start_tls(any_port(), Behaviour::Fixed("a 1\n".into()), &pki, true).await;
    check(&strict, &["scheme: https", &format!("tls_config: {{{ca}}}")], 0.0).await;
    check(&strict, &["scheme: https", &format!("tls_config: {{{ca}, {cert}, {key}}}")], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_bad_targets_do_not_starve_the_good_one() {
    let mut targets = Vec::new();
    for n in 0..50 {
        let behaviour = match n % 5 {
            0 => Behaviour::Silent,
            1 => Behaviour::Stalls,
            2 => Behaviour::Hangup,
            3 => raw(TEXT, "{{{{"),
            _ => Behaviour::Endless { pause: Duration::from_millis(5) },
        };
        targets.push(Target::start((free_ip(), 9000), behaviour).await);
    }
    let good = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let addresses: Vec<SocketAddr> = targets.iter().map(Target::addr).collect();
    let jobs = [labelled("good", good.addr(), &[]), job("bad", &addresses, &[])];
    let agent = Agent::with_config(&scrape_to_logs(&jobs, &[])).aws(&aws).start().await;
    wait_arrived(&aws, 8).await;
    assert!(!up(&aws, "good", 0.0), "the good target suffered");
    assert!(targets.iter().all(|target| target.scrapes() > 0), "a bad target is still asked");
    assert!(agent.peak_memory_bytes().unwrap() < MAX_MEMORY_BYTES);
}
