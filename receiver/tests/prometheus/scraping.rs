//! The way of a page: scrapes, staleness, targets that come and go, bad targets.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;

use crate::support::{Target, lines, start, start_section, status, text_page, up};

#[tokio::test]
async fn a_page_becomes_points_and_the_report_series() {
    let target = Target::page("# TYPE a counter\na{x=\"1\"} 5\n# TYPE g gauge\ng 2.5\n").await;
    let address = target.address;
    let mut receiver = start(&format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 100ms\n  static_configs: [{{targets: ['{address}'], labels: {{env: prod}}}}]\n"
    ))
    .await;
    let batch = receiver.batch().await;
    assert_eq!(lines(&batch, false), ["a{env=prod,x=1} 5", "g{env=prod} 2.5"]);
    assert_eq!(up(&batch), 1.0);
    let resource = &batch.tables.resources[0];
    assert_eq!(batch.tables.string_attr(resource.attrs, "service.name"), Some("j"));
    assert_eq!(batch.tables.string_attr(resource.attrs, "service.instance.id"), Some(address.to_string().as_str()));
    let second = receiver.batch().await;
    assert_eq!(lines(&second, false), lines(&batch, false));
    assert!(receiver.metric("otelcol_receiver_accepted_metric_points", "prometheus") >= 14);
    receiver.stop().await;
}

#[tokio::test]
async fn bad_targets_cost_themselves_only() {
    let good = Target::page("good 1\n").await;
    let endless = || {
        let stream = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1 << 16]));
        text_page(Body::from_stream(stream))
    };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let bad = Target::serve(move |_, uri| match uri {
        "/endless" => endless(),
        "/loop" => Response::builder().status(302).header("location", "/loop").body(Body::empty()).unwrap(),
        "/garbage" => text_page(vec![0u8, 0xff, 0xfe, b'\n', 7]),
        "/html" => Response::builder().header("content-type", "text/html").body(Body::from("<html></html>")).unwrap(),
        "/proto" => {
            let header = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
            Response::builder().header("content-type", header).body(Body::from("a 1\n")).unwrap()
        }
        "/gzip" => Response::builder().header("content-encoding", "gzip").body(Body::from("plain")).unwrap(),
        "/slow" => {
            let forever = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
            text_page(Body::from_stream(forever))
        }
        _ => status(503),
    })
    .await;
    let job = |name: &str, target: &str| {
        format!(
            "- job_name: {name}\n  metrics_path: /{name}\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n  body_size_limit: 1MB\n  static_configs: [{{targets: ['{target}']}}]\n"
        )
    };
    let address = bad.address.to_string();
    let mut config = "scrape_configs:\n".to_owned();
    let classes = [
        ("endless", "body_limit"),
        ("loop", "redirect"),
        ("garbage", "parse"),
        ("html", "parse"),
        ("proto", "content_type"),
        ("gzip", "gzip"),
        ("slow", "timeout"),
        ("error", "http_status"),
        ("dead", "connect"),
        ("silent", "timeout"),
    ];
    for (name, _) in classes {
        let target = match name {
            "dead" => dead.to_string(),
            "silent" => silent.local_addr().unwrap().to_string(),
            _ => address.clone(),
        };
        config += &job(name, &target);
    }
    config += &job("good", &good.address.to_string());
    let mut receiver = start(&config).await;
    let mut good_batches = 0;
    let mut failed = std::collections::BTreeSet::new();
    while good_batches < 2 || failed.len() < classes.len() {
        let batch = receiver.batch().await;
        let name = batch.tables.string_attr(batch.tables.resources[0].attrs, "service.name").unwrap().to_owned();
        if name == "good" {
            assert_eq!((up(&batch), lines(&batch, false)), (1.0, vec!["good{} 1".to_owned()]));
            good_batches += 1;
        } else {
            assert_eq!((up(&batch), lines(&batch, false).len()), (0.0, 0), "{name}");
            failed.insert(name);
        }
    }
    for (name, class) in classes {
        assert!(receiver.metric("otelcol_prometheus_scrape_failures", class) > 0, "{name} fails as {class}");
    }
    receiver.stop().await;
}

#[tokio::test]
async fn a_failed_scrape_ends_the_series() {
    let target = Target::serve(|number, _| if number == 0 { text_page("a 1\nb 2\n") } else { status(500) }).await;
    let mut receiver = start(&format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 100ms\n  static_configs: [{{targets: ['{}']}}]\n",
        target.address
    ))
    .await;
    assert_eq!(lines(&receiver.batch().await, false), ["a{} 1", "b{} 2"]);
    let failed = receiver.batch().await;
    assert_eq!((up(&failed), lines(&failed, false)), (0.0, vec!["a{} stale".to_owned(), "b{} stale".to_owned()]));
    assert_eq!(lines(&receiver.batch().await, false).len(), 0);
    receiver.stop().await;
}

#[tokio::test]
async fn a_target_that_vanishes_ends_all_its_series_and_one_that_comes_starts() {
    let first = Target::page("a 1\n").await;
    let second = Target::page("b 1\n").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("targets.json");
    let write = |address: &std::net::SocketAddr| {
        std::fs::write(&path, format!(r#"[{{"targets":["{address}"],"labels":{{"env":"e"}}}}]"#)).unwrap();
    };
    write(&first.address);
    let mut receiver = start(&format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 200ms\n  file_sd_configs: [{{files: ['{}']}}]\n",
        path.display()
    ))
    .await;
    let instance = first.address.to_string();
    assert_eq!(lines(&receiver.batch_of(&instance).await, false), ["a{env=e} 1"]);
    write(&second.address);
    assert_eq!(lines(&receiver.batch_of(&second.address.to_string()).await, false), ["b{env=e} 1"]);
    let end = loop {
        let batch = receiver.batch_of(&instance).await;
        if lines(&batch, true).iter().any(|line| line == "up{env=e} stale") {
            break batch;
        }
    };
    assert_eq!(lines(&end, false), ["a{env=e} stale"]);
    assert!(lines(&end, true).iter().all(|line| line.ends_with("stale")));
    receiver.stop().await;
}

#[tokio::test]
async fn targets_published_in_memory_are_scraped_without_reading_the_file() {
    let target = Target::page("a 1\n").await;
    let context = proto::BuildContext::for_test("prometheus");
    context.targets.announce("/nowhere/targets.yaml");
    let text = "config:\n  scrape_configs:\n  - job_name: j\n    scrape_interval: 100ms\n    file_sd_configs: [{files: [/nowhere/targets.yaml]}]\n";
    let mut receiver = start_section(text, context.clone()).await;
    let group = proto::TargetGroup {
        targets: vec![target.address.to_string()],
        labels: vec![("ClusterName".to_owned(), "c".to_owned())],
    };
    context.targets.publish("/nowhere/targets.yaml", std::sync::Arc::new(vec![group]));
    assert_eq!(lines(&receiver.batch().await, false), ["a{ClusterName=c} 1"]);
    receiver.stop().await;
}

#[tokio::test]
async fn until_something_is_published_the_file_of_an_earlier_run_counts() {
    let (old, new) = (Target::page("old 1\n").await, Target::page("new 1\n").await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("targets.yaml").to_string_lossy().into_owned();
    std::fs::write(&path, format!("- targets: ['{}']\n", old.address)).unwrap();
    let context = proto::BuildContext::for_test("prometheus");
    context.targets.announce(&path);
    let text = format!(
        "config:\n  scrape_configs:\n  - job_name: j\n    scrape_interval: 100ms\n    file_sd_configs: [{{files: ['{path}']}}]\n"
    );
    let mut receiver = start_section(&text, context.clone()).await;
    assert_eq!(lines(&receiver.batch().await, false), ["old{} 1"]);
    let group = proto::TargetGroup { targets: vec![new.address.to_string()], labels: Vec::new() };
    context.targets.publish(&path, std::sync::Arc::new(vec![group]));
    assert_eq!(lines(&receiver.batch_of(&new.address.to_string()).await, false), ["new{} 1"]);
    while receiver.metric("otelcol_prometheus_targets", "j") != 1 {
        receiver.batch().await;
    }
    receiver.stop().await;
}

#[tokio::test]
async fn a_job_over_its_target_limit_asks_nobody() {
    let target = Target::page("a 1\n").await;
    let address = target.address;
    let mut receiver = start(&format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 100ms\n  target_limit: 1\n  static_configs: [{{targets: ['{address}', 'localhost:{}']}}]\n",
        address.port()
    ))
    .await;
    for _ in 0..4 {
        let batch = receiver.batch().await;
        assert_eq!((up(&batch), lines(&batch, false).len()), (0.0, 0));
    }
    assert!(target.requests().is_empty());
    receiver.stop().await;
}

#[tokio::test]
async fn a_scrape_that_cannot_be_handed_over_skips_its_next_moments() {
    let target = Target::page("a 1\n").await;
    let mut receiver = start(&format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 20ms\n  static_configs: [{{targets: ['{}']}}]\n",
        target.address
    ))
    .await;
    // Nobody takes batches until the channel is full and several moments have passed.
    while target.requests().len() < 65 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = target.requests().len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(target.requests().len(), before, "no scrape is made while a batch waits");
    while receiver.metric("otelcol_prometheus_scrapes_skipped", "j") == 0 {
        receiver.batch().await;
    }
    receiver.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_until_the_timeout_is_scraped_at_every_moment() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut receiver = start(&format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  static_configs: [{{targets: ['{}']}}]\n",
        silent.local_addr().unwrap()
    ))
    .await;
    receiver.batch().await;
    let begin = tokio::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(up(&receiver.batch().await), 0.0);
    }
    let seconds = begin.elapsed().as_secs_f64();
    assert!(seconds < 10.5, "10 scrapes took {seconds} s");
    assert_eq!(receiver.metric("otelcol_prometheus_scrapes_skipped", "j"), 0);
    receiver.stop().await;
}

#[tokio::test]
async fn scrape_on_shutdown_scrapes_targets_that_were_never_scraped() {
    let target = Target::page("a 1\n").await;
    let text = format!(
        "scrape_on_shutdown: true\ninitial_scrape_offset: 1h\nconfig:\n  scrape_configs:\n  - job_name: j\n    static_configs: [{{targets: ['{}']}}]\n",
        target.address
    );
    let receiver = start_section(&text, proto::BuildContext::for_test("prometheus")).await;
    while receiver.metric("otelcol_prometheus_targets", "j") == 0 {
        tokio::task::yield_now().await;
    }
    let batches = receiver.stop().await;
    assert_eq!(lines(&batches[0], false), ["a{} 1"]);
    assert_eq!(target.requests().len(), 1);
}
