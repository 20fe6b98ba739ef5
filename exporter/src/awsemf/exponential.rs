//! Exponential histograms as CloudWatch value lists: bucket mid-points, in parts of at most 100.

use super::bounds::{Bounds, Scale};

/// Values of one metric that CloudWatch takes in an event.
pub(crate) const MAX_VALUES: usize = 100;

/// The parts of the point that matter here. Absent sum, min and max are 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exponential<'a> {
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) positive_offset: i32,
    pub(crate) positive: &'a [u64],
    pub(crate) negative_offset: i32,
    pub(crate) negative: &'a [u64],
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Exponential<'_> {
    /// Buckets that use up the capacity of a part.
    fn buckets(&self) -> usize {
        self.positive.len() + self.negative.len() + usize::from(self.zero_count > 0)
    }
}

/// One part of a histogram: what becomes `{"Values":[...],"Counts":[...],"Max":...}`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    /// Start in the arena of values and counts.
    pub(crate) start: usize,
    /// Number of values.
    pub(crate) len: usize,
    pub(crate) max: f64,
    pub(crate) min: f64,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

/// The sum or a bound of a bucket is beyond what a float holds, so the point has no value in CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFinite;

/// Splits a histogram: values and their counts are appended to `values`, parts to `parts`. Nothing is appended on error.
///
/// Values go from the largest to the smallest. Empty buckets give no value but use up the capacity that a part is
/// opened with, as in the reference.
pub(crate) fn split(
    h: &Exponential<'_>,
    bounds: &mut Bounds,
    values: &mut Vec<(f64, u64)>,
    parts: &mut Vec<Part>,
) -> Result<(), NotFinite> {
    // A difference of two finite sums may not be.
    if !h.sum.is_finite() {
        return Err(NotFinite);
    }
    let (value_mark, part_mark) = (values.len(), parts.len());
    let result = push_parts(h, bounds, values, parts);
    if result.is_err() {
        values.truncate(value_mark);
        parts.truncate(part_mark);
    }
    result
}

fn push_parts(
    h: &Exponential<'_>,
    bounds: &mut Bounds,
    values: &mut Vec<(f64, u64)>,
    parts: &mut Vec<Part>,
) -> Result<(), NotFinite> {
    let sides = [(h.positive_offset, h.positive.len()), (h.negative_offset, h.negative.len())];
    let scale = bounds.of(h.scale, sides);
    if h.buckets() <= MAX_VALUES
        && let Some(positive) = scale.small(h.positive_offset, h.positive.len())
        && let Some(negative) = scale.small(h.negative_offset, h.negative.len())
    {
        parts.push(one_part(h, positive, negative, values));
        return Ok(());
    }
    any_parts(h, scale, values, parts)
}

/// Nearly all histograms: their buckets are no more than a part takes, and no sum of two bounds (one more on a side than
/// it has buckets) is too large.
fn one_part(h: &Exponential<'_>, positive: &[f64], negative: &[f64], values: &mut Vec<(f64, u64)>) -> Part {
    let start = values.len();
    values.resize(start + h.positive.len() + h.negative.len() + 1, (0.0, 0));
    let places = &mut values[start..];
    let (mut len, mut total) = (0, 0u64);
    let mut put = |middle: f64, count: u64| {
        // An empty bucket is overwritten by the next one.
        places[len] = (middle, count);
        len += usize::from(count > 0);
        total = total.wrapping_add(count);
    };
    for (bounds, count) in positive.windows(2).zip(h.positive).rev() {
        put((bounds[0] + bounds[1]) / 2.0, *count);
    }
    put(0.0, h.zero_count);
    for (bounds, count) in negative.windows(2).zip(h.negative) {
        put((-bounds[1] - bounds[0]) / 2.0, *count);
    }
    let count = if len > 0 { total } else { h.count };
    values.truncate(start + len);
    Part { start, len, max: h.max, min: h.min, count, sum: h.sum }
}

/// As many parts as are needed, and what cannot be written is found out.
fn any_parts(
    h: &Exponential<'_>,
    scale: &Scale,
    values: &mut Vec<(f64, u64)>,
    parts: &mut Vec<Part>,
) -> Result<(), NotFinite> {
    let first_part = parts.len();
    let left = h.buckets();
    // What has more is made room for as it comes: empty buckets take none.
    values.reserve(left.min(MAX_VALUES));
    let mut writer = Writer { h, values, parts, part: None, capacity: 0, left, sum: h.sum };
    // The bound between two buckets is asked for once, and none of a side without buckets.
    if !h.positive.is_empty() {
        let bound = scale.bounds(h.positive_offset, h.positive.len() + 1);
        let mut high = bound(h.positive.len());
        for (i, count) in h.positive.iter().enumerate().rev() {
            let low = bound(i);
            writer.bucket(low, high, *count)?;
            high = low;
        }
    }
    if h.zero_count > 0 {
        writer.bucket(0.0, 0.0, h.zero_count)?;
    }
    if !h.negative.is_empty() {
        let bound = scale.bounds(h.negative_offset, h.negative.len() + 1);
        let mut high = -bound(0);
        for (i, count) in h.negative.iter().enumerate() {
            let low = -bound(i + 1);
            writer.bucket(low, high, *count)?;
            high = low;
        }
    }
    writer.close();
    match &mut parts[first_part..] {
        [] => parts.push(Part { start: values.len(), len: 0, max: h.max, min: h.min, count: h.count, sum: h.sum }),
        [first, rest @ ..] => {
            first.max = h.max;
            rest.last_mut().unwrap_or(first).min = h.min;
        }
    }
    Ok(())
}

/// Takes the buckets of a histogram from the largest value to the smallest.
struct Writer<'a> {
    h: &'a Exponential<'a>,
    values: &'a mut Vec<(f64, u64)>,
    parts: &'a mut Vec<Part>,
    part: Option<Part>,
    /// Values that the part takes.
    capacity: usize,
    /// Buckets to come.
    left: usize,
    /// For the next part: the first one has all of it.
    sum: f64,
}

impl Writer<'_> {
    #[inline(always)]
    fn bucket(&mut self, low: f64, high: f64, count: u64) -> Result<(), NotFinite> {
        if self.part.is_none() {
            self.open();
        }
        let Some(part) = &mut self.part else { return Ok(()) };
        self.left -= 1;
        if count == 0 {
            return Ok(());
        }
        let sum = low + high;
        let middle = if sum.is_finite() { sum / 2.0 } else { low / 2.0 + high / 2.0 };
        if !middle.is_finite() {
            return Err(NotFinite);
        }
        self.values.push((middle, count));
        if part.len == 0 {
            part.max = high;
        }
        part.len += 1;
        part.count = part.count.wrapping_add(count);
        if part.len == self.capacity {
            part.min = low;
            self.close();
        }
        Ok(())
    }

    #[inline(never)]
    fn open(&mut self) {
        self.capacity = MAX_VALUES.min(self.left);
        let sum = std::mem::take(&mut self.sum);
        let (start, max, min) = (self.values.len(), self.h.max, self.h.min);
        self.part = Some(Part { start, len: 0, max, min, count: 0, sum });
    }

    #[inline(never)]
    fn close(&mut self) {
        self.parts.extend(self.part.take().filter(|part| part.len > 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY: Exponential<'static> = Exponential {
        scale: 0,
        zero_count: 0,
        positive_offset: 0,
        positive: &[],
        negative_offset: 0,
        negative: &[],
        count: 0,
        sum: 0.0,
        min: 0.0,
        max: 0.0,
    };

    /// Values, counts, max, min, count and sum of every part.
    type Parts = Vec<(Vec<f64>, Vec<u64>, f64, f64, u64, f64)>;

    fn parts(h: &Exponential<'_>) -> Parts {
        let (mut values, mut parts) = (Vec::new(), Vec::new());
        split(h, &mut Bounds::default(), &mut values, &mut parts).unwrap();
        let list = |p: &Part| values[p.start..][..p.len].iter().copied().unzip();
        parts
            .iter()
            .map(|p| {
                let (v, c) = list(p);
                (v, c, p.max, p.min, p.count, p.sum)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn one_part_is_what_the_general_way_gives(
            scale in -11..21i32,
            zero_count in 0..3u64,
            offsets in (-1100..1100i32, -1100..1100i32),
            positive in proptest::collection::vec(0..3u64, 0..70),
            negative in proptest::collection::vec(0..3u64, 0..70),
        ) {
            let (positive_offset, negative_offset) = offsets;
            let h = Exponential {
                scale, zero_count, positive_offset, negative_offset, positive: &positive, negative: &negative, ..EMPTY
            };
            let h = Exponential { count: 9, sum: 1.5, min: -2.0, max: 3.0, ..h };
            let (mut bounds, mut values, mut parts) = (Bounds::default(), vec![(7.0, 7)], Vec::new());
            let given = split(&h, &mut bounds, &mut values, &mut parts).map(|()| (values, parts));
            let sides = [(h.positive_offset, h.positive.len()), (h.negative_offset, h.negative.len())];
            let (scale, mut values, mut parts) = (bounds.of(h.scale, sides), vec![(7.0, 7)], Vec::new());
            let general = any_parts(&h, scale, &mut values, &mut parts).map(|()| (values, parts));
            prop_assert_eq!(given, general);
        }
    }

    fn numbered(n: u64) -> Vec<u64> {
        (1..=n).collect()
    }

    #[test]
    fn bucket_mid_points_go_from_large_to_small() {
        let h = Exponential { positive: &[1, 2, 3], zero_count: 4, negative: &[1, 2, 3], ..EMPTY };
        let counts = vec![3, 2, 1, 4, 1, 2, 3];
        assert_eq!(parts(&h), [(vec![6.0, 3.0, 1.5, 0.0, -1.5, -3.0, -6.0], counts.clone(), 0.0, 0.0, 16, 0.0)]);
        let h = Exponential { scale: -1, positive_offset: -1, negative_offset: -1, ..h };
        assert_eq!(parts(&h), [(vec![10.0, 2.5, 0.625, 0.0, -0.625, -2.5, -10.0], counts, 0.0, 0.0, 16, 0.0)]);
    }

    #[test]
    fn fractional_bases_agree_with_the_reference_to_twelve_digits() {
        let h = Exponential { positive_offset: -1, positive: &[1, 0, 3], zero_count: 1, negative: &[2, 0, 2], ..EMPTY };
        let cases: [(i32, [f64; 5]); 4] = [
            (0, [3.0, 0.75, 0.0, -1.5, -6.0]),
            (1, [1.707106781186548, 0.8535533905932737, 0.0, -1.2071067811865475, -2.414213562373096]),
            (2, [1.3017103386879079, 0.9204482076268573, 0.0, -1.0946035575013604, -1.5480031964402619]),
            (-1, [10.0, 0.625, 0.0, -2.5, -40.0]),
        ];
        for (scale, expected) in cases {
            let (values, counts, ..) = parts(&Exponential { scale, ..h }).remove(0);
            for (got, want) in values.iter().zip(expected) {
                assert!((got - want).abs() <= 1e-12 * want.abs(), "scale {scale}: {got} {want}");
            }
            assert_eq!(counts, [3, 1, 1, 2, 2]);
        }
    }

    #[test]
    fn without_filled_buckets_there_is_one_empty_part() {
        let h = Exponential { count: 17, sum: 17.13, min: 10.0, max: 30.0, ..EMPTY };
        let expected = [(vec![], vec![], 30.0, 10.0, 17, 17.13)];
        assert_eq!(parts(&h), expected);
        assert_eq!(parts(&Exponential { positive: &[0, 0], ..h }), expected);
    }

    #[test]
    fn more_than_a_hundred_values_are_split_as_the_reference_does() {
        let (n60, n120, n100) = (numbered(60), numbered(120), numbered(100));
        let h =
            Exponential { positive: &n60, zero_count: 2, negative: &n60, sum: 1000.0, min: -9e17, max: 9e17, ..EMPTY };
        let summary = |h: &Exponential<'_>| -> Vec<(usize, u64, f64, f64, f64)> {
            parts(h).into_iter().map(|(v, _, max, min, count, sum)| (v.len(), count, sum, max, min)).collect()
        };
        let edge = -5.49755813888e11;
        assert_eq!(summary(&h), [(100, 2612, 1000.0, 9e17, edge), (21, 1050, 0.0, edge, -9e17)]);
        let h = Exponential { positive: &n120, zero_count: 2, sum: 10000.0, max: 9e36, ..EMPTY };
        assert_eq!(summary(&h), [(100, 7050, 10000.0, 9e36, 1048576.0), (21, 212, 0.0, 1048576.0, 0.0)]);
        let h = Exponential { negative: &n120, zero_count: 2, min: -9e36, ..EMPTY };
        let edge = -6.338253001141147e29;
        assert_eq!(summary(&h), [(100, 4952, 0.0, 0.0, edge), (21, 2310, 0.0, edge, -9e36)]);
        let h = Exponential { positive: &n60, negative: &n60, ..EMPTY };
        let edge = -1.099511627776e12;
        assert_eq!(summary(&h), [(100, 2650, 0.0, 0.0, edge), (20, 1010, 0.0, edge, 0.0)]);
        let h = Exponential { positive: &n100, negative: &n100, ..EMPTY };
        assert_eq!(summary(&h).iter().map(|part| part.0).collect::<Vec<_>>(), [100, 100]);
        let h = Exponential { positive: &n120, zero_count: 1, negative: &n120, ..EMPTY };
        let middle = summary(&h)[1];
        assert_eq!((middle.2, middle.3, middle.4), (0.0, 1048576.0, -6.044629098073146e23));
        let ones = vec![1; 101];
        let h = Exponential { positive: &ones, sum: 5.0, min: 1.0, max: 2e30, ..EMPTY };
        assert_eq!(summary(&h), [(100, 100, 5.0, 2e30, 2.0), (1, 1, 0.0, 2.0, 1.0)]);
        assert_eq!(parts(&h)[1].0, [1.5]);
    }

    #[test]
    fn empty_buckets_do_not_fill_a_part() {
        let mod5: Vec<u64> = (0..60).map(|i| i % 5).collect();
        let h = Exponential { positive: &mod5, zero_count: 2, negative: &mod5, min: -1.0, max: 1.0, ..EMPTY };
        assert_eq!(parts(&h).iter().map(|p| (p.0.len(), p.2, p.3, p.4)).collect::<Vec<_>>(), [(97, 1.0, -1.0, 242)]);
    }

    #[test]
    fn a_bound_or_sum_beyond_floats_is_an_error() {
        let (mut values, mut list) = (vec![(1.0, 1)], Vec::new());
        for h in [
            Exponential { positive_offset: 1023, positive: &[1], ..EMPTY },
            Exponential { scale: -10, positive: &[1], ..EMPTY },
            Exponential { scale: i32::MIN, positive_offset: i32::MAX, positive: &[1], ..EMPTY },
            Exponential { positive: &[1], sum: f64::NEG_INFINITY, ..EMPTY },
            Exponential { sum: f64::INFINITY, ..EMPTY },
        ] {
            assert_eq!(split(&h, &mut Bounds::default(), &mut values, &mut list), Err(NotFinite));
            assert_eq!((values.len(), list.len()), (1, 0));
        }
        let half = Exponential { scale: -10, positive_offset: -1, positive: &[1], ..EMPTY };
        assert_eq!(parts(&half)[0].0, [0.5]);
        let empty_there = Exponential { positive_offset: 1023, positive: &[0], ..EMPTY };
        assert_eq!(parts(&empty_there)[0].0.len(), 0);
    }
}
