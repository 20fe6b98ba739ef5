//! Joining and cutting batches, seen through OTLP: what comes out is what went in.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use proptest::prelude::*;
use prost::Message;

use super::Dice;
use super::reference::{comparable, content};
use crate::otlp::{DecodeLimits, decode};
use crate::{Batch, Range32};

fn batch(request: &ExportMetricsServiceRequest) -> Batch {
    decode(Bytes::from(request.encode_to_vec()), &DecodeLimits::default()).unwrap()
}

/// Every point as text with what it refers to, in column order.
fn points(batch: &Batch) -> Vec<String> {
    let t = &batch.tables;
    let what = |metric: u32, attrs| {
        let m = &t.metrics[metric as usize];
        let pairs: Vec<_> = t.attrs.pairs(attrs).iter().map(|&(k, v)| (t.str(k), t.value_str(v))).collect();
        format!("{} {} {pairs:?} {:?}", t.str(m.name), t.str(m.unit), t.resource_of(metric).present)
    };
    let exemplars = |r: Range32| format!("{:?}", r.of(&batch.exemplars).iter().map(|e| e.value).collect::<Vec<_>>());
    let numbers =
        batch.numbers.iter().map(|p| format!("{} {:?} {}", what(p.metric, p.attrs), p.value, exemplars(p.exemplars)));
    let histograms = batch.histograms.iter().map(|p| {
        let (bounds, counts) = (p.bounds.of(&batch.bounds), p.counts.of(&batch.counts));
        format!("{} {bounds:?} {counts:?} {}", what(p.metric, p.attrs), exemplars(p.exemplars))
    });
    let exponentials = batch.exponentials.iter().map(|p| {
        let (positive, negative) = (p.positive.counts.of(&batch.counts), p.negative.counts.of(&batch.counts));
        format!("{} {positive:?} {negative:?}", what(p.metric, p.attrs))
    });
    let summaries =
        batch.summaries.iter().map(|p| format!("{} {:?}", what(p.metric, p.attrs), p.quantiles.of(&batch.quantiles)));
    numbers.chain(histograms).chain(exponentials).chain(summaries).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_appended_batch_is_the_concatenation_of_the_requests(
        dice in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..800), 1..4),
    ) {
        let requests: Vec<_> = dice.iter().map(|d| Dice::new(d).request()).collect();
        let mut joined = Batch::default();
        requests.iter().for_each(|r| joined.append(&batch(r)));
        let all = requests.into_iter().flat_map(|r| r.resource_metrics).collect();
        let expected = ExportMetricsServiceRequest { resource_metrics: all };
        prop_assert_eq!(comparable(content(&joined)), comparable(expected));
    }

    #[test]
    fn cut_batches_hold_the_asked_number_of_points_and_lose_none(
        dice in prop::collection::vec(any::<u8>(), 0..2000), max in 1usize..9,
    ) {
        let mut rest = batch(&Dice::new(&dice).request());
        let mut expected = points(&rest);
        let mut got = Vec::new();
        while rest.points() > max {
            let first = rest.split_first(max);
            prop_assert_eq!(first.points(), max);
            got.extend(points(&first));
        }
        got.extend(points(&rest));
        expected.sort();
        got.sort();
        prop_assert_eq!(got, expected);
    }
}
