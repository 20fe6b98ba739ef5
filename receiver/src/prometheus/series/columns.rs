//! The points of one scrape while they are collected, in the columns of a batch.

use proto::points::FLAG_NO_RECORDED_VALUE;
use proto::{AttrSetId, Exemplar, HistogramPoint, NumberPoint, NumberValue, Quantile, Range32, SummaryPoint};

use crate::prometheus::families::FamilyId;

/// Columns, and whether the points of each metric are adjacent so far.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) numbers: Vec<NumberPoint>,
    pub(crate) histograms: Vec<HistogramPoint>,
    pub(crate) summaries: Vec<SummaryPoint>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) bounds: Vec<f64>,
    pub(crate) counts: Vec<u64>,
    pub(crate) quantiles: Vec<Quantile>,
    /// Exemplars of histograms, by distribution, until their points are built.
    pub(crate) waiting: Vec<(u32, Exemplar)>,
    /// Exemplars of numbers, by place of the point, until the batch is built.
    number_exemplars: Vec<(u32, Exemplar)>,
    last_metric: Option<u32>,
    /// Per metric, whether it has points of this batch: the batch's number.
    begun: Vec<u32>,
    batch: u32,
    scattered: bool,
    /// Per metric, its family and its name.
    families: Vec<[FamilyId; 2]>,
    /// Per family, the last batch that has points of it.
    used: Vec<u32>,
    /// Per name, the last batch that has points of a metric of that name.
    named: Vec<u32>,
}

/// No family: of the report series.
const NO_FAMILY: [FamilyId; 2] = [FamilyId::MAX; 2];

impl Columns {
    /// Removes all points.
    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
        self.histograms.clear();
        self.summaries.clear();
        self.exemplars.clear();
        self.bounds.clear();
        self.counts.clear();
        self.quantiles.clear();
        self.waiting.clear();
        self.number_exemplars.clear();
        self.next_batch();
    }

    /// Starts over with the book-keeping of adjacency.
    pub(crate) fn next_batch(&mut self) {
        self.batch += 1;
        self.last_metric = None;
        self.scattered = false;
    }

    /// Metrics have new numbers.
    pub(crate) fn move_metrics(&mut self, moved: &[u32]) {
        self.begun.clear();
        let mut families = vec![NO_FAMILY; moved.len()];
        for (family, &new) in self.families.iter().zip(moved) {
            families[new as usize] = *family;
        }
        self.families = families;
    }

    /// Whether it was said which family a metric has.
    pub(crate) fn has_family(&self, metric: u32) -> bool {
        self.families.get(metric as usize).is_some_and(|families| *families != NO_FAMILY)
    }

    /// Says which family and name a metric has.
    pub(crate) fn set_family(&mut self, metric: u32, family: FamilyId, name: FamilyId) {
        let (at, last) = (metric as usize, family.max(name) as usize);
        if at >= self.families.len() {
            self.families.resize(at + 1, NO_FAMILY);
        }
        self.families[at] = [family, name];
        if last >= self.used.len() {
            self.used.resize(last + 1, 0);
            self.named.resize(last + 1, 0);
        }
    }

    /// Notes that this batch has points of the metric's family.
    #[inline]
    pub(crate) fn use_family(&mut self, metric: u32) {
        let [family, name] = self.families.get(metric as usize).copied().unwrap_or(NO_FAMILY);
        if let (Some(used), Some(named)) = (self.used.get_mut(family as usize), self.named.get_mut(name as usize)) {
            (*used, *named) = (self.batch, self.batch);
        }
    }

    /// Whether this batch has points of the family or of a metric of that name.
    pub(crate) fn is_named(&self, name: FamilyId) -> bool {
        self.is_used(name) || self.named.get(name as usize).is_some_and(|batch| *batch == self.batch)
    }

    /// Whether this batch has points of the family.
    pub(crate) fn is_used(&self, family: FamilyId) -> bool {
        self.used.get(family as usize).is_some_and(|batch| *batch == self.batch)
    }

    /// Adds a point; `None` as value marks the end of the series. Answers its place.
    #[inline]
    pub(crate) fn push_number(
        &mut self,
        metric: u32,
        attrs: AttrSetId,
        time_unix_nano: u64,
        start_unix_nano: u64,
        value: Option<f64>,
    ) -> u32 {
        self.note(metric);
        let place = u32::try_from(self.numbers.len()).expect("pages are limited below 2^32 samples");
        let (value, flags) = match value {
            Some(value) => (NumberValue::Double(value), 0),
            None => (NumberValue::None, FLAG_NO_RECORDED_VALUE),
        };
        let exemplars = Range32::default();
        self.numbers.push(NumberPoint { metric, attrs, time_unix_nano, start_unix_nano, value, flags, exemplars });
        place
    }

    /// Gives a point another value if the time is the same. An end changes nothing: the series goes on.
    pub(crate) fn replace_number(&mut self, place: u32, time_unix_nano: u64, value: Option<f64>) -> bool {
        let point = &mut self.numbers[place as usize];
        if point.time_unix_nano != time_unix_nano {
            return false;
        }
        if let Some(value) = value {
            point.value = NumberValue::Double(value);
            point.flags = 0;
        }
        true
    }

    /// Adds an exemplar to a number point; it gets there when the batch is built.
    pub(crate) fn push_exemplar(&mut self, place: u32, exemplar: Exemplar) {
        self.number_exemplars.push((place, exemplar));
    }

    /// Gives a point a start time if the time is the same.
    pub(crate) fn set_start(&mut self, place: u32, time_unix_nano: u64, start_unix_nano: u64) -> bool {
        let point = &mut self.numbers[place as usize];
        let is_same = point.time_unix_nano == time_unix_nano;
        if is_same {
            point.start_unix_nano = start_unix_nano;
        }
        is_same
    }

    /// Notes which metric the next point belongs to.
    #[inline]
    pub(crate) fn note(&mut self, metric: u32) {
        if self.last_metric == Some(metric) {
            return;
        }
        self.last_metric = Some(metric);
        let at = metric as usize;
        if at >= self.begun.len() {
            self.begun.resize(at + 1, 0);
        }
        self.scattered |= self.begun[at] == self.batch;
        self.begun[at] = self.batch;
        self.use_family(metric);
    }

    /// Brings the points of each metric together where they are not, and gives numbers their exemplars.
    pub(crate) fn gather(&mut self) {
        self.number_exemplars.sort_by_key(|(place, _)| *place);
        for (place, exemplar) in self.number_exemplars.drain(..) {
            let exemplars = &mut self.numbers[place as usize].exemplars;
            if exemplars.len == 0 {
                exemplars.start = u32::try_from(self.exemplars.len()).expect("fewer exemplars than samples");
            }
            exemplars.len += 1;
            self.exemplars.push(exemplar);
        }
        if std::mem::take(&mut self.scattered) {
            self.numbers.sort_by_key(|point| point.metric);
            self.histograms.sort_by_key(|point| point.metric);
            self.summaries.sort_by_key(|point| point.metric);
        }
    }
}
