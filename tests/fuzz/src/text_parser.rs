//! Any body in either exposition format: no panic, errors inside the body, and expecting a series changes nothing.

use receiver::prometheus::text::{Entry, Format, Lexer, MetricType, Sample, canonical_label_value, labels};

/// Runs one input; panics when something does not hold.
pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let format = if first & 1 == 0 { Format::Prometheus } else { Format::OpenMetrics };
    let mut lexer = Lexer::new(body, format);
    let mut again = Lexer::new(body, format);
    let mut kind = MetricType::Unknown;
    loop {
        match lexer.next_entry() {
            Ok(Some(Entry::Sample(sample))) => {
                check_labels(&sample, kind);
                let Ok(Some(Entry::Sample(expected))) = again.next_entry_expecting(sample.series) else {
                    panic!("expecting the series makes a difference");
                };
                assert!(expected.expected);
                assert!(same(&sample, &expected));
                // The series alone reads as itself, so it is safe as a key.
                let alone = [sample.series, b" 1\n# EOF\n"].concat();
                let Ok(Some(Entry::Sample(read))) = Lexer::new(&alone, format).next_entry() else {
                    panic!("a series text cannot be read alone");
                };
                assert_eq!(read.series, sample.series);
            }
            Ok(Some(Entry::Type { kind: next, .. })) => {
                kind = next;
                assert!(again.next_entry().is_ok());
            }
            Ok(Some(_)) => assert!(again.next_entry().is_ok()),
            Ok(None) => {
                assert_eq!(again.next_entry(), Ok(None));
                return;
            }
            Err(error) => {
                assert!(error.line() >= 1 && error.line() <= body.iter().filter(|&&byte| byte == b'\n').count() + 1);
                assert!(error.column() >= 1 && error.column() <= body.len() + 1);
                assert!(error.message().len() < 4096);
                assert_eq!(again.next_entry(), Err(error));
                return;
            }
        }
    }
}

fn same(a: &Sample<'_>, b: &Sample<'_>) -> bool {
    let bits = |sample: &Sample<'_>| (sample.value.to_bits(), sample.exemplar.map(|exemplar| exemplar.value.to_bits()));
    let rest =
        |sample: &Sample<'_>| (sample.timestamp_ms, sample.exemplar.map(|e| (e.labels.to_vec(), e.timestamp_ms)));
    a.series == b.series && bits(a) == bits(b) && rest(a) == rest(b)
}

fn check_labels(sample: &Sample<'_>, kind: MetricType) {
    let mut names = 0;
    for (name, value) in labels(sample.series) {
        names += usize::from(name == "__name__");
        if let Some(canonical) = canonical_label_value(kind, &name, &value) {
            assert_eq!(canonical_label_value(kind, &name, &canonical), None, "{value:?}");
        }
    }
    assert!(names >= 1);
    if let Some(exemplar) = sample.exemplar {
        let decoded = labels(exemplar.labels).count();
        assert!(decoded > 0 || exemplar.labels == b"{}");
    }
}
