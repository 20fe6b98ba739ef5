//! Differences of cumulative points: what to emit for a point, given the one before. A counter that went down, or whose
//! start time moved on, has begun anew, and its value is the difference.

use super::delta::Previous;
use super::exponential::Exponential;

/// Why a point gives no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDifference {
    /// It is the first of its series.
    First,
    /// It is older than the one before.
    OutOfOrder,
}

/// Count and sum of a histogram or summary.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

/// The difference of a sum. With `retain`, a first value is its own difference.
pub(crate) fn sum(previous: Previous<'_, f64>, value: f64, retain: bool) -> Result<f64, NoDifference> {
    match previous {
        Previous::OutOfOrder => Err(NoDifference::OutOfOrder),
        Previous::First(kept) => {
            *kept = value;
            if retain { Ok(value) } else { Err(NoDifference::First) }
        }
        Previous::Restarted(kept) => {
            *kept = value;
            Ok(value)
        }
        Previous::Known(kept) => {
            let difference = value - std::mem::replace(kept, value);
            Ok(if difference < 0.0 { value } else { difference })
        }
    }
}

/// The difference of count and sum. The count tells a restart, since a sum may go down by negative observations.
pub(crate) fn totals(previous: Previous<'_, Totals>, value: Totals, retain: bool) -> Result<Totals, NoDifference> {
    match previous {
        Previous::OutOfOrder => Err(NoDifference::OutOfOrder),
        Previous::First(kept) => {
            *kept = value;
            if retain { Ok(value) } else { Err(NoDifference::First) }
        }
        Previous::Restarted(kept) => {
            *kept = value;
            Ok(value)
        }
        Previous::Known(kept) => {
            let before = std::mem::replace(kept, value);
            Ok(match value.count.checked_sub(before.count) {
                Some(count) => Totals { count, sum: value.sum - before.sum },
                None => value,
            })
        }
    }
}

/// The last cumulative exponential histogram of a series.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Buckets {
    scale: i32,
    zero_count: u64,
    totals: Totals,
    positive: Side,
    negative: Side,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Side {
    offset: i32,
    counts: Vec<u64>,
}

/// A difference of exponential histograms: bucket counts, positive ones first.
#[derive(Debug, Default)]
pub(crate) struct BucketDifference {
    counts: Vec<u64>,
    positive: usize,
    zero_count: u64,
    totals: Totals,
}

impl BucketDifference {
    /// The difference as a histogram with the bounds of `point`.
    pub(crate) fn of<'a>(&'a self, point: &Exponential<'a>) -> Exponential<'a> {
        let (positive, negative) = self.counts.split_at(self.positive);
        let (count, sum) = (self.totals.count, self.totals.sum);
        Exponential { positive, negative, zero_count: self.zero_count, count, sum, ..*point }
    }
}

/// Puts the difference into `out`. A histogram that became coarser is compared at its new scale.
pub(crate) fn buckets(
    previous: Previous<'_, Buckets>,
    point: &Exponential<'_>,
    retain: bool,
    out: &mut BucketDifference,
) -> Result<(), NoDifference> {
    let (kept, comparable) = match previous {
        Previous::OutOfOrder => return Err(NoDifference::OutOfOrder),
        Previous::First(kept) => {
            kept.keep(point);
            if !retain {
                return Err(NoDifference::First);
            }
            (kept, false)
        }
        Previous::Restarted(kept) => (kept, false),
        Previous::Known(kept) => (kept, true),
    };
    if !(comparable && kept.subtract_from(point, out)) {
        out.counts.clear();
        out.counts.extend_from_slice(point.positive);
        out.counts.extend_from_slice(point.negative);
        out.positive = point.positive.len();
        out.zero_count = point.zero_count;
        out.totals = Totals { count: point.count, sum: point.sum };
    }
    kept.keep(point);
    Ok(())
}

impl Buckets {
    fn keep(&mut self, point: &Exponential<'_>) {
        self.scale = point.scale;
        self.zero_count = point.zero_count;
        self.totals = Totals { count: point.count, sum: point.sum };
        self.positive.keep(point.positive_offset, point.positive);
        self.negative.keep(point.negative_offset, point.negative);
    }

    /// False when something went down: the histogram began anew.
    fn subtract_from(&self, point: &Exponential<'_>, out: &mut BucketDifference) -> bool {
        let (Some(count), Some(zero_count), Some(coarser)) = (
            point.count.checked_sub(self.totals.count),
            point.zero_count.checked_sub(self.zero_count),
            self.scale.checked_sub(point.scale).and_then(|difference| u32::try_from(difference).ok()),
        ) else {
            return false;
        };
        out.counts.clear();
        out.positive = point.positive.len();
        out.zero_count = zero_count;
        out.totals = Totals { count, sum: point.sum - self.totals.sum };
        self.positive.subtract_from(point.positive_offset, point.positive, coarser, &mut out.counts)
            && self.negative.subtract_from(point.negative_offset, point.negative, coarser, &mut out.counts)
    }
}

impl Side {
    fn keep(&mut self, offset: i32, counts: &[u64]) {
        self.offset = offset;
        self.counts.clear();
        self.counts.extend_from_slice(counts);
    }

    /// Appends `counts` less what is kept, which is `coarser` scales finer.
    fn subtract_from(&self, offset: i32, counts: &[u64], coarser: u32, out: &mut Vec<u64>) -> bool {
        let start = out.len();
        out.extend_from_slice(counts);
        let out = &mut out[start..];
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).all(|(at, count)| {
            let index = (i64::from(self.offset) + at as i64) >> coarser.min(63);
            let slot = usize::try_from(index - i64::from(offset)).ok().and_then(|at| out.get_mut(at));
            match slot {
                Some(slot) => slot.checked_sub(*count).map(|left| *slot = left).is_some(),
                None => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_differences_and_begin_anew() {
        let mut kept = 0.0;
        assert_eq!(sum(Previous::First(&mut kept), 10.0, false), Err(NoDifference::First));
        assert_eq!(sum(Previous::Known(&mut kept), 15.0, false), Ok(5.0));
        assert_eq!(sum(Previous::Known(&mut kept), 3.0, false), Ok(3.0));
        assert_eq!(sum(Previous::Known(&mut kept), 3.0, false), Ok(0.0));
        assert_eq!(sum(Previous::Restarted(&mut kept), 7.0, false), Ok(7.0));
        assert_eq!(sum(Previous::OutOfOrder, 1.0, true), Err(NoDifference::OutOfOrder));
        assert_eq!(kept, 7.0);
        assert_eq!(sum(Previous::First(&mut kept), -17.0, true), Ok(-17.0));
        assert_eq!(sum(Previous::Known(&mut kept), 1.0, true), Ok(18.0));
    }

    #[test]
    fn totals_never_wrap_around() {
        let mut kept = Totals::default();
        let of = |count, sum| Totals { count, sum };
        assert_eq!(totals(Previous::First(&mut kept), of(17, 17.3), false), Err(NoDifference::First));
        assert_eq!(totals(Previous::Known(&mut kept), of(25, 100.0), false), Ok(of(8, 82.7)));
        assert_eq!(totals(Previous::Known(&mut kept), of(1, 2.0), false), Ok(of(1, 2.0)));
        assert_eq!(totals(Previous::Known(&mut kept), of(2, -3.0), false), Ok(of(1, -5.0)));
        assert_eq!(totals(Previous::Restarted(&mut kept), of(9, 4.0), false), Ok(of(9, 4.0)));
    }

    fn point<'a>(scale: i32, offset: i32, positive: &'a [u64], negative: &'a [u64]) -> Exponential<'a> {
        let count = positive.iter().chain(negative).sum();
        Exponential {
            scale,
            zero_count: 0,
            positive_offset: offset,
            positive,
            negative_offset: 0,
            negative,
            count,
            sum: count as f64,
            min: 0.0,
            max: 0.0,
        }
    }

    #[test]
    fn exponential_buckets_are_subtracted_also_after_a_change_of_scale() {
        let mut kept = Buckets::default();
        let mut out = BucketDifference::default();
        let mut difference = |kept: &mut Buckets, p: &Exponential<'_>| {
            buckets(Previous::Known(kept), p, false, &mut out).unwrap();
            let d = out.of(p);
            (d.positive.to_vec(), d.negative.to_vec(), d.count)
        };
        kept.keep(&point(1, 2, &[1, 2, 3, 4], &[1]));
        assert_eq!(
            difference(&mut kept, &point(1, 1, &[5, 2, 2, 3, 4], &[1, 7])),
            (vec![5, 1, 0, 0, 0], vec![0, 7], 13)
        );
        // At scale 0 the indexes 1..=5 are 0, 1, 1, 2, 2.
        assert_eq!(difference(&mut kept, &point(0, 0, &[6, 4, 8], &[8])), (vec![1, 0, 1], vec![0], 2));
        // A finer scale, a lost bucket or a smaller count is a new beginning.
        assert_eq!(difference(&mut kept, &point(1, 0, &[90], &[])), (vec![90], vec![], 90));
        assert_eq!(difference(&mut kept, &point(1, 1, &[95], &[])), (vec![95], vec![], 95));
        assert_eq!(difference(&mut kept, &point(1, 1, &[5], &[])), (vec![5], vec![], 5));
        assert_eq!(
            buckets(Previous::First(&mut kept), &point(0, 0, &[1], &[]), false, &mut out),
            Err(NoDifference::First)
        );
    }
}
