//! Joining and cutting batches, seen through OTLP: what comes out is what went in.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use proptest::prelude::*;
use prost::Message;

use super::Dice;
use super::reference::{comparable, content};
use crate::otlp::{DecodeLimits, decode};
use crate::{Batch, Range32, Selection};

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

/// Marks a batch the way `metric_declaration` does, with sets that tell batches and points apart.
fn mark(batch: &mut Batch, dice: &[u8], name: &str) {
    let mut sets = vec![vec![]];
    for n in 0..3 {
        let symbols = &mut batch.tables_mut().symbols;
        let names = [symbols.intern("shared"), symbols.intern(&format!("{name}{n}"))];
        sets.push(vec![names[..n.min(1)].to_vec(), names[n.min(1)..].to_vec()]);
    }
    // Selected, without a dimension set.
    sets.push(vec![]);
    let mut dice = dice.iter().cycle();
    let mut marks = |points: usize| -> Vec<u32> {
        (0..points).map(|at| (at as u32 + u32::from(*dice.next().unwrap_or(&0))) % sets.len() as u32).collect()
    };
    let selection = Selection {
        numbers: marks(batch.numbers.len()),
        histograms: marks(batch.histograms.len()),
        exponentials: marks(batch.exponentials.len()),
        summaries: marks(batch.summaries.len()),
        sets: sets.clone(),
    };
    batch.meta.selection = Some(selection.into());
}

/// What the marks say of every point, as text, in the order of [`points`].
fn marks(batch: &Batch) -> Vec<String> {
    let Some(selection) = &batch.meta.selection else { return vec!["not evaluated".to_owned(); batch.points()] };
    let columns = [&selection.numbers, &selection.histograms, &selection.exponentials, &selection.summaries];
    let lengths = [batch.numbers.len(), batch.histograms.len(), batch.exponentials.len(), batch.summaries.len()];
    assert_eq!(columns.map(Vec::len), lengths, "each point has a mark");
    let text = |mark: &u32| match *mark {
        Selection::NOT_EVALUATED => "not evaluated".to_owned(),
        0 => "selected by nothing".to_owned(),
        at => {
            let names =
                |set: &Vec<crate::SymbolId>| -> Vec<&str> { set.iter().map(|n| batch.tables.str(*n)).collect() };
            format!("{:?}", selection.sets[at as usize].iter().map(names).collect::<Vec<_>>())
        }
    };
    columns.into_iter().flatten().map(text).collect()
}

/// Points with their marks, sorted.
fn marked_points(batch: &Batch) -> Vec<(String, String)> {
    let mut all: Vec<_> = points(batch).into_iter().zip(marks(batch)).collect();
    all.sort();
    all
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

    #[test]
    fn marks_stay_with_their_points_when_batches_are_joined_and_cut(
        dice in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..600), any::<bool>()), 1..5),
        max in 1usize..9,
    ) {
        let mut joined = Batch::default();
        let mut expected = Vec::new();
        for (at, (dice, marked)) in dice.iter().enumerate() {
            let mut one = batch(&Dice::new(dice).request());
            if *marked {
                mark(&mut one, dice, &format!("of batch {at} "));
            }
            expected.extend(marked_points(&one));
            joined.append(&one);
        }
        expected.sort();
        prop_assert_eq!(&marked_points(&joined), &expected);
        prop_assert_eq!(joined.meta.selection.is_some(), dice.iter().any(|(_, marked)| *marked));
        let mut got = Vec::new();
        while joined.points() > max {
            got.extend(marked_points(&joined.split_first(max)));
        }
        got.extend(marked_points(&joined));
        got.sort();
        prop_assert_eq!(got, expected);
    }
}
