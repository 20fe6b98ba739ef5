//! Numbers of both formats, with the syntax of Go's `strconv.ParseFloat`. Not responsible for printing them.

use proto::number::push_g_f64;

use super::MetricType;

/// The NaN that Prometheus stores for every NaN of a page, distinct from its stale marker.
pub const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

/// Why a token is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FloatError {
    /// There is no token.
    Missing,
    /// `p`, `P` or `_`: newer Go syntax, which Prometheus refuses.
    Unsupported,
    Syntax,
    Range,
}

impl FloatError {
    /// Go's words about the quoted token.
    pub(super) fn explain(self, quoted: &str) -> String {
        match self {
            Self::Unsupported => "unsupported character in float".to_owned(),
            Self::Missing | Self::Syntax => format!("strconv.ParseFloat: parsing {quoted}: invalid syntax"),
            Self::Range => format!("strconv.ParseFloat: parsing {quoted}: value out of range"),
        }
    }
}

/// Reads the float at the beginning of `text` up to a byte for which `ends` holds, or to the end of the text. Returns the
/// value and the length of the token.
#[inline]
pub(super) fn scan_float(text: &[u8], ends: impl Fn(u8) -> bool) -> (Result<f64, FloatError>, usize) {
    if let Some((value, length)) = scan_short_decimal(text)
        && text.get(length).is_none_or(|&byte| ends(byte))
    {
        return (Ok(value), length);
    }
    let length = text.iter().position(|&byte| ends(byte)).unwrap_or(text.len());
    (parse_token(&text[..length]), length)
}

/// The common case: a plain decimal that a product or quotient of two exact doubles represents correctly rounded, which
/// holds for digits up to 2^53 and powers of ten up to 10^22. `None` means nothing: take the slow way.
#[inline]
pub(super) fn scan_short_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let (is_negative, unsigned) = match text {
        [b'-', unsigned @ ..] => (true, unsigned),
        _ => (false, text),
    };
    let (mut mantissa, mut rest) = scan_digits(unsigned, 0);
    let mut digits = unsigned.len() - rest.len();
    let mut fraction = 0;
    if let [b'.', after @ ..] = rest {
        (mantissa, rest) = scan_digits(after, mantissa);
        fraction = after.len() - rest.len();
        digits += fraction;
    }
    // 19 digits cannot have wrapped.
    if digits == 0 || digits > 19 || mantissa > 1 << 53 {
        return None;
    }
    let mut at = text.len() - rest.len();
    let mut exponent = -(fraction as i32);
    if let [b'e' | b'E', ..] = rest {
        let (written, end) = short_exponent(text, at + 1)?;
        exponent += written;
        at = end;
    }
    // Signed numbers convert in one instruction.
    let magnitude = mantissa as i64 as f64;
    let power = *POWERS.get(exponent.unsigned_abs() as usize)?;
    let value = if exponent < 0 { magnitude / power } else { magnitude * power };
    Some((if is_negative { -value } else { value }, at))
}

/// Reads digits behind those of `number`; gives all of them and the rest of the text.
#[inline]
fn scan_digits(mut text: &[u8], mut number: u64) -> (u64, &[u8]) {
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        text = rest;
    }
    (number, text)
}

/// An optional sign and one to three digits.
fn short_exponent(text: &[u8], mut at: usize) -> Option<(i32, usize)> {
    let negative = text.get(at) == Some(&b'-');
    at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
    let start = at;
    let mut exponent = 0;
    while let Some(digit) = digit(text, at).filter(|_| at < start + 3) {
        exponent = exponent * 10 + digit as i32;
        at += 1;
    }
    (at > start).then_some((if negative { -exponent } else { exponent }, at))
}

#[inline]
fn digit(text: &[u8], at: usize) -> Option<u64> {
    let digit = text.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

/// The powers of ten that a double holds exactly.
static POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Any token, with the restrictions of Prometheus.
#[cold]
fn parse_token(token: &[u8]) -> Result<f64, FloatError> {
    if token.is_empty() {
        return Err(FloatError::Missing);
    }
    if memchr::memchr3(b'p', b'P', b'_', token).is_some() {
        return Err(FloatError::Unsupported);
    }
    parse_decimal(token)
}

/// Decimals and the names of infinity and NaN. Go and the standard library agree on the rest, except that Go takes no
/// sign before NaN and calls an overflow an error.
fn parse_decimal(token: &[u8]) -> Result<f64, FloatError> {
    let text = std::str::from_utf8(token).map_err(|_| FloatError::Syntax)?;
    let value: f64 = text.parse().map_err(|_| FloatError::Syntax)?;
    let named = text.trim_start_matches(['+', '-']).starts_with(['i', 'I', 'n', 'N']);
    match value {
        value if value.is_nan() && text.starts_with(['+', '-']) => Err(FloatError::Syntax),
        value if value.is_nan() => Ok(f64::from_bits(NORMAL_NAN)),
        value if value.is_infinite() && !named => Err(FloatError::Range),
        value => Ok(value),
    }
}

/// Go's `strconv.ParseFloat(text, 64)`: decimals, `Inf`, `NaN`, hexadecimal floats; `None` on a syntax or range error.
pub fn parse_go_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.as_bytes() {
        [b'0', b'x' | b'X', digits @ ..] => {
            let value = parse_hexadecimal(digits)?;
            Some(if text.starts_with('-') { -value } else { value })
        }
        _ => parse_decimal(text.as_bytes()).ok(),
    }
}

/// Hexadecimal digits with an optional point and a mandatory exponent of two; digits may be separated by underscores.
fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|byte| matches!(byte, b'p' | b'P'))?;
    let (digits, exponent) = (&text[..end], &text[end + 1..]);
    let mut mantissa: u64 = 0;
    let mut scale: i64 = 0;
    let (mut seen_point, mut any_digit, mut after_digit) = (false, false, true);
    let mut sticky = false;
    for &byte in digits {
        match byte {
            b'_' if after_digit => after_digit = false,
            b'.' if !seen_point && (after_digit || !any_digit) => (seen_point, after_digit) = (true, false),
            _ => {
                let digit = u64::from(char::from(byte).to_digit(16)?);
                (any_digit, after_digit) = (true, true);
                if mantissa >> 58 == 0 {
                    mantissa = mantissa << 4 | digit;
                    scale -= i64::from(seen_point) * 4;
                } else {
                    sticky |= digit != 0;
                    scale += i64::from(!seen_point) * 4;
                }
            }
        }
    }
    if !any_digit || digits.last() == Some(&b'_') {
        return None;
    }
    let exponent = parse_exponent(exponent)?;
    assemble(mantissa, sticky, scale.saturating_add(exponent))
}

/// A signed decimal; magnitudes beyond any double saturate.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(100_000));
    Some(if negative { -value } else { value })
}

/// `mantissa * 2^exponent`, rounded to even once; `sticky` says that non-zero digits were cut off. `None` on overflow.
fn assemble(mantissa: u64, sticky: bool, exponent: i64) -> Option<f64> {
    if mantissa == 0 {
        return Some(0.0);
    }
    // Bits that a double of this magnitude keeps: 53, fewer when it is subnormal.
    let top = exponent + 63 - i64::from(mantissa.leading_zeros());
    let kept = if top < -1022 { 53 - (-1022 - top) } else { 53 };
    let cut = 64 - i64::from(mantissa.leading_zeros()) - kept;
    let (mut digits, mut exponent) = (mantissa, exponent);
    if cut > 64 {
        return Some(0.0);
    }
    if cut > 0 {
        let half = 1u128 << (cut - 1);
        let wide = u128::from(mantissa);
        let rest = wide & ((1u128 << cut) - 1);
        let whole = (wide >> cut) as u64;
        let up = rest > half || rest == half && (sticky || whole & 1 == 1);
        digits = whole + u64::from(up);
        exponent += cut;
    }
    // Exact from here on, in two steps so that neither factor leaves the range of doubles.
    let first = exponent.clamp(-1000, 1000);
    let value = digits as f64 * 2f64.powi(first as i32) * 2f64.powi((exponent - first).clamp(-1000, 1000) as i32);
    value.is_finite().then_some(value)
}

/// The value that Prometheus gives an `le` label of a histogram or a `quantile` label of a summary: canonical float
/// text (`1` and `1e0` become `1.0`, `+inf` becomes `+Inf`). `None` when the value stays as it is: another label or
/// type, not a number, or canonical already.
pub fn canonical_label_value(kind: MetricType, name: &str, value: &str) -> Option<String> {
    let applies = matches!((kind, name), (MetricType::Histogram, "le") | (MetricType::Summary, "quantile"));
    if !applies {
        return None;
    }
    let number = parse_go_float(value)?;
    let mut text = Vec::with_capacity(24);
    push_g_f64(&mut text, if number == 0.0 { 0.0 } else { number });
    let mut text = String::from_utf8(text).ok()?;
    if number.is_finite() && !text.contains(['e', '.']) {
        text.push_str(".0");
    }
    (text != value).then_some(text)
}
