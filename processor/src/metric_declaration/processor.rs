//! The `metric_declaration` processor: marks what declarations select, and keeps or drops the rest.

use std::collections::HashMap;
use std::sync::Arc;

use ::config::{Built, Node, Spanned};
use proto::points::Point;
use proto::{AttrSetId, Batch, BuildContext, Counter, Selection, SymbolId, Tables, Uses};
use serde::Deserialize;

use super::{DeclarationConfig, DeclarationMask, Declarations, MaskId, Rollup, SelectorMemo, compile};
use crate::{AnyProcessor, Processor, ProcessorFactory, Verdict};

/// The `metric_declaration` processor.
pub static FACTORY: ProcessorFactory = ProcessorFactory { kind: "metric_declaration", build };

/// Its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct MetricDeclarationConfig {
    /// What selects metrics, as in `awsemf`.
    pub declarations: Vec<Spanned<DeclarationConfig>>,
    /// `keep` (metrics that nothing selects go on, marked as such) or `drop`.
    pub unmatched: Spanned<String>,
}

impl Default for MetricDeclarationConfig {
    fn default() -> Self {
        MetricDeclarationConfig { declarations: Vec::new(), unmatched: Spanned::built_in("keep".to_owned()) }
    }
}

fn build(node: &Node, context: &BuildContext) -> Built<AnyProcessor> {
    let (config, mut found) = ::config::decode::<MetricDeclarationConfig>(node);
    let Some(config) = config else { return (None, found) };
    let (declarations, problems) = compile(&config.declarations);
    found.extend(problems);
    if config.declarations.is_empty() {
        let problem = ::config::Diagnostic::error("missing required field \"declarations\"").on(node);
        found.push(problem.help("list declarations, or remove the processor"));
    }
    let drop_unmatched = match config.unmatched.as_str() {
        "keep" => false,
        "drop" => true,
        other => {
            found.push(config.unmatched.error(format!("unmatched cannot be {other:?}")).help("write keep or drop"));
            false
        }
    };
    let Some(declarations) = declarations.filter(|_| !::config::has_errors(&found)) else { return (None, found) };
    let unmatched = context.telemetry.counter(
        "otelcol_ecs_dropped_metric_points",
        "Points that were not written, by reason.",
        &[("processor", &context.id), ("reason", "unmatched")],
    );
    let processor = MetricDeclaration { declarations, drop_unmatched, memo: SelectorMemo::default(), unmatched };
    (Some(AnyProcessor::Inline(Box::new(processor))), found)
}

struct MetricDeclaration {
    declarations: Declarations,
    drop_unmatched: bool,
    memo: SelectorMemo,
    unmatched: Counter,
}

impl Processor for MetricDeclaration {
    fn uses(&self, behind: Uses) -> Uses {
        behind
    }

    fn process(&mut self, batch: &mut Batch) -> Verdict {
        let tables = batch.tables.clone();
        let mut marker = Marker::new(&self.declarations, &mut self.memo, &tables);
        let mut marks = Selection {
            numbers: marker.marks(&batch.numbers),
            histograms: marker.marks(&batch.histograms),
            exponentials: marker.marks(&batch.exponentials),
            summaries: marker.marks(&batch.summaries),
            sets: Vec::new(),
        };
        marks.sets = marker.sets;
        if self.drop_unmatched {
            let before = batch.points();
            batch.edited();
            retain(&mut batch.numbers, &mut marks.numbers);
            retain(&mut batch.histograms, &mut marks.histograms);
            retain(&mut batch.exponentials, &mut marks.exponentials);
            retain(&mut batch.summaries, &mut marks.summaries);
            self.unmatched.add((before - batch.points()) as u64);
            if batch.is_empty() && before > 0 {
                return Verdict::Drop("unmatched".into());
            }
        }
        batch.meta.selection = Some(Arc::new(marks));
        Verdict::Pass
    }
}

/// Keeps the points that something selects.
fn retain<P: Copy>(points: &mut Vec<P>, marks: &mut Vec<u32>) {
    let mut mark = marks.iter();
    points.retain(|_| mark.next().is_some_and(|mark| *mark != 0));
    marks.retain(|mark| *mark != 0);
}

/// Works out the marks of one batch; every distinct combination of name and attributes once.
struct Marker<'a> {
    declarations: &'a Declarations,
    memo: &'a mut SelectorMemo,
    tables: &'a Tables,
    /// Declarations by metric.
    metrics: Vec<Option<MaskId>>,
    /// Declarations whose label matchers accept an attribute set.
    accepted: HashMap<AttrSetId, DeclarationMask>,
    known: HashMap<(MaskId, AttrSetId), u32>,
    sets: Vec<Vec<Vec<SymbolId>>>,
}

impl<'a> Marker<'a> {
    fn new(declarations: &'a Declarations, memo: &'a mut SelectorMemo, tables: &'a Tables) -> Marker<'a> {
        Marker {
            declarations,
            memo,
            tables,
            metrics: vec![None; tables.metrics.len()],
            accepted: HashMap::new(),
            known: HashMap::new(),
            sets: vec![Vec::new()],
        }
    }

    fn marks<P: Point>(&mut self, points: &[P]) -> Vec<u32> {
        points.iter().map(|point| self.mark(point.metric(), point.attrs())).collect()
    }

    fn mark(&mut self, metric: u32, attributes: AttrSetId) -> u32 {
        let mask = *self.metrics[metric as usize].get_or_insert_with(|| {
            let name = self.tables.str(self.tables.metrics[metric as usize].name);
            self.declarations.selecting(self.memo, name)
        });
        if let Some(mark) = self.known.get(&(mask, attributes)) {
            return *mark;
        }
        let mark = self.find_out(mask, attributes);
        self.known.insert((mask, attributes), mark);
        mark
    }

    fn find_out(&mut self, mask: MaskId, attributes: AttrSetId) -> u32 {
        let tables = self.tables;
        let label = |name: &str| tables.attr(attributes, name).map(|value| tables.value_str(value));
        let accepted = self.accepted.entry(attributes).or_insert_with(|| self.declarations.accepting(label));
        let selected = self.memo.mask(mask).and(accepted);
        if selected.is_empty() {
            return 0;
        }
        let mut labels: Vec<&str> = tables.attrs.pairs(attributes).iter().map(|(key, _)| tables.str(*key)).collect();
        labels.sort_unstable();
        let found = self.declarations.dimension_sets(&selected, &labels, Rollup::None);
        let symbol = |name: &str| tables.symbols.lookup(name);
        // Every name is an attribute's key, so the table has it.
        let sets: Vec<Vec<SymbolId>> =
            found.sets.iter().map(|set| set.iter().filter_map(|name| symbol(name)).collect()).collect();
        let at = match self.sets.iter().skip(1).position(|known| *known == sets) {
            Some(at) => at + 1,
            None => {
                self.sets.push(sets);
                self.sets.len() - 1
            }
        };
        at as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{Metric, MetricKind, NumberPoint, NumberValue, Resource, Scope};

    fn processor(text: &str) -> Result<(Box<dyn Processor>, BuildContext), String> {
        let (node, _) = ::config::parse_yaml("c.yaml", text);
        let context = BuildContext::for_test("metric_declaration");
        match build(&node.unwrap(), &context) {
            (Some(AnyProcessor::Inline(processor)), _) => Ok((processor, context)),
            (_, found) => Err(found.iter().map(|problem| format!("{problem}\n")).collect()),
        }
    }

    /// A gauge point per name and attributes.
    fn batch(points: &[(&str, &[(&str, &str)])]) -> Batch {
        let mut batch = Batch::default();
        let tables = batch.tables_mut();
        tables.resources.push(Resource::default());
        tables.scopes.push(Scope::default());
        let mut numbers = Vec::new();
        for (name, attributes) in points {
            let name = tables.symbols.intern(name);
            tables.metrics.push(Metric { name, kind: MetricKind::Gauge, ..Metric::default() });
            numbers.push(NumberPoint {
                metric: tables.metrics.len() as u32 - 1,
                attrs: tables.string_set(attributes),
                time_unix_nano: 1,
                start_unix_nano: 0,
                value: NumberValue::Int(1),
                flags: 0,
                exemplars: Default::default(),
            });
        }
        batch.numbers = numbers;
        batch
    }

    const DECLARATIONS: &str = "
declarations:
  - dimensions: [[b, a], [a], [missing]]
    metric_name_selectors: ['^http_']
    label_matchers: [{label_names: [a], regex: '^1$'}]
  - metric_name_selectors: [log_only]
";

    #[test]
    fn points_are_marked_with_the_sets_they_are_selected_for() {
        let (mut processor, _) = processor(DECLARATIONS).unwrap();
        let mut batch = batch(&[
            ("http_x", &[("a", "1"), ("b", "2")]),
            ("http_x", &[("a", "2")]),
            ("other", &[("a", "1")]),
            ("log_only", &[]),
            ("http_y", &[("a", "1"), ("b", "2")]),
        ]);
        assert!(matches!(processor.process(&mut batch), Verdict::Pass));
        let selection = batch.meta.selection.clone().unwrap();
        assert_eq!(selection.numbers, [1, 0, 0, 2, 1]);
        let names = |sets: &Vec<Vec<SymbolId>>| -> Vec<Vec<String>> {
            sets.iter().map(|set| set.iter().map(|name| batch.tables.str(*name).to_owned()).collect()).collect()
        };
        assert_eq!(names(&selection.sets[1]), [vec!["a", "b"], vec!["a"]]);
        assert_eq!(names(&selection.sets[2]), Vec::<Vec<String>>::new());
    }

    #[test]
    fn what_nothing_selects_is_dropped_and_counted_on_request() {
        let (mut processor, context) = processor(&format!("{DECLARATIONS}unmatched: drop")).unwrap();
        let mut some = batch(&[("other", &[]), ("http_x", &[("a", "1")]), ("http_x", &[])]);
        assert!(matches!(processor.process(&mut some), Verdict::Pass));
        assert_eq!((some.numbers.len(), some.numbers[0].metric), (1, 1));
        assert_eq!(some.meta.selection.unwrap().numbers, [1]);
        let mut none = batch(&[("other", &[])]);
        assert!(matches!(processor.process(&mut none), Verdict::Drop(_)));
        let labels = [("processor", "metric_declaration"), ("reason", "unmatched")];
        assert_eq!(context.telemetry.counter("otelcol_ecs_dropped_metric_points", "", &labels).get(), 3);
    }

    #[test]
    fn a_wrong_section_is_refused() {
        let problems = processor("unmatched: maybe").err().unwrap();
        assert!(problems.contains("missing required field \"declarations\""), "{problems}");
        assert!(problems.contains("unmatched cannot be \"maybe\" (write keep or drop)"), "{problems}");
        let problems = processor("declarations: [{metric_name_selectors: ['a(']}]").err().unwrap();
        assert!(problems.contains("metric name selector \"a(\" is not a regular expression"), "{problems}");
    }
}
