//! Durations in Prometheus' syntax: whole numbers with units from years to milliseconds, largest first.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A duration as Prometheus' configuration has it (`30s`, `1m30s`, `1d`, `0`), in milliseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromDuration(u64);

const UNITS: &[(&str, u64)] = &[
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Go keeps it in nanoseconds of 63 bits.
const MAX_MS: u64 = i64::MAX as u64 / 1_000_000;

impl PromDuration {
    /// A duration of milliseconds.
    pub const fn from_millis(millis: u64) -> PromDuration {
        PromDuration(millis)
    }

    /// A duration of seconds.
    pub const fn from_secs(secs: u64) -> PromDuration {
        PromDuration(secs * 1_000)
    }

    /// Milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// As a standard duration.
    pub const fn to_std(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Reads Prometheus' syntax: each unit at most once, in descending order. The error is Prometheus' sentence.
    pub fn parse(text: &str) -> Result<PromDuration, String> {
        match text {
            "0" => return Ok(PromDuration(0)),
            "" => return Err("empty duration string".to_owned()),
            _ => {}
        }
        let invalid = || format!("not a valid duration string: {text:?}");
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let count = &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()];
            rest = &rest[count.len()..];
            let unit = &rest[..rest.bytes().take_while(u8::is_ascii_alphabetic).count()];
            rest = &rest[unit.len()..];
            let Some((_, ms)) = units.find(|(name, _)| *name == unit).filter(|_| !count.is_empty()) else {
                return Err(invalid());
            };
            let part = count.parse::<u64>().ok().and_then(|count| count.checked_mul(*ms));
            total = part
                .and_then(|part| total.checked_add(part))
                .filter(|ms| *ms <= MAX_MS)
                .ok_or("duration out of range")?;
        }
        Ok(PromDuration(total))
    }
}

/// Prometheus' form: `1m30s`, `1d`, `0s`.
impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ms = self.0;
        if ms == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            // Years and weeks only when nothing is left over, as `1d` says more than `0.14w`.
            let whole_only = matches!(*unit, "y" | "w");
            if ms >= *size && (!whole_only || ms.is_multiple_of(*size)) {
                write!(f, "{}{unit}", ms / size)?;
                ms %= size;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PromDuration, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = PromDuration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 30s, 1m30s or 1d")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<PromDuration, E> {
                PromDuration::parse(text).map_err(|why| match text.parse::<u64>() {
                    Ok(_) => E::custom(format!("{why}; write {text}s for {text} seconds")),
                    Err(_) => E::custom(format!("{why}; write for example 30s, 1m30s or 1d, in whole numbers")),
                })
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<PromDuration, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<PromDuration, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<PromDuration, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_unit<E: de::Error>(self) -> Result<PromDuration, E> {
                Ok(PromDuration(0))
            }
        }
        deserializer.deserialize_any(V)
    }
}

impl Serialize for PromDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_does() {
        let cases: &[(&str, u64, &str)] = &[
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("30s", 30_000, "30s"),
            ("1m30s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1d", 86_400_000, "1d"),
            ("3w", 1_814_400_000, "3w"),
            ("10d", 864_000_000, "10d"),
            ("1y", 31_536_000_000, "1y"),
            ("4d1h", 349_200_000, "4d1h"),
            ("324ms", 324, "324ms"),
            ("90s", 90_000, "1m30s"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "382d4h5m6s7ms"),
        ];
        for (text, ms, written) in cases {
            let duration = PromDuration::parse(text).unwrap();
            assert_eq!((duration.millis(), duration.to_string().as_str()), (*ms, *written), "{text}");
        }
        for bad in
            ["", "1", "1.5s", "s", "30s1m", "1s1s", "-1s", " 1s", "1S", "1000000y", "99999999999999999999s", "1sec"]
        {
            assert!(PromDuration::parse(bad).is_err(), "{bad}");
        }
    }
}
