//! Time per sample of the text lexer on a page of 10,000 series, cold and with every series expected.
//! Run with `cargo bench -p receiver --bench text_lexer`; nothing is gated here, budgets are in `tests/benches`.
#![allow(missing_docs, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use receiver::prometheus::text::{Entry, Format, Lexer, labels};

const ROUNDS: usize = 200;

fn main() {
    let page = page();
    let mut series = Vec::new();
    let mut lexer = Lexer::new(page.as_bytes(), Format::Prometheus);
    while let Ok(Some(entry)) = lexer.next_entry() {
        if let Entry::Sample(sample) = entry {
            series.push(sample.series.to_vec());
        }
    }
    println!("{} samples, {} bytes", series.len(), page.len());
    measure("cold", series.len(), || read(&page, &[]));
    measure("every series expected", series.len(), || read(&page, &series));
    measure("cold, labels decoded", series.len(), || {
        read(&page, &[])
            + series.iter().flat_map(|series| labels(series)).map(|(_, value)| value.len() as f64).sum::<f64>()
    });
}

fn measure(name: &str, samples: usize, mut work: impl FnMut() -> f64) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name}: {:.1} ns/sample", best * 1e9 / samples as f64);
}

/// Sum of the values, so that nothing can be left out.
fn read(page: &str, expected: &[Vec<u8>]) -> f64 {
    let mut lexer = Lexer::new(page.as_bytes(), Format::Prometheus);
    let mut at = 0;
    let mut sum = 0.0;
    loop {
        match lexer.next_entry_expecting(expected.get(at).map_or(&[], |series| series)) {
            Ok(Some(Entry::Sample(sample))) => {
                sum += sample.value;
                at += 1;
            }
            Ok(Some(_)) => {}
            Ok(None) => return sum,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Counters, gauges and histograms in the proportions of the whole-agent scrape bench.
fn page() -> String {
    let mut page = String::new();
    let per = 250;
    for metric in 0..10 {
        page += &format!(
            "# HELP app_requests_{metric}_total Requests served.\n# TYPE app_requests_{metric}_total counter\n"
        );
        for i in 0..per {
            let labels = format!("path=\"/api/v1/things/{i}\",method=\"GET\",code=\"200\",zone=\"us-west-2a\"");
            page += &format!("app_requests_{metric}_total{{{labels}}} {}\n", i * 7 + metric);
        }
    }
    for metric in 0..15 {
        page += &format!("# HELP app_gauge_{metric} A gauge.\n# TYPE app_gauge_{metric} gauge\n");
        for i in 0..per {
            page += &format!("app_gauge_{metric}{{shard=\"{i}\",role=\"leader\"}} {:?}\n", i as f64 * 1.5 + 0.25);
        }
    }
    page += "# HELP app_latency_seconds Latency.\n# TYPE app_latency_seconds histogram\n";
    for i in 0..per * 15 / 14 {
        let mut count = 0;
        for le in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"] {
            count += 3;
            page += &format!("app_latency_seconds_bucket{{route=\"/r/{i}\",le=\"{le}\"}} {count}\n");
        }
        page += &format!("app_latency_seconds_sum{{route=\"/r/{i}\"}} {:?}\n", f64::from(count) * 0.3);
        page += &format!("app_latency_seconds_count{{route=\"/r/{i}\"}} {count}\n");
    }
    page
}
