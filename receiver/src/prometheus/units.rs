//! Words of Prometheus units in the form OTLP wants (UCUM). Knows no metric names.

/// The OTLP unit for a Prometheus `# UNIT`: `seconds` is `s`, `bytes_per_second` is `By/s`; unknown words stay.
pub(crate) fn otlp_unit(unit: &str) -> String {
    match unit.split_once("_per_") {
        Some((amount, per)) => format!("{}/{}", amount_word(amount), per_word(per)),
        None => amount_word(unit).to_owned(),
    }
}

fn amount_word(word: &str) -> &str {
    match word {
        "days" => "d",
        "hours" => "h",
        "minutes" => "min",
        "seconds" => "s",
        "milliseconds" => "ms",
        "microseconds" => "us",
        "nanoseconds" => "ns",
        "bytes" => "By",
        "kibibytes" => "KiBy",
        "mebibytes" => "MiBy",
        "gibibytes" => "GiBy",
        "tibibytes" => "TiBy",
        "kilobytes" => "KBy",
        "megabytes" => "MBy",
        "gigabytes" => "GBy",
        "terabytes" => "TBy",
        "meters" => "m",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "watts" => "W",
        "grams" => "g",
        "celsius" => "Cel",
        "hertz" => "Hz",
        "ratio" => "1",
        "percent" => "%",
        other => other,
    }
}

fn per_word(word: &str) -> &str {
    match word {
        "second" => "s",
        "minute" => "m",
        "hour" => "h",
        "day" => "d",
        "week" => "w",
        "month" => "mo",
        "year" => "y",
        other => other,
    }
}

/// The emitted name without its unit and type: for a sum a last `total` goes, then the words of the unit if something
/// remains. Names without `_` stay.
pub(crate) fn trim_suffixes<'a>(name: &'a str, is_sum: bool, prometheus_unit: &str) -> &'a str {
    let mut kept = name;
    if is_sum && let Some(rest) = kept.strip_suffix("_total") {
        kept = rest;
    }
    if prometheus_unit.is_empty() {
        return if kept.is_empty() { name } else { kept };
    }
    match kept.strip_suffix(prometheus_unit).and_then(|rest| rest.strip_suffix('_')) {
        Some(rest) if !rest.is_empty() => rest,
        _ if kept.is_empty() => name,
        _ => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_translated_word_by_word() {
        let table = [
            ("seconds", "s"),
            ("bytes", "By"),
            ("celsius", "Cel"),
            ("ratio", "1"),
            ("bytes_per_second", "By/s"),
            ("furlongs", "furlongs"),
            ("furlongs_per_fortnight", "furlongs/fortnight"),
            ("", ""),
        ];
        for (prometheus, otlp) in table {
            assert_eq!(otlp_unit(prometheus), otlp, "{prometheus}");
        }
    }

    #[test]
    fn suffixes_are_trimmed_only_while_a_name_remains() {
        let table = [
            ("foo_seconds_total", true, "seconds", "foo"),
            ("foo_seconds_total", false, "seconds", "foo_seconds_total"),
            ("foo_bytes", false, "", "foo_bytes"),
            ("foo_bytes", false, "bytes", "foo"),
            ("seconds", false, "seconds", "seconds"),
            ("_total", true, "", "_total"),
            ("foo_", false, "", "foo_"),
            ("foo_bytes_per_second", false, "bytes_per_second", "foo"),
        ];
        for (name, is_sum, unit, trimmed) in table {
            assert_eq!(trim_suffixes(name, is_sum, unit), trimmed, "{name}");
        }
    }
}
