//! What an EMF document looks like, byte for byte as Go's `encoding/json` writes the reference's map: keys in byte order,
//! and inside the metadata a fixed order of our own. The outcome is a shape; documents are written from it.

use proto::MetricKind;
use proto::number::push_i64;

use super::config::Version;
use super::fields::Fields;
use super::form::Form;
use super::group::Row;
use super::layout::Layout;
use super::names::{NameId, Names};
use super::plan::EventPlan;
use super::selection::Measured;
use super::shape::{Hole, Shape};

/// A row that is to be written, with the place of its description.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) row: Row,
    pub(crate) measured: Measured,
}

/// What a document is made of beside its rows.
pub(crate) struct Document<'a> {
    pub(crate) version: Version,
    pub(crate) layout: Layout,
    pub(crate) names: &'a Names,
    pub(crate) fields: &'a Fields,
    pub(crate) words: &'a Words,
    pub(crate) plan: &'a EventPlan,
    /// Whether to add `prom_metric_type`.
    pub(crate) prometheus: bool,
}

/// A field that is neither label nor metric.
#[derive(Debug, Clone, Copy)]
enum Own {
    Version,
    Aws,
    CloudWatchMetrics,
    Timestamp,
    PromMetricType,
}

impl Document<'_> {
    /// Outlines the document. `chosen` are rows of one group with distinct names, ordered by them; `directives` are the
    /// measurement objects that they use, in order.
    ///
    /// A metric overwrites a label of its name, and the fields of the document itself overwrite both; the dimension
    /// sets name them all the same.
    pub(crate) fn outline(&self, shape: &mut Shape, chosen: &[Chosen], directives: &[u32]) {
        let (own, own_len) = self.own_fields(!directives.is_empty());
        let mut own = own[..own_len].iter().peekable();
        let mut metrics = (0..).zip(chosen).peekable();
        let mut labels = Labels { names: self.names, labels: &self.plan.labels, next: 0 };
        shape.text.push(b'{');
        loop {
            let own_rank = own.peek().map(|(name, _)| self.names.rank(*name));
            let metric_rank = metrics.peek().map(|(_, chosen)| self.rank(&chosen.row));
            match (own_rank, metric_rank) {
                (None, None) => break,
                (Some(rank), metric) if metric.is_none_or(|metric| rank <= metric) => {
                    if metric == Some(rank) {
                        metrics.next();
                    }
                    shape.open(labels.below(rank));
                    let (name, which) = *own.next().expect("it was peeked at");
                    shape.text.extend_from_slice(self.names.field(name));
                    self.push_own(shape, which, chosen, directives);
                }
                (_, Some(rank)) => {
                    shape.open(labels.below(rank));
                    let (at, one) = metrics.next().expect("it was peeked at");
                    shape.text.extend_from_slice(self.names.field(self.fields.at(one.row.field).name));
                    shape.open(Hole::Value(at));
                }
                (Some(_), None) => unreachable!("without a metric the first arm applies"),
            }
            shape.text.push(b',');
        }
        match labels.rest() {
            Some(rest) => shape.open(rest),
            // The comma behind the last field.
            None => _ = shape.text.pop(),
        }
        shape.text.push(b'}');
    }

    fn rank(&self, row: &Row) -> u32 {
        self.names.rank(self.fields.at(row.field).name)
    }

    /// The document's own fields in byte order.
    fn own_fields(&self, measured: bool) -> ([(NameId, Own); 4], usize) {
        let names = self.names.own;
        let mut list = [(names.aws, Own::Aws); 4];
        let mut len = 0;
        let mut add = |name, own| {
            list[len] = (name, own);
            len += 1;
        };
        if self.version == Version::V0 {
            if measured {
                add(names.cloudwatch_metrics, Own::CloudWatchMetrics);
            }
            add(names.timestamp, Own::Timestamp);
        }
        if measured || self.layout == Layout::CloudWatchAgent {
            add(names.version, Own::Version);
            if self.version == Version::V1 {
                add(names.aws, Own::Aws);
            }
        }
        if self.prometheus {
            add(names.prom_metric_type, Own::PromMetricType);
        }
        (list, len)
    }

    fn push_own(&self, shape: &mut Shape, which: Own, chosen: &[Chosen], directives: &[u32]) {
        let words = self.words;
        let text = &mut shape.text;
        match which {
            Own::Version => text.extend_from_slice(if self.version == Version::V1 { &words.one } else { &words.zero }),
            Own::Aws => {
                text.extend_from_slice(&words.open_aws);
                self.push_directives(text, chosen, directives);
                text.extend_from_slice(&words.timestamp);
                shape.open(Hole::Time);
                shape.text.push(b'}');
            }
            Own::CloudWatchMetrics => self.push_directives(text, chosen, directives),
            Own::Timestamp => {
                text.extend_from_slice(&words.quote);
                shape.open(Hole::Time);
                shape.text.extend_from_slice(&words.quote);
            }
            Own::PromMetricType => text.extend_from_slice(match self.plan.kind {
                MetricKind::Gauge => &words.gauge,
                MetricKind::Sum => &words.counter,
                MetricKind::Histogram => &words.histogram,
                MetricKind::Summary => &words.summary,
                MetricKind::ExponentialHistogram | MetricKind::None => &words.empty,
            }),
        }
    }

    fn push_directives(&self, out: &mut Vec<u8>, chosen: &[Chosen], directives: &[u32]) {
        let words = self.words;
        let objects = directives.iter().flat_map(|directive| {
            let dimensions = &self.plan.directives[*directive as usize].dimensions;
            dimensions.iter().map(move |dimensions| (*directive, &**dimensions))
        });
        super::json::push_all(out, b"[]", objects, |out, (directive, dimensions)| match self.layout {
            Layout::Collector => {
                out.extend_from_slice(&words.open_namespace);
                out.extend_from_slice(&self.plan.namespace);
                out.extend_from_slice(&words.dimensions);
                out.extend_from_slice(dimensions);
                out.extend_from_slice(&words.metrics);
                self.push_definitions(out, chosen, directive);
                out.push(b'}');
            }
            Layout::CloudWatchAgent => {
                out.extend_from_slice(&words.open_metrics);
                self.push_definitions(out, chosen, directive);
                out.extend_from_slice(&words.dimensions);
                out.extend_from_slice(dimensions);
                out.extend_from_slice(&words.namespace);
                out.extend_from_slice(&self.plan.namespace);
                out.push(b'}');
            }
        });
    }

    fn push_definitions(&self, out: &mut Vec<u8>, chosen: &[Chosen], directive: u32) {
        let described = chosen.iter().filter(|one| one.measured == Measured::In(directive));
        super::json::push_all(out, b"[]", described, |out, one| {
            out.extend_from_slice(&self.fields.at(one.row.field).definition);
            if self.layout == Layout::Collector {
                push_i64(out, self.plan.storage_resolution);
                out.push(b'}');
            }
        });
    }
}

/// The constant parts of documents that hold quotes, in the form of the documents.
pub(crate) struct Words {
    zero: Box<[u8]>,
    one: Box<[u8]>,
    open_aws: Box<[u8]>,
    timestamp: Box<[u8]>,
    quote: Box<[u8]>,
    gauge: Box<[u8]>,
    counter: Box<[u8]>,
    histogram: Box<[u8]>,
    summary: Box<[u8]>,
    empty: Box<[u8]>,
    open_namespace: Box<[u8]>,
    open_metrics: Box<[u8]>,
    dimensions: Box<[u8]>,
    metrics: Box<[u8]>,
    namespace: Box<[u8]>,
    pub(crate) open_values: Box<[u8]>,
    pub(crate) counts: Box<[u8]>,
    pub(crate) max: Box<[u8]>,
    pub(crate) min: Box<[u8]>,
    pub(crate) count: Box<[u8]>,
    pub(crate) sum: Box<[u8]>,
    /// Characters that escape others in a statistic set.
    pub(crate) escapes_of_statistics: usize,
    /// The same in front of the statistics of a value list.
    pub(crate) escapes_of_values: usize,
}

impl Words {
    pub(crate) fn new(form: Form) -> Words {
        let word = |text: &str| form.seal(text.into());
        let escapes = |texts: &[&str]| texts.iter().map(|text| form.escapes(&word(text))).sum();
        let (open_values, counts) = ("{\"Values\":", ",\"Counts\":");
        let [max, min, count, sum] = ["\"Max\":", ",\"Min\":", ",\"Count\":", ",\"Sum\":"];
        Words {
            zero: word("\"0\""),
            one: word("\"1\""),
            open_aws: word("{\"CloudWatchMetrics\":"),
            timestamp: word(",\"Timestamp\":"),
            quote: word("\""),
            gauge: word("\"gauge\""),
            counter: word("\"counter\""),
            histogram: word("\"histogram\""),
            summary: word("\"summary\""),
            empty: word("\"\""),
            open_namespace: word("{\"Namespace\":"),
            open_metrics: word("{\"Metrics\":"),
            dimensions: word(",\"Dimensions\":"),
            metrics: word(",\"Metrics\":"),
            namespace: word(",\"Namespace\":"),
            open_values: word(open_values),
            counts: word(counts),
            max: word(max),
            min: word(min),
            count: word(count),
            sum: word(sum),
            escapes_of_statistics: escapes(&[max, min, count, sum]),
            escapes_of_values: escapes(&[open_values, counts]),
        }
    }
}

/// Hands out a plan's labels up to a rank; neighbouring labels are one hole.
struct Labels<'a> {
    names: &'a Names,
    labels: &'a [(NameId, u32)],
    next: u32,
}

impl Labels<'_> {
    /// The labels below a rank; leaves out the one at it.
    fn below(&mut self, rank: u32) -> Hole {
        let from = self.next;
        let mut to = from;
        while let Some((name, _)) = self.labels.get(self.next as usize) {
            let label_rank = self.names.rank(*name);
            if label_rank > rank {
                break;
            }
            self.next += 1;
            if label_rank == rank {
                break;
            }
            to = self.next;
        }
        Hole::Labels { from, to }
    }

    fn rest(&self) -> Option<Hole> {
        let has_rest = (self.next as usize) < self.labels.len();
        has_rest.then_some(Hole::LastLabels { from: self.next })
    }
}
