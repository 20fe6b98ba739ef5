//! What a plain YAML scalar means, as Go's yaml.v3 resolves it for an untyped target. One table; no positions, no tree.

use crate::node::Value;

/// Resolves an unquoted scalar: null, the core booleans, Go's integers (`0777` and `0o777` are octal, `0x`, `0b`,
/// underscores), floats, `.inf`, `.nan`. Everything else, timestamps and `yes` included, is text.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => float(text),
        b'0'..=b'9' | b'+' | b'-' => number(&text.replace('_', "")),
        _ => None,
    }
    .unwrap_or_else(|| Value::Str(text.into()))
}

fn number(text: &str) -> Option<Value> {
    integer(text).map(Value::Int).or_else(|| float(text))
}

/// Go's `ParseInt(text, 0, 64)` and then `ParseUint`: a sign, a base prefix, digits; nothing beyond 64 bits.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => (-1, &text[1..]),
        [b'+', ..] => (1, &text[1..]),
        _ => (1, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let value = sign * i128::from_str_radix(digits, radix).ok()?;
    let signed = i128::from(i64::MIN)..=i128::from(i64::MAX);
    let unsigned_only = !text.starts_with(['-', '+']) && (0..=i128::from(u64::MAX)).contains(&value);
    (signed.contains(&value) || unsigned_only).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|digits| !digits.is_empty() && all_digits(digits));
    let value: f64 = (mantissa_fits && exponent_fits).then(|| text.parse().ok())??;
    // Go refuses what overflows; it stays text.
    value.is_finite().then_some(Value::Float(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_resolve_as_in_go() {
        let ints: &[(&str, i128)] = &[
            ("0", 0),
            ("-0", 0),
            ("12", 12),
            ("+12", 12),
            ("-12", -12),
            ("0777", 511),
            ("-0777", -511),
            ("0o17", 15),
            ("0x1F", 31),
            ("-0x1f", -31),
            ("0b101", 5),
            ("-0b101", -5),
            ("1_000", 1000),
            ("1__0_", 10),
            ("0_7", 7),
            ("9223372036854775808", 9223372036854775808),
            ("18446744073709551615", 18446744073709551615),
            ("-9223372036854775808", i128::from(i64::MIN)),
        ];
        for (text, want) in ints {
            assert_eq!(resolve(text), Value::Int(*want), "{text}");
        }
        let floats: &[(&str, f64)] = &[
            ("1.5", 1.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("+.5", 0.5),
            ("1e3", 1000.0),
            ("1E-2", 0.01),
            ("08", 8.0),
            ("09.5", 9.5),
            ("18446744073709551616", 18446744073709551616.0),
            ("-9223372036854775809", -9223372036854775809.0),
            (".inf", f64::INFINITY),
            ("-.INF", f64::NEG_INFINITY),
            ("1_0.5", 10.5),
        ];
        for (text, want) in floats {
            assert_eq!(resolve(text), Value::Float(*want), "{text}");
        }
        assert!(matches!(resolve(".nan"), Value::Float(x) if x.is_nan()));
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(text), Value::Null);
        }
        for text in [
            "yes",
            "on",
            "off",
            "n",
            "tRue",
            "nULL",
            "2024-01-02",
            "1:30",
            "1.2.3",
            "0x",
            "0xg",
            "1e",
            "e3",
            ".",
            "..",
            "-",
            "+",
            "_1",
            "inf",
            "nan",
            "1 2",
            "5s",
            "0o",
            "12abc",
        ] {
            assert_eq!(resolve(text), Value::Str(text.into()), "{text}");
        }
    }
}
