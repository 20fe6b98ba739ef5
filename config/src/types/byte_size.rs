//! Sizes in bytes as Prometheus' `body_size_limit` has them.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A size in bytes: `0`, or numbers with a unit, where `MB` and `MiB` both mean 2^20.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const UNITS: &[(&str, u32)] = &[("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl ByteSize {
    /// A size of bytes.
    pub const fn from_bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads `10MB`, `1.5GiB`, `0`. A bare number other than 0 is an error; `kB` is none of the units.
    pub fn parse(text: &str) -> Result<ByteSize, String> {
        if text.is_empty() {
            return Err("units: empty size".to_owned());
        }
        if text == "0" {
            return Ok(ByteSize(0));
        }
        let mut rest = text;
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let number = &rest[..rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count()];
            rest = &rest[number.len()..];
            let unit = &rest[..rest.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count()];
            rest = &rest[unit.len()..];
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
                return Err(format!("units: invalid {text}"));
            }
            let Some((_, shift)) = UNITS.iter().find(|(name, _)| {
                *name == unit || (unit.len() == 2 && name.len() == 3 && name.replace('i', "") == unit)
            }) else {
                return Err(format!("units: unknown unit {unit} in {text}"));
            };
            let whole: u64 =
                if whole.is_empty() { 0 } else { whole.parse().map_err(|_| format!("units: invalid {text}"))? };
            total += u128::from(whole) << shift;
            let digits = &fraction[..fraction.len().min(18)];
            if !digits.is_empty() {
                let value: u128 = digits.parse().map_err(|_| format!("units: invalid {text}"))?;
                total += (value << shift) / 10u128.pow(u32::try_from(digits.len()).unwrap_or(18));
            }
            if total > i64::MAX as u128 {
                return Err(format!("units: {text} is too large"));
            }
        }
        Ok(ByteSize(u64::try_from(total).unwrap_or(u64::MAX)))
    }
}

/// The largest unit that divides it: `10MiB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        let (unit, shift) = UNITS
            .iter()
            .find(|(_, shift)| self.0.trailing_zeros() >= *shift && self.0 >> shift > 0)
            .unwrap_or(&("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 10MiB")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).map_err(|why| E::custom(format!("{why}; write for example 512KiB or 10MiB")))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<ByteSize, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<ByteSize, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_unit<E: de::Error>(self) -> Result<ByteSize, E> {
                Ok(ByteSize(0))
            }
        }
        deserializer.deserialize_any(V)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_base_two_and_need_a_unit() {
        for (text, want) in [
            ("0", 0),
            ("10MB", 10 << 20),
            ("10MiB", 10 << 20),
            ("1KB", 1024),
            ("1.5KiB", 1536),
            ("1GB1MB", (1 << 30) + (1 << 20)),
            ("7B", 7),
        ] {
            assert_eq!(ByteSize::parse(text).map(ByteSize::bytes), Ok(want), "{text}");
        }
        assert_eq!(ByteSize::parse("100"), Err("units: unknown unit  in 100".to_owned()));
        for bad in ["", "100", "1kB", "1mb", "MB", "1..5MB", "99999999EB", "-1MB", "1 MB"] {
            assert!(ByteSize::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(ByteSize::from_bytes(10 << 20).to_string(), "10MiB");
        assert_eq!(ByteSize::from_bytes(1025).to_string(), "1025B");
    }
}
