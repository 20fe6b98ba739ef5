//! Durations in Go's syntax, as the Collector's settings have them: `1s`, `1m30s`, `200ms`, `1.5h`.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A duration as Go's `time.ParseDuration` reads it, in nanoseconds, possibly negative.
///
/// A bare integer other than 0 is refused: the Collector would take it as nanoseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// A duration of nanoseconds.
    pub const fn from_nanos(nanos: i64) -> GoDuration {
        GoDuration(nanos)
    }

    /// A duration of milliseconds.
    pub const fn from_millis(millis: i64) -> GoDuration {
        GoDuration(millis * 1_000_000)
    }

    /// A duration of seconds.
    pub const fn from_secs(secs: i64) -> GoDuration {
        GoDuration(secs * 1_000_000_000)
    }

    /// The same duration; the longest one (292 years) for what is longer.
    pub fn from_std(duration: Duration) -> GoDuration {
        GoDuration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whether it is exactly nothing, which many settings read as "no limit".
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// As a standard duration; a negative one is zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Reads Go's syntax. The error is the reason.
    pub fn parse(text: &str) -> Result<GoDuration, String> {
        let invalid = || format!("{text:?} is not a duration");
        let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        if unsigned == "0" {
            return Ok(GoDuration(0));
        }
        if unsigned.is_empty() {
            return Err(invalid());
        }
        let mut rest = unsigned;
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let whole = digits(rest);
            rest = &rest[whole.len()..];
            let mut fraction = "";
            if let Some(after) = rest.strip_prefix('.') {
                fraction = digits(after);
                rest = &after[fraction.len()..];
            }
            if whole.is_empty() && fraction.is_empty() {
                return Err(invalid());
            }
            let unit = &rest[..rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len())];
            rest = &rest[unit.len()..];
            if unit.is_empty() {
                return Err(format!("missing unit in duration {text:?}"));
            }
            let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(format!("unknown unit {unit:?} in duration {text:?}"));
            };
            let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
            total = whole.checked_mul(u128::from(*nanos)).and_then(|n| total.checked_add(n)).ok_or_else(invalid)?;
            total += fraction_of(fraction, *nanos);
        }
        match (negative, i64::try_from(total)) {
            (false, Ok(nanos)) => Ok(GoDuration(nanos)),
            (true, Ok(nanos)) => Ok(GoDuration(-nanos)),
            (true, Err(_)) if total == 1 << 63 => Ok(GoDuration(i64::MIN)),
            _ => Err(format!("{text:?} is longer than 292 years")),
        }
    }
}

fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

/// `.5` of a unit in nanoseconds, cut like Go's, which stops before its integer overflows.
fn fraction_of(digits: &str, nanos: u64) -> u128 {
    let mut value: u128 = 0;
    let mut scale: u128 = 1;
    for digit in digits.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    value * u128::from(nanos) / scale
}

/// Go's form: `1m30s`, `200ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let fraction = |n: u64, per: u64, width: usize| {
            let rest = format!("{:0width$}", n % per);
            match rest.trim_end_matches('0') {
                "" => (n / per).to_string(),
                digits => format!("{}.{digits}", n / per),
            }
        };
        match total {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{total}ns"),
            1_000..1_000_000 => return write!(f, "{}µs", fraction(total, 1_000, 3)),
            1_000_000..1_000_000_000 => return write!(f, "{}ms", fraction(total, 1_000_000, 6)),
            _ => {}
        }
        let minutes = total / 60_000_000_000;
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        write!(f, "{}s", fraction(total % 60_000_000_000, 1_000_000_000, 9))
    }
}

impl fmt::Debug for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GoDuration, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = GoDuration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 5s, 1m30s or 200ms")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
                GoDuration::parse(text).map_err(|why| match text.parse::<u64>() {
                    Ok(_) => E::custom(format!("{why}; write {text}s for {text} seconds")),
                    Err(_) => E::custom(format!("{why}; write for example 5s, 1m30s or 200ms")),
                })
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<GoDuration, E> {
                match value {
                    0 => Ok(GoDuration(0)),
                    _ => Err(E::custom(format!(
                        "a duration needs a unit; the Collector would take {value} as nanoseconds; write {value}s for {value} seconds"
                    ))),
                }
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<GoDuration, E> {
                self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<GoDuration, E> {
                Err(E::custom(format!("a duration needs a unit; write {value}s for {value} seconds")))
            }
            fn visit_unit<E: de::Error>(self) -> Result<GoDuration, E> {
                Ok(GoDuration(0))
            }
        }
        deserializer.deserialize_any(V)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases: &[(&str, i64)] = &[
            ("0", 0),
            ("5s", 5_000_000_000),
            ("-5s", -5_000_000_000),
            ("+5.6s", 5_600_000_000),
            ("1.0s", 1_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("1m30s", 90_000_000_000),
            ("0.100000000000000000000h", 360_000_000_000),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("-9223372036854775808ns", i64::MIN),
            ("9223372036854775.807us", i64::MAX),
        ];
        for (text, want) in cases {
            assert_eq!(GoDuration::parse(text).map(GoDuration::nanos), Ok(*want), "{text}");
        }
        for bad in [
            "",
            "-",
            "s",
            ".",
            "-.",
            ".s",
            "5",
            "5x",
            "1d",
            "3000000h",
            "9223372036854775808ns",
            "1m 30s",
            "0x1s",
            "1e3s",
        ] {
            assert!(GoDuration::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let cases: &[(i64, &str)] = &[
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
            (-5_000_000_000, "-5s"),
        ];
        for (nanos, want) in cases {
            assert_eq!(GoDuration(*nanos).to_string(), *want);
        }
    }
}
