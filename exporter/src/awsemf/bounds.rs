//! Bounds of the buckets of exponential histograms. A bound costs some fifty multiplications and depends on nothing but
//! scale and index, so those that points have in common are kept.

/// Bounds kept of one scale; SDKs send 160 buckets a side at most.
const MAX_KEPT: usize = 2048;
/// Scales kept; OpenTelemetry's go from -10 to 20.
const MAX_SCALES: usize = 32;

/// Bounds that were worked out before.
#[derive(Default)]
pub(crate) struct Bounds {
    scales: Vec<Scale>,
}

/// The bounds of one scale, of which some neighbouring ones are known.
pub(crate) struct Scale {
    scale: i32,
    base: f64,
    /// Index of the first known one.
    first: i64,
    known: Vec<f64>,
}

impl Bounds {
    /// The bounds of a scale, after those of these buckets (offset of the first and number) are made known, unless
    /// they are too far apart.
    pub(crate) fn of(&mut self, scale: i32, sides: [(i32, usize); 2]) -> &Scale {
        let at = self.scale(scale);
        let scale = &mut self.scales[at];
        let used = sides.into_iter().filter(|(_, buckets)| *buckets > 0);
        let ends = used.map(|(offset, buckets)| (i64::from(offset), i64::from(offset) + buckets as i64 + 1));
        if let Some((from, to)) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            && to - from <= MAX_KEPT as i64
        {
            scale.cover(from, to);
        }
        scale
    }

    fn scale(&mut self, scale: i32) -> usize {
        if let Some(at) = self.scales.iter().position(|known| known.scale == scale) {
            return at;
        }
        if self.scales.len() == MAX_SCALES {
            self.scales.clear();
        }
        self.scales.push(Scale { scale, base: base(scale), first: 0, known: Vec::new() });
        self.scales.len() - 1
    }
}

impl Scale {
    /// The bounds of so many buckets, one more than these, if they are known and none is so large that a sum of two
    /// would be infinite. Empty without buckets.
    pub(crate) fn small(&self, offset: i32, buckets: usize) -> Option<&[f64]> {
        if buckets == 0 {
            return Some(&[]);
        }
        let start = usize::try_from(i64::from(offset) - self.first).ok()?;
        let known = self.known.get(start..)?.get(..=buckets)?;
        known.last().is_some_and(|largest| *largest <= f64::MAX / 2.0).then_some(known)
    }

    /// The lower bounds of neighbouring buckets by their position; that of a bucket is the upper one of the bucket
    /// before.
    pub(crate) fn bounds(&self, offset: i32, buckets: usize) -> impl Fn(usize) -> f64 {
        let start = usize::try_from(i64::from(offset) - self.first).ok();
        let known = start.and_then(|start| self.known.get(start..)?.get(..buckets)).unwrap_or_default();
        move |at| known.get(at).copied().unwrap_or_else(|| power(self.base, i64::from(offset) + at as i64))
    }

    /// Adds what is missing of a range; starts over when it would become too much.
    fn cover(&mut self, from: i64, to: i64) {
        let end = self.first + self.known.len() as i64;
        if self.first <= from && to <= end {
            return;
        }
        let (all_from, all_to) = (from.min(self.first), to.max(end));
        let base = self.base;
        let work_out = |from: i64, to: i64| (from..to).map(move |index| power(base, index));
        if self.known.is_empty() || all_to - all_from > MAX_KEPT as i64 {
            self.first = from;
            self.known.clear();
            self.known.extend(work_out(from, to));
        } else {
            self.known.splice(0..0, work_out(all_from, self.first));
            self.known.extend(work_out(end, all_to));
            self.first = all_from;
        }
    }
}

/// `2 ^ (2 ^ -scale)`; infinite from scale -10 downwards.
fn base(scale: i32) -> f64 {
    match scale {
        ..=0 => scale_by_power_of_two(1.0, 1 << scale.unsigned_abs().min(11)),
        1 => 2f64.sqrt(),
        _ => (std::f64::consts::LN_2 * scale_by_power_of_two(1.0, -i64::from(scale))).exp(),
    }
}

/// `base ^ index` with the roundings of Go's `math.Pow`: powers of the mantissa by squaring, the exponent kept apart,
/// the inverse taken at the end. The error of the base grows with the index, so that another way would give other
/// digits than the reference.
fn power(base: f64, index: i64) -> f64 {
    if base.is_infinite() {
        return [0.0, 1.0, f64::INFINITY][(index.signum() + 1) as usize];
    }
    let (mut square, mut square_exponent) = mantissa_and_exponent(base);
    let (mut mantissa, mut exponent) = (1.0, 0i64);
    let mut left = index.unsigned_abs();
    while left != 0 {
        if square_exponent.abs() > 1 << 12 {
            // Far out of range already; what is left only adds to that.
            exponent += square_exponent;
            break;
        }
        if left & 1 == 1 {
            mantissa *= square;
            exponent += square_exponent;
        }
        square *= square;
        square_exponent *= 2;
        if square < 0.5 {
            square *= 2.0;
            square_exponent -= 1;
        }
        left >>= 1;
    }
    if index < 0 { scale_by_power_of_two(1.0 / mantissa, -exponent) } else { scale_by_power_of_two(mantissa, exponent) }
}

/// A positive normal number as a mantissa from 0.5 to below 1 and a power of two.
fn mantissa_and_exponent(value: f64) -> (f64, i64) {
    const EXPONENT: u64 = 0x7ff << 52;
    let bits = value.to_bits();
    let exponent = ((bits & EXPONENT) >> 52) as i64 - 1022;
    (f64::from_bits(bits & !EXPONENT | 1022 << 52), exponent)
}

/// `value * 2 ^ exponent`, infinite or 0 when out of range.
fn scale_by_power_of_two(value: f64, exponent: i64) -> f64 {
    // In steps, so that a factor neither overflows nor underflows before the result does.
    let mut left = exponent.clamp(-2200, 2200) as i32;
    let mut value = value;
    while left != 0 {
        let step = left.clamp(-1000, 1000);
        value *= 2f64.powi(step);
        left -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bounds_do_not_depend_on_what_was_asked_before(
            asked in proptest::collection::vec(
                (-11i32..22, -900i32..900, 0usize..300, prop_oneof![-900i32..900, Just(1 << 30)], 0usize..300), 1..40),
        ) {
            let mut bounds = Bounds::default();
            for (scale, positive, p, negative, n) in asked {
                let known = bounds.of(scale, [(positive, p), (negative, n)]);
                for (offset, buckets) in [(positive, p), (negative, n)] {
                    let bound = known.bounds(offset, buckets + 1);
                    for at in 0..=buckets {
                        let expected = power(base(scale), i64::from(offset) + at as i64);
                        prop_assert_eq!(bound(at).to_bits(), expected.to_bits());
                    }
                }
                prop_assert!(known.known.len() <= MAX_KEPT);
                prop_assert!(bounds.scales.len() <= MAX_SCALES);
            }
        }
    }
}
