//! Text of numbers exactly as Go prints them, appended to a byte buffer.
//!
//! Three layouts of the same shortest digits; parsing numbers is the business of whoever reads them.

/// Appends a decimal integer.
pub fn push_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a decimal integer.
#[inline]
pub fn push_u64(out: &mut Vec<u8>, value: u64) {
    // Most counts of buckets have one digit.
    if value < 10 {
        return out.push(b'0' + value as u8);
    }
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float as Go's `encoding/json` does: shortest digits, plain unless `0 < |v| < 1e-6` or `|v| >= 1e21`,
/// an exponent of one digit stays one digit (`1e-7`), integral values have no fraction, negative zero is `-0`.
///
/// JSON has no form for the others; they get the text that OTLP/JSON and `pcommon.Value.AsString` use: `NaN`,
/// `Infinity`, `-Infinity`.
pub fn push_json_f64(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    if whole as f64 == value && whole.unsigned_abs() < 1 << 53 && (whole != 0 || value.is_sign_positive()) {
        return push_i64(out, whole);
    }
    if !value.is_finite() {
        return out.extend_from_slice(non_finite(value, "Infinity", "-Infinity").as_bytes());
    }
    let magnitude = value.abs();
    if (1e-5..1e16).contains(&magnitude) {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        return out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }
    let digits = Digits::of(value);
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        digits.push_exponent(out, 1);
    } else {
        digits.push_plain(out);
    }
}

/// Appends a float as Go's `strconv.FormatFloat(v, 'g', -1, 64)` does: shortest digits, an exponent of at least two
/// digits if the decimal exponent is below -4 or at least 6, `+Inf`, `-Inf`, `NaN`.
pub fn push_g_f64(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        return out.extend_from_slice(non_finite(value, "+Inf", "-Inf").as_bytes());
    }
    let digits = Digits::of(value);
    if (-4..6).contains(&(digits.point - 1)) || value == 0.0 {
        digits.push_plain(out);
    } else {
        digits.push_exponent(out, 2);
    }
}

/// Appends a float as Go's `strconv.FormatFloat(v, 'f', -1, 64)` does: shortest digits, never an exponent; `+Inf`,
/// `-Inf`, `NaN`.
pub fn push_f_f64(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        return out.extend_from_slice(non_finite(value, "+Inf", "-Inf").as_bytes());
    }
    Digits::of(value).push_plain(out);
}

fn non_finite(value: f64, positive: &'static str, negative: &'static str) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        positive
    } else {
        negative
    }
}

/// Shortest digits of a finite number: `0.d1d2d3... * 10^point`.
struct Digits {
    negative: bool,
    digits: [u8; 20],
    len: usize,
    point: i32,
}

impl Digits {
    /// Takes the shortest form apart: zmij prints `12.5`, `0.00012`, `1e21` or `1.5e-7`.
    fn of(value: f64) -> Digits {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().expect("zmij prints a decimal exponent");
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut d = Digits { negative: value.is_sign_negative(), digits: [b'0'; 20], len: 0, point: 0 };
        let mut seen = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            seen += 1;
            if d.len == 0 && digit == b'0' {
                continue;
            }
            if d.len == 0 {
                d.point = whole.len() as i32 - (seen - 1) + exponent;
            }
            // Digits past the twentieth can only be the zeros that fill a large integral value.
            if let Some(slot) = d.digits.get_mut(d.len) {
                *slot = digit;
                d.len += 1;
            }
        }
        while d.len > 0 && d.digits[d.len - 1] == b'0' {
            d.len -= 1;
        }
        d
    }

    fn push_sign(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
    }

    fn push_plain(&self, out: &mut Vec<u8>) {
        self.push_sign(out);
        let digits = &self.digits[..self.len];
        if digits.is_empty() {
            out.push(b'0');
        } else if self.point <= 0 {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + self.point.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        } else if self.point as usize >= digits.len() {
            out.extend_from_slice(digits);
            out.resize(out.len() + self.point as usize - digits.len(), b'0');
        } else {
            let (whole, fraction) = digits.split_at(self.point as usize);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    }

    fn push_exponent(&self, out: &mut Vec<u8>, width: usize) {
        self.push_sign(out);
        out.push(self.digits[0]);
        if self.len > 1 {
            out.push(b'.');
            out.extend_from_slice(&self.digits[1..self.len]);
        }
        let exponent = self.point - 1;
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if width == 2 && exponent.unsigned_abs() < 10 {
            out.push(b'0');
        }
        push_u64(out, u64::from(exponent.unsigned_abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(push: fn(&mut Vec<u8>, f64), value: f64) -> String {
        let mut out = Vec::new();
        push(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_floats_have_the_layout_of_go_encoding_json() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.5, "0.5"),
            (21.5, "21.5"),
            (100.0, "100"),
            (1e6, "1000000"),
            (0.000001, "0.000001"),
            (0.0000015, "0.0000015"),
            (9.99e-7, "9.99e-7"),
            (1e-7, "1e-7"),
            (-1.5e-10, "-1.5e-10"),
            (5e-324, "5e-324"),
            (9007199254740991.0, "9007199254740991"),
            (9007199254740992.0, "9007199254740992"),
            (9007199254740993.0, "9007199254740992"),
            (1e15 + 0.5, "1000000000000000.5"),
            (1e16, "10000000000000000"),
            (12345678901234567000.0, "12345678901234567000"),
            (1e20, "100000000000000000000"),
            (-1e20, "-100000000000000000000"),
            (999999999999999900000.0, "999999999999999900000"),
            (1e21, "1e+21"),
            (1.5e22, "1.5e+22"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (1.707106781186548, "1.707106781186548"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(push_json_f64, value), expected);
        }
    }

    #[test]
    fn g_floats_have_the_layout_of_go_strconv() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.5, "0.5"),
            (0.99, "0.99"),
            (0.999999, "0.999999"),
            (1.0, "1"),
            (100.0, "100"),
            (123456.0, "123456"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.00001, "-1e-05"),
            (1e6, "1e+06"),
            (1234567.0, "1.234567e+06"),
            (1e21, "1e+21"),
            (1e-100, "1e-100"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(push_g_f64, value), expected);
        }
    }

    #[test]
    fn f_floats_never_have_an_exponent() {
        for (value, expected) in
            [(1e21, "1000000000000000000000"), (1e-7, "0.0000001"), (-2.5, "-2.5"), (0.0, "0"), (f64::INFINITY, "+Inf")]
        {
            assert_eq!(text(push_f_f64, value), expected);
        }
    }

    #[test]
    fn integers_are_decimal() {
        let mut out = Vec::new();
        push_i64(&mut out, i64::MIN);
        out.push(b' ');
        push_u64(&mut out, u64::MAX);
        assert_eq!(out, b"-9223372036854775808 18446744073709551615");
    }

    proptest! {
        #[test]
        fn every_float_reads_back_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for push in [push_json_f64, push_g_f64, push_f_f64] {
                let text = text(push, value);
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{}", text);
            }
        }
    }
}
