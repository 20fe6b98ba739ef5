//! Data points to rows: validity, differences of cumulative series, and one or more metric fields per point.

use proto::points::Point;
use proto::{
    Batch, ExponentialPoint, HistogramPoint, MetricKind, NumberPoint, NumberValue, Quantile, SummaryPoint, Temporality,
};

use super::cumulative::{self, NoDifference, Totals};
use super::delta::SeriesKey;
use super::drops::Reason;
use super::exponential::{self, Exponential};
use super::fields::FieldId;
use super::group::{Row, RowValue, Statistics};
use super::lookup::MetricInfo;
use super::plan::NO_EVENT;
use super::selection::SelectionId;
use super::translator::{Now, Translator};

/// A point on its way: its metric, its series in this batch, its time, its mark.
#[derive(Clone, Copy)]
struct At {
    metric: MetricInfo,
    slot: usize,
    time_ms: i64,
    time_unix_nano: u64,
    mark: Option<SelectionId>,
}

/// The marks of one column of a batch.
pub(crate) struct Marks<'a> {
    pub(crate) points: &'a [u32],
    pub(crate) selections: &'a [SelectionId],
}

impl Marks<'_> {
    fn of(&self, point: usize) -> Option<SelectionId> {
        self.points.get(point).and_then(|at| self.selections.get(*at as usize)).copied()
    }
}

impl Translator {
    pub(crate) fn read_numbers(&mut self, batch: &Batch, marks: &Marks<'_>, now: Now) {
        for (index, point) in batch.numbers.iter().enumerate() {
            let value = match point.value {
                _ if point.is_stale() => Err(Reason::NoRecordedValue),
                NumberValue::Int(value) => Ok(value as f64),
                NumberValue::Double(value) if value.is_finite() => Ok(value),
                NumberValue::Double(_) => Err(Reason::NotFinite),
                NumberValue::None => Ok(0.0),
            };
            let result = match (self.lookup.metrics[point.metric as usize].refusal, value) {
                (Some(reason), _) => Err(reason),
                (None, Ok(value)) => {
                    let at = self.locate(batch, point, marks.of(index), now);
                    self.number(batch, point, at, value, now)
                }
                (None, Err(reason)) => {
                    self.forget(batch, point, now);
                    Err(reason)
                }
            };
            self.drops.add_result(result);
        }
    }

    fn number(&mut self, batch: &Batch, point: &NumberPoint, at: At, value: f64, now: Now) -> Result<(), Reason> {
        let metric = &at.metric;
        let counts = metric.kind == MetricKind::Sum && metric.temporality == Temporality::Cumulative;
        let value = if counts && metric.monotonic {
            let key = SeriesKey { series: self.lookup.slots[at.slot].uid, metric: metric.name };
            let previous = self.sums.previous(key, at.time_unix_nano, point.start_unix_nano, now.seconds);
            let difference = cumulative::sum(previous, value, self.settings.retain_initial)?;
            if difference.is_finite() { difference } else { return Err(Reason::NotFinite) }
        } else {
            value
        };
        self.push(batch, point, at, metric.field, 1, 0, None, RowValue::Number(value));
        Ok(())
    }

    pub(crate) fn read_histograms(&mut self, batch: &Batch, marks: &Marks<'_>, now: Now) {
        for (index, point) in batch.histograms.iter().enumerate() {
            let taken = self.taken(point);
            let result = taken.and_then(|()| valid(point, [point.sum, point.min, point.max])).and_then(|()| {
                let at = self.locate(batch, point, marks.of(index), now);
                self.histogram(batch, point, at, now)
            });
            self.drops.add_result(result);
        }
    }

    fn histogram(&mut self, batch: &Batch, point: &HistogramPoint, at: At, now: Now) -> Result<(), Reason> {
        let mut totals = Totals { count: point.count, sum: point.sum.unwrap_or(0.0) };
        if at.metric.temporality == Temporality::Cumulative {
            totals = self.difference(at, point.start_unix_nano, totals, now)?;
        }
        let (max, min) = (point.max.unwrap_or(0.0), point.min.unwrap_or(0.0));
        self.push_statistics(batch, point, at, Statistics { max, min, count: totals.count, sum: totals.sum });
        Ok(())
    }

    pub(crate) fn read_exponentials(&mut self, batch: &Batch, marks: &Marks<'_>, now: Now) {
        for (index, point) in batch.exponentials.iter().enumerate() {
            let taken = self.taken(point);
            let result = taken.and_then(|()| valid(point, [point.sum, point.min, point.max])).and_then(|()| {
                let at = self.locate(batch, point, marks.of(index), now);
                self.exponential(batch, point, at, now)
            });
            self.drops.add_result(result);
        }
    }

    fn exponential(&mut self, batch: &Batch, point: &ExponentialPoint, at: At, now: Now) -> Result<(), Reason> {
        let histogram = Exponential {
            scale: point.scale,
            zero_count: point.zero_count,
            positive_offset: point.positive.offset,
            positive: point.positive.counts.of(&batch.counts),
            negative_offset: point.negative.offset,
            negative: point.negative.counts.of(&batch.counts),
            count: point.count,
            sum: point.sum.unwrap_or(0.0),
            min: point.min.unwrap_or(0.0),
            max: point.max.unwrap_or(0.0),
        };
        let first = self.rows.parts.len();
        let (values, parts) = (&mut self.rows.values, &mut self.rows.parts);
        let split = if at.metric.temporality == Temporality::Cumulative {
            let key = SeriesKey { series: self.lookup.slots[at.slot].uid, metric: at.metric.name };
            let previous = self.buckets.previous(key, at.time_unix_nano, point.start_unix_nano, now.seconds);
            let out = &mut self.bucket_difference;
            cumulative::buckets(previous, &histogram, self.settings.retain_initial, out)?;
            exponential::split(&out.of(&histogram), &mut self.bounds, values, parts)
        } else {
            exponential::split(&histogram, &mut self.bounds, values, parts)
        };
        split.map_err(|exponential::NotFinite| Reason::NotFinite)?;
        for (part, index) in (first..self.rows.parts.len()).enumerate() {
            let points = u32::from(part == 0);
            let value = RowValue::Values(index as u32);
            self.push(batch, point, at, at.metric.field, points, part as u32, None, value);
        }
        Ok(())
    }

    pub(crate) fn read_summaries(&mut self, batch: &Batch, marks: &Marks<'_>, now: Now) {
        for (index, point) in batch.summaries.iter().enumerate() {
            let quantiles = point.quantiles.of(&batch.quantiles);
            if self.settings.is_agent() {
                let result = self.taken(point).and_then(|()| self.parts_of_summary(batch, point, marks.of(index), now));
                self.drops.add_result(result);
                continue;
            }
            let values = quantiles.iter().flat_map(|q| [Some(q.quantile), Some(q.value)]);
            let result = valid(point, values.chain([Some(point.sum)])).and_then(|()| {
                let at = self.locate(batch, point, marks.of(index), now);
                self.summary(batch, point, quantiles, at, now)
            });
            self.drops.add_result(result);
        }
    }

    fn summary(
        &mut self,
        batch: &Batch,
        point: &SummaryPoint,
        quantiles: &[Quantile],
        at: At,
        now: Now,
    ) -> Result<(), Reason> {
        let mut totals = Totals { count: point.count, sum: point.sum };
        if self.lookup.slots[at.slot].prometheus {
            totals = self.difference(at, point.start_unix_nano, totals, now)?;
        }
        let Some((sum, count)) = at.metric.detailed else {
            let edge = |quantile: Option<&Quantile>| quantile.map_or(0.0, |quantile| quantile.value);
            let (max, min) = (edge(quantiles.last()), edge(quantiles.first()));
            self.push_statistics(batch, point, at, Statistics { max, min, count: totals.count, sum: totals.sum });
            return Ok(());
        };
        self.push(batch, point, at, sum, 1, 0, None, RowValue::Number(totals.sum));
        self.push(batch, point, at, count, 0, 1, None, RowValue::Count(totals.count));
        for (index, quantile) in quantiles.iter().enumerate() {
            let (part, value) = (2 + index as u32, RowValue::Number(quantile.value));
            self.push(batch, point, at, at.metric.field, 0, part, Some(quantile.quantile), value);
        }
        Ok(())
    }

    /// A summary as the CloudWatch agent sees it: sum, count and each quantile are values of their own, so that one
    /// that is NaN costs itself only.
    fn parts_of_summary(
        &mut self,
        batch: &Batch,
        point: &SummaryPoint,
        mark: Option<SelectionId>,
        now: Now,
    ) -> Result<(), Reason> {
        if point.is_stale() {
            self.forget(batch, point, now);
            return Err(Reason::NoRecordedValue);
        }
        let at = self.locate(batch, point, mark, now);
        let totals = Totals { count: point.count, sum: point.sum };
        let totals = if !point.sum.is_finite() {
            self.forget(batch, point, now);
            Err(Reason::NotFinite)
        } else if at.metric.detailed.is_some() {
            self.difference(at, point.start_unix_nano, totals, now)
        } else {
            Err(Reason::NotFinite)
        };
        // The point is counted with the first of its rows.
        let mut points = 1;
        if let (Ok(totals), Some((sum, count))) = (&totals, at.metric.detailed) {
            self.push(batch, point, at, sum, points, 0, None, RowValue::Number(totals.sum));
            self.push(batch, point, at, count, 0, 0, None, RowValue::Count(totals.count));
            points = 0;
        }
        for quantile in point.quantiles.of(&batch.quantiles).iter().filter(|quantile| quantile.value.is_finite()) {
            let value = RowValue::Number(quantile.value);
            self.push(batch, point, at, at.metric.field, points, 0, Some(quantile.quantile), value);
            points = 0;
        }
        if points == 0 { Ok(()) } else { totals.map(drop) }
    }

    /// Whether points of this metric are taken.
    fn taken(&self, point: &impl Point) -> Result<(), Reason> {
        self.lookup.metrics[point.metric() as usize].refusal.map_or(Ok(()), Err)
    }

    /// In the agent's layout a gap ends a series of differences: what comes next is compared with nothing.
    fn forget(&mut self, batch: &Batch, point: &impl Point, now: Now) {
        if self.settings.is_agent() {
            let at = self.locate(batch, point, None, now);
            let key = SeriesKey { series: self.lookup.slots[at.slot].uid, metric: at.metric.name };
            self.sums.forget(key);
            self.totals.forget(key);
        }
    }

    /// The difference of count and sum to the point before.
    fn difference(&mut self, at: At, start_unix_nano: u64, totals: Totals, now: Now) -> Result<Totals, Reason> {
        let key = SeriesKey { series: self.lookup.slots[at.slot].uid, metric: at.metric.name };
        let previous = self.totals.previous(key, at.time_unix_nano, start_unix_nano, now.seconds);
        let totals = cumulative::totals(previous, totals, self.settings.retain_initial)?;
        if totals.sum.is_finite() { Ok(totals) } else { Err(Reason::NotFinite) }
    }

    /// Finds the series of a point. A point without a time is of now.
    fn locate(&mut self, batch: &Batch, point: &impl Point, mark: Option<SelectionId>, now: Now) -> At {
        let metric = self.lookup.metrics[point.metric() as usize];
        let slot = self.lookup.slot(&batch.tables, &metric, point.attrs(), &mut self.caches.plans, now.seconds);
        let (time_ms, time_unix_nano) = match point.time_unix_nano() / 1_000_000 {
            0 => (now.unix_ms, (now.unix_ms as u64).saturating_mul(1_000_000)),
            ms => (ms as i64, point.time_unix_nano()),
        };
        At { metric, slot, time_ms, time_unix_nano, mark }
    }

    fn push_statistics(&mut self, batch: &Batch, point: &impl Point, at: At, statistics: Statistics) {
        let value = RowValue::Statistics(self.rows.statistics.len() as u32);
        self.rows.statistics.push(statistics);
        self.push(batch, point, at, at.metric.field, 1, 0, None, value);
    }

    /// Adds a row to the group of its event. `part` is its position among the rows of its point.
    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        batch: &Batch,
        point: &impl Point,
        at: At,
        field: FieldId,
        points: u32,
        part: u32,
        quantile: Option<f64>,
        value: RowValue,
    ) {
        let is_plain = part == 0 && quantile.is_none();
        let group = match self.lookup.group(at.slot, at.time_ms).filter(|_| is_plain) {
            Some(group) => group,
            None => self.group(batch, point, at, part, quantile),
        };
        let selection = at.mark.unwrap_or_else(|| self.caches.fields.at(field).selection);
        self.rows.push(Row { group, field, selection, points, value });
    }

    /// The group of a point's event.
    fn group(&mut self, batch: &Batch, point: &impl Point, at: At, part: u32, quantile: Option<f64>) -> u32 {
        let slot = self.lookup.slots[at.slot];
        let event = match quantile {
            None if slot.event != NO_EVENT => slot.event,
            _ => {
                let wanted = self.lookup.reference(&batch.tables, &at.metric, point.attrs());
                let text = quantile.map(quantile_text);
                let quantile = quantile.map(f64::to_bits).zip(text.as_deref());
                let caches = &mut self.caches;
                caches.plans.event(slot.series, &wanted, quantile, &self.settings, &mut caches.names)
            }
        };
        let group = self.rows.group(event, at.time_ms, part, slot.prometheus);
        if part == 0 && quantile.is_none() {
            self.lookup.set_group(at.slot, event, at.time_ms, group);
        }
        group
    }
}

/// Whether a point has a value and all its numbers can be written.
fn valid(point: &impl Point, numbers: impl IntoIterator<Item = Option<f64>>) -> Result<(), Reason> {
    if point.is_stale() {
        return Err(Reason::NoRecordedValue);
    }
    let finite = numbers.into_iter().all(|number| number.is_none_or(f64::is_finite));
    if finite { Ok(()) } else { Err(Reason::NotFinite) }
}

/// Go's `%g` form, unlike that of JSON numbers.
fn quantile_text(quantile: f64) -> String {
    let mut text = Vec::new();
    proto::number::push_g_f64(&mut text, quantile);
    String::from_utf8(text).expect("a number is ASCII")
}

impl From<NoDifference> for Reason {
    fn from(why: NoDifference) -> Reason {
        match why {
            NoDifference::First => Reason::FirstValue,
            NoDifference::OutOfOrder => Reason::OutOfOrder,
        }
    }
}
