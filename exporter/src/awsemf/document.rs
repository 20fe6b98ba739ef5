//! The text of one EMF document, byte for byte as Go's `encoding/json` writes the reference's map: keys in byte order,
//! and inside the metadata a fixed order of our own.

use proto::MetricKind;
use proto::number::{push_i64, push_json_f64, push_u64};

use super::config::Version;
use super::fields::Fields;
use super::form::Form;
use super::group::{Row, RowValue, Rows};
use super::layout::Layout;
use super::names::{NameId, Names};
use super::plan::EventPlan;
use super::selection::Measured;

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
    pub(crate) rows: &'a Rows,
    pub(crate) time_ms: i64,
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
    /// Appends the document. `chosen` are rows of one group with distinct names, ordered by them; `directives` are the
    /// measurement objects that they use, in order.
    ///
    /// A metric overwrites a label of its name, and the fields of the document itself overwrite both; the dimension
    /// sets name them all the same.
    pub(crate) fn push(&self, out: &mut Vec<u8>, chosen: &[Chosen], directives: &[u32]) {
        let (own, own_len) = self.own_fields(!directives.is_empty());
        let mut own = own[..own_len].iter().peekable();
        let mut metrics = chosen.iter().peekable();
        let mut labels = Labels::new(self.plan, self.names);
        out.push(b'{');
        loop {
            let own_rank = own.peek().map(|(name, _)| self.names.rank(*name));
            let metric_rank = metrics.peek().map(|chosen| self.rank(&chosen.row));
            match (own_rank, metric_rank) {
                (None, None) => break,
                (Some(rank), metric) if metric.is_none_or(|metric| rank <= metric) => {
                    if metric == Some(rank) {
                        metrics.next();
                    }
                    labels.push_below(out, rank);
                    let (name, which) = *own.next().expect("it was peeked at");
                    out.extend_from_slice(self.names.field(name));
                    self.push_own(out, which, chosen, directives);
                }
                (_, Some(rank)) => {
                    labels.push_below(out, rank);
                    let row = &metrics.next().expect("it was peeked at").row;
                    out.extend_from_slice(self.names.field(self.fields.at(row.field).name));
                    self.push_value(out, row.value);
                }
                (Some(_), None) => unreachable!("without a metric the first arm applies"),
            }
            out.push(b',');
        }
        labels.push_rest(out);
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.push(b'}');
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

    fn push_own(&self, out: &mut Vec<u8>, which: Own, chosen: &[Chosen], directives: &[u32]) {
        let words = self.words;
        match which {
            Own::Version => out.extend_from_slice(if self.version == Version::V1 { &words.one } else { &words.zero }),
            Own::Aws => {
                out.extend_from_slice(&words.open_aws);
                self.push_directives(out, chosen, directives);
                out.extend_from_slice(&words.timestamp);
                push_i64(out, self.time_ms);
                out.push(b'}');
            }
            Own::CloudWatchMetrics => self.push_directives(out, chosen, directives),
            Own::Timestamp => {
                out.extend_from_slice(&words.quote);
                push_i64(out, self.time_ms);
                out.extend_from_slice(&words.quote);
            }
            Own::PromMetricType => out.extend_from_slice(match self.plan.kind {
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

    fn push_value(&self, out: &mut Vec<u8>, value: RowValue) {
        match value {
            RowValue::Number(number) => push_json_f64(out, number),
            RowValue::Count(count) => push_u64(out, count),
            RowValue::Statistics(index) => {
                let s = &self.rows.statistics[index as usize];
                out.push(b'{');
                self.push_statistics(out, s.max, s.min, s.count, s.sum);
            }
            RowValue::Values(index) => {
                let part = &self.rows.parts[index as usize];
                let values = &self.rows.values[part.start..][..part.len];
                out.extend_from_slice(&self.words.open_values);
                push_list(out, values, |out, (value, _)| push_json_f64(out, *value));
                out.extend_from_slice(&self.words.counts);
                push_list(out, values, |out, (_, count)| push_json_f64(out, *count as f64));
                out.push(b',');
                self.push_statistics(out, part.max, part.min, part.count, part.sum);
            }
        }
    }

    fn push_statistics(&self, out: &mut Vec<u8>, max: f64, min: f64, count: u64, sum: f64) {
        out.extend_from_slice(&self.words.max);
        push_json_f64(out, max);
        out.extend_from_slice(&self.words.min);
        push_json_f64(out, min);
        out.extend_from_slice(&self.words.count);
        push_u64(out, count);
        out.extend_from_slice(&self.words.sum);
        push_json_f64(out, sum);
        out.push(b'}');
    }
}

fn push_list<T>(out: &mut Vec<u8>, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    super::json::push_all(out, b"[]", items, push);
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
    open_values: Box<[u8]>,
    counts: Box<[u8]>,
    max: Box<[u8]>,
    min: Box<[u8]>,
    count: Box<[u8]>,
    sum: Box<[u8]>,
}

impl Words {
    pub(crate) fn new(form: Form) -> Words {
        let word = |text: &str| form.seal(text.into());
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
            open_values: word("{\"Values\":"),
            counts: word(",\"Counts\":"),
            max: word("\"Max\":"),
            min: word(",\"Min\":"),
            count: word(",\"Count\":"),
            sum: word(",\"Sum\":"),
        }
    }
}

/// Hands out a plan's label text up to a rank; neighbouring labels are copied at once.
struct Labels<'a> {
    names: &'a Names,
    labels: &'a [(NameId, u32)],
    text: &'a [u8],
    next: usize,
    written: u32,
}

impl<'a> Labels<'a> {
    fn new(plan: &'a EventPlan, names: &'a Names) -> Labels<'a> {
        Labels { names, labels: &plan.labels, text: &plan.fields, next: 0, written: 0 }
    }

    /// Appends the labels below a rank and leaves out the one at it.
    fn push_below(&mut self, out: &mut Vec<u8>, rank: u32) {
        let mut end = self.written;
        let mut overwritten = None;
        while let Some((name, label_end)) = self.labels.get(self.next) {
            let label_rank = self.names.rank(*name);
            if label_rank > rank {
                break;
            }
            self.next += 1;
            if label_rank == rank {
                overwritten = Some(*label_end);
                break;
            }
            end = *label_end;
        }
        out.extend_from_slice(&self.text[self.written as usize..end as usize]);
        self.written = overwritten.unwrap_or(end);
    }

    fn push_rest(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text[self.written as usize..]);
    }
}
