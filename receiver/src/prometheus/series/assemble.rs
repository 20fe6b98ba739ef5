//! Histograms and summaries from their series, and the batch of a scrape.

use std::sync::Arc;

use proto::points::FLAG_NO_RECORDED_VALUE;
use proto::{AttrSetId, Batch, Exemplar, HistogramPoint, Meta, Quantile, Range32, SummaryPoint};

use super::group::{ABSENT_BITS, STALE_BITS, flag, seconds_to_nano, unix_nano};
use super::{Distribution, DistributionKind, DistributionPart, Sample, SeriesCache};

impl Distribution {
    /// One without any value yet.
    pub(super) fn new(kind: DistributionKind, metric: u32, attrs: AttrSetId) -> Distribution {
        Distribution {
            kind,
            metric,
            attrs,
            layout: 0,
            values_start: 0,
            values_room: 0,
            flags: 0,
            round: 0,
            time_ms: 0,
            count: 0.0,
            sum: 0.0,
            start_unix_nano: 0,
        }
    }
}

impl SeriesCache {
    /// The place of a bound or quantile in a distribution, which gets one when it has none. `None` when it is full.
    pub(super) fn value_position(&mut self, distribution: u32, value: f64) -> Option<u16> {
        let state = &mut self.distributions[distribution as usize];
        if let Some(position) = self.layouts.position(state.layout, value) {
            return Some(position);
        }
        state.layout = self.layouts.extend(state.layout, value)?;
        let len = self.layouts.len(state.layout);
        if len > state.values_room {
            let start = state.values_start as usize;
            let end = start + usize::from(state.values_room);
            if end == self.values.len() {
                self.values.push(ABSENT_BITS);
                state.values_room += 1;
            } else {
                // Somebody else's values follow: move to the end, with room to grow.
                let room = len.next_power_of_two().max(4);
                state.values_start = u32::try_from(self.values.len()).expect("fewer values than series");
                self.values.extend_from_within(start..end);
                self.values.resize(state.values_start as usize + usize::from(room), ABSENT_BITS);
                state.values_room = room;
            }
        }
        Some(len - 1)
    }

    pub(super) fn add_part(&mut self, distribution: u32, part: DistributionPart, sample: Sample) -> bool {
        let state = &mut self.distributions[distribution as usize];
        if state.round != self.round {
            state.round = self.round;
            self.columns.use_family(state.metric);
            state.flags = 0;
            state.time_ms = sample.time_ms;
            state.start_unix_nano = 0;
            self.values[state.values_start as usize..][..usize::from(state.values_room)].fill(ABSENT_BITS);
            self.touched.push(distribution);
        } else if state.time_ms != sample.time_ms {
            return false;
        }
        let is_end = sample.value.is_none();
        let value = sample.value.unwrap_or_default();
        match part {
            DistributionPart::Value(position) => {
                let slot = &mut self.values[state.values_start as usize + usize::from(position)];
                // The end of one spelling is not the end of another that is still there.
                if !is_end || *slot == ABSENT_BITS {
                    *slot = sample.bits();
                }
            }
            DistributionPart::Sum if is_end => {
                state.flags |= if state.flags & flag::SUM == 0 { flag::STALE } else { 0 };
            }
            DistributionPart::Count if is_end => {
                state.flags |= if state.flags & flag::COUNT == 0 { flag::STALE | flag::COUNT } else { 0 };
            }
            DistributionPart::Sum => {
                state.flags |= flag::SUM;
                state.sum = value;
            }
            DistributionPart::Count => {
                state.flags |= flag::COUNT;
                state.count = value;
            }
            DistributionPart::Created => {
                state.start_unix_nano = if is_end { 0 } else { seconds_to_nano(value) };
                state.flags |= if is_end { flag::CREATED_STALE } else { 0 };
            }
        }
        true
    }

    /// Builds the points of histograms and summaries and hands out everything as a batch.
    pub(super) fn build_batch(&mut self) -> Batch {
        self.build_distributions();
        if let Some(moved) = self.tables.reorder() {
            self.move_metrics(&moved);
        }
        self.columns.gather();
        self.infos.sort_by_key(|(resource, _)| *resource);
        self.tables.set_target_info(&self.infos);
        let columns = &mut self.columns;
        let numbers_capacity = columns.numbers.len();
        let batch = Batch {
            numbers: std::mem::replace(&mut columns.numbers, Vec::with_capacity(numbers_capacity)),
            histograms: std::mem::take(&mut columns.histograms),
            summaries: std::mem::take(&mut columns.summaries),
            exemplars: std::mem::take(&mut columns.exemplars),
            bounds: std::mem::take(&mut columns.bounds),
            counts: std::mem::take(&mut columns.counts),
            quantiles: std::mem::take(&mut columns.quantiles),
            tables: Arc::clone(&self.tables.shared),
            meta: Meta { shared_tables: true, ..Meta::default() },
            ..Batch::default()
        };
        columns.next_batch();
        self.tidy();
        batch
    }

    fn build_distributions(&mut self) {
        self.columns.waiting.sort_by_key(|(distribution, _)| *distribution);
        let mut shared: Option<(u32, Range32)> = None;
        let touched = std::mem::take(&mut self.touched);
        for &distribution in &touched {
            let state = self.distributions[distribution as usize].clone();
            if state.flags & flag::COUNT == 0 {
                continue;
            }
            match state.kind {
                DistributionKind::Histogram => self.build_histogram(distribution, &state, &mut shared),
                DistributionKind::Summary => self.build_summary(&state),
            }
        }
        self.touched = touched;
    }

    /// `shared` is the layout of the last histogram that had all its bounds, and where they are in the batch.
    fn build_histogram(&mut self, distribution: u32, state: &Distribution, shared: &mut Option<(u32, Range32)>) {
        let is_stale = state.flags & flag::STALE != 0;
        let values = &self.values[state.values_start as usize..][..usize::from(state.values_room)];
        let layout = self.layouts.get(state.layout);
        let columns = &mut self.columns;
        let first_count = columns.counts.len();
        let first_bound = columns.bounds.len();
        let reused = shared.filter(|(layout, _)| *layout == state.layout).map(|(_, range)| range);
        let mut is_complete = true;
        let mut below = 0.0;
        for &position in &layout.sorted {
            let bits = values[usize::from(position)];
            if bits == ABSENT_BITS || bits == STALE_BITS && !is_stale {
                is_complete = false;
                continue;
            }
            let bound = layout.values[usize::from(position)];
            if bound == f64::INFINITY {
                continue;
            }
            let value = if is_stale { 0.0 } else { f64::from_bits(bits) };
            // Buckets that shrink towards the end are clamped, where the reference wraps around.
            columns.counts.push((value - below) as u64);
            columns.bounds.push(bound);
            below = value;
        }
        columns.counts.push(if is_stale { 0 } else { (state.count - below) as u64 });
        let mut bounds = range(first_bound, columns.bounds.len());
        if is_complete {
            match reused {
                Some(range) => {
                    columns.bounds.truncate(first_bound);
                    bounds = range;
                }
                None => *shared = Some((state.layout, bounds)),
            }
        }
        let counts = range(first_count, columns.counts.len());
        columns.note(state.metric);
        let exemplars = match state.flags & flag::EXEMPLARS {
            0 => Range32::default(),
            _ => take_exemplars(distribution, &columns.waiting, &mut columns.exemplars),
        };
        columns.histograms.push(HistogramPoint {
            metric: state.metric,
            attrs: state.attrs,
            time_unix_nano: unix_nano(state.time_ms),
            start_unix_nano: start(state),
            count: if is_stale { 0 } else { state.count as u64 },
            sum: (!is_stale && state.flags & flag::SUM != 0).then_some(state.sum),
            min: None,
            max: None,
            bounds,
            counts,
            flags: if is_stale { FLAG_NO_RECORDED_VALUE } else { 0 },
            exemplars,
        });
    }

    fn build_summary(&mut self, state: &Distribution) {
        let is_stale = state.flags & flag::STALE != 0;
        let values = &self.values[state.values_start as usize..][..usize::from(state.values_room)];
        let layout = self.layouts.get(state.layout);
        let columns = &mut self.columns;
        let first = columns.quantiles.len();
        for &position in &layout.sorted {
            let bits = values[usize::from(position)];
            if bits != ABSENT_BITS {
                let value = match bits {
                    _ if is_stale => 0.0,
                    STALE_BITS => f64::NAN,
                    bits => f64::from_bits(bits),
                };
                columns.quantiles.push(Quantile { quantile: layout.values[usize::from(position)], value });
            }
        }
        columns.note(state.metric);
        columns.summaries.push(SummaryPoint {
            metric: state.metric,
            attrs: state.attrs,
            time_unix_nano: unix_nano(state.time_ms),
            start_unix_nano: start(state),
            count: if is_stale { 0 } else { state.count as u64 },
            sum: if !is_stale && state.flags & flag::SUM != 0 { state.sum } else { 0.0 },
            quantiles: range(first, columns.quantiles.len()),
            flags: if is_stale { FLAG_NO_RECORDED_VALUE } else { 0 },
        });
    }

    fn move_metrics(&mut self, moved: &[u32]) {
        let new = |metric: &mut u32| *metric = moved[*metric as usize];
        self.numbers.iter_mut().for_each(|group| new(&mut group.metric));
        self.distributions.iter_mut().for_each(|distribution| new(&mut distribution.metric));
        self.columns.numbers.iter_mut().for_each(|point| new(&mut point.metric));
        self.columns.histograms.iter_mut().for_each(|point| new(&mut point.metric));
        self.columns.summaries.iter_mut().for_each(|point| new(&mut point.metric));
        self.columns.move_metrics(moved);
        self.number_index = self.numbers.iter().zip(0..).map(|(g, id)| ((g.metric, g.attrs), id)).collect();
        self.distribution_index = self.distributions.iter().zip(0..).map(|(d, id)| ((d.metric, d.attrs), id)).collect();
    }
}

/// The start time; of a series that ends together with its start time, the time of the end.
fn start(state: &Distribution) -> u64 {
    if state.flags & flag::CREATED_STALE != 0 && state.flags & flag::STALE != 0 {
        unix_nano(state.time_ms)
    } else {
        state.start_unix_nano
    }
}

fn take_exemplars(distribution: u32, waiting: &[(u32, Exemplar)], exemplars: &mut Vec<Exemplar>) -> Range32 {
    let from = waiting.partition_point(|(owner, _)| *owner < distribution);
    let first = exemplars.len();
    exemplars.extend(waiting[from..].iter().take_while(|(owner, _)| *owner == distribution).map(|(_, e)| *e));
    range(first, exemplars.len())
}

fn range(start: usize, end: usize) -> Range32 {
    let index = |i: usize| u32::try_from(i).expect("pages are limited below 2^32 samples");
    Range32 { start: index(start), len: index(end - start) }
}
