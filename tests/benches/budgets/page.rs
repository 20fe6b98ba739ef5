//! A target's page of counters, gauges and histograms.

/// A page of about 10,000 samples, and their number. Another `round` has other values.
pub(crate) fn page(round: usize) -> (String, usize) {
    let per = 250;
    let mut page = String::new();
    let mut samples = 0;
    for metric in 0..10 {
        page += &format!(
            "# HELP app_requests_{metric}_total Requests served.\n# TYPE app_requests_{metric}_total counter\n"
        );
        for i in 0..per {
            let labels = format!("path=\"/api/v1/things/{i}\",method=\"GET\",code=\"200\",zone=\"us-west-2a\"");
            page += &format!("app_requests_{metric}_total{{{labels}}} {}\n", i * 7 + metric + 1000 * round);
            samples += 1;
        }
    }
    for metric in 0..15 {
        page += &format!("# HELP app_gauge_{metric} A gauge.\n# TYPE app_gauge_{metric} gauge\n");
        for i in 0..per {
            page +=
                &format!("app_gauge_{metric}{{shard=\"{i}\",role=\"leader\"}} {:?}\n", (i + round) as f64 * 1.5 + 0.25);
            samples += 1;
        }
    }
    page += "# HELP app_latency_seconds Latency.\n# TYPE app_latency_seconds histogram\n";
    for i in 0..per * 15 / 14 {
        let mut count = 100 * round;
        for le in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"] {
            count += 3;
            page += &format!("app_latency_seconds_bucket{{route=\"/r/{i}\",le=\"{le}\"}} {count}\n");
        }
        page += &format!("app_latency_seconds_sum{{route=\"/r/{i}\"}} {:?}\n", count as f64 * 0.3);
        page += &format!("app_latency_seconds_count{{route=\"/r/{i}\"}} {count}\n");
        samples += 14;
    }
    (page, samples)
}
