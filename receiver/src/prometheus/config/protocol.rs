//! The formats that a scrape asks for, and how names that are not plain identifiers are treated.

use config::{Diagnostic, Spanned};

use crate::prometheus::labels::ValidationScheme;
use crate::prometheus::text::Format;

/// A value of `scrape_protocols`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `OpenMetricsText1.0.0`
    OpenMetrics1,
    /// `OpenMetricsText0.0.1`
    OpenMetrics0,
    /// `PrometheusText1.0.0`
    Text1,
    /// `PrometheusText0.0.4`
    Text0,
}

/// What is asked for when nothing is configured.
pub(crate) const DEFAULT_PROTOCOLS: [Protocol; 4] =
    [Protocol::OpenMetrics1, Protocol::OpenMetrics0, Protocol::Text1, Protocol::Text0];

/// Prometheus knows five protocols; the first gets this weight plus one tenth less than one more (0.6).
const KNOWN_PROTOCOLS: usize = 5;

impl Protocol {
    /// The grammar of its bodies.
    pub(crate) fn format(self) -> Format {
        match self {
            Protocol::OpenMetrics1 | Protocol::OpenMetrics0 => Format::OpenMetrics,
            Protocol::Text1 | Protocol::Text0 => Format::Prometheus,
        }
    }

    fn media_range(self) -> &'static str {
        match self {
            Protocol::OpenMetrics1 => "application/openmetrics-text;version=1.0.0",
            Protocol::OpenMetrics0 => "application/openmetrics-text;version=0.0.1",
            Protocol::Text1 => "text/plain;version=1.0.0",
            Protocol::Text0 => "text/plain;version=0.0.4",
        }
    }

    fn parse(text: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Option<Protocol> {
        match text.as_str() {
            "OpenMetricsText1.0.0" => Some(Protocol::OpenMetrics1),
            "OpenMetricsText0.0.1" => Some(Protocol::OpenMetrics0),
            "PrometheusText1.0.0" => Some(Protocol::Text1),
            "PrometheusText0.0.4" => Some(Protocol::Text0),
            "PrometheusProto" => {
                found.push(
                    text.error("scrape protocol PrometheusProto is not supported")
                        .help("targets that speak it also speak PrometheusText0.0.4; remove it from the list"),
                );
                None
            }
            other => {
                found.push(text.error(format!("unknown scrape protocol {other}")).help(
                    "supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusText0.0.4 PrometheusText1.0.0]",
                ));
                None
            }
        }
    }

    /// Reads `scrape_protocols`.
    pub(super) fn parse_list(list: &Spanned<Vec<Spanned<String>>>, found: &mut Vec<Diagnostic>) -> Vec<Protocol> {
        if list.is_empty() {
            found.push(list.error("scrape_protocols cannot be empty"));
        }
        let mut protocols = Vec::new();
        for text in &list.value {
            match Protocol::parse(text, found) {
                Some(protocol) if protocols.contains(&protocol) => {
                    found.push(text.error(format!("duplicated protocol in scrape_protocols, got {}", text.value)));
                }
                Some(protocol) => protocols.push(protocol),
                None => {}
            }
        }
        protocols
    }

    /// Reads `fallback_scrape_protocol`.
    pub(super) fn parse_fallback(text: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Protocol {
        if text.is_empty() { Protocol::Text0 } else { Protocol::parse(text, found).unwrap_or(Protocol::Text0) }
    }
}

/// The `Accept` header: protocols in order with falling weights, then anything.
pub(crate) fn accept_header(protocols: &[Protocol], escaping: Escaping) -> String {
    let mut out = String::new();
    let mut weight = KNOWN_PROTOCOLS + 1;
    for protocol in protocols {
        out.push_str(protocol.media_range());
        if matches!(protocol, Protocol::OpenMetrics1 | Protocol::Text1) {
            out.push_str(";escaping=");
            out.push_str(escaping.as_str());
        }
        out.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    out + &format!("*/*;q=0.{weight}")
}

/// The grammar of an answer by the media type of its `Content-Type`; the fallback for all that says nothing useful.
/// `None` for protobuf, which is not read.
pub(crate) fn format_of(content_type: Option<&str>, fallback: Protocol) -> Option<Format> {
    match content_type.and_then(media_type).as_deref() {
        Some("text/plain") => Some(Format::Prometheus),
        Some("application/openmetrics-text") => Some(Format::OpenMetrics),
        Some("application/vnd.google.protobuf") => None,
        _ => Some(fallback.format()),
    }
}

/// The media type in lower case; `None` when something in the header, parameters included, is malformed for Go's
/// `mime.ParseMediaType`.
fn media_type(header: &str) -> Option<String> {
    let (media_type, mut rest) = header.split_at(header.find(';').unwrap_or(header.len()));
    let media_type = media_type.trim().to_ascii_lowercase();
    let (kind, subtype) = media_type.split_once('/')?;
    if token_len(kind) != kind.len() || token_len(subtype) != subtype.len() || kind.is_empty() || subtype.is_empty() {
        return None;
    }
    let mut seen: Vec<(String, &str)> = Vec::new();
    while !rest.trim_start().is_empty() {
        let Some((name, value, after)) = media_parameter(rest.trim_start()) else {
            return (rest.trim() == ";").then_some(media_type);
        };
        if seen.iter().any(|(other, text)| *other == name && *text != value) {
            return None;
        }
        seen.push((name, value));
        rest = after;
    }
    Some(media_type)
}

/// Name and value of `; name=value` or `; name="value"`, and what follows.
fn media_parameter(text: &str) -> Option<(String, &str, &str)> {
    let text = text.strip_prefix(';')?.trim_start();
    let (name, text) = text.split_at(token_len(text));
    let text = text.trim_start().strip_prefix('=')?.trim_start();
    let (value, text) = match text.strip_prefix('"') {
        Some(quoted) => {
            let mut is_escaped = false;
            let end = quoted.find(|c| {
                let is_end = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                is_end
            })?;
            (&quoted[..end], &quoted[end + 1..])
        }
        None => Some(text.split_at(token_len(text))).filter(|(token, _)| !token.is_empty())?,
    };
    (!name.is_empty()).then(|| (name.to_ascii_lowercase(), value, text))
}

/// Length of the token (RFC 2045) at the beginning.
fn token_len(text: &str) -> usize {
    let is_token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b);
    text.bytes().position(|b| !is_token(b)).unwrap_or(text.len())
}

/// Reads `metric_name_validation_scheme`; empty is none.
pub(super) fn validation(text: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Option<ValidationScheme> {
    match text.as_str() {
        "" => None,
        "utf8" => Some(ValidationScheme::Utf8),
        "legacy" => Some(ValidationScheme::Legacy),
        other => {
            let message = format!("invalid metric name validation scheme {other:?}");
            found.push(text.error(message).help("write utf8 or legacy"));
            None
        }
    }
}

/// `metric_name_escaping_scheme`: how targets are asked to write names that are no identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// As they are.
    AllowUtf8,
    /// `_` for each other character.
    Underscores,
    /// Reversible, with `_dot_`.
    Dots,
    /// Reversible, with code points.
    Values,
}

impl Escaping {
    /// Reads the key; empty is none.
    pub(super) fn parse(text: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Option<Escaping> {
        match text.as_str() {
            "" => None,
            "allow-utf-8" => Some(Escaping::AllowUtf8),
            "underscores" => Some(Escaping::Underscores),
            "dots" => Some(Escaping::Dots),
            "values" => Some(Escaping::Values),
            other => {
                let message = format!("unknown metric name escaping scheme {other:?}");
                found.push(text.error(message).help("write allow-utf-8, underscores, dots or values"));
                None
            }
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_accept_header_is_that_of_the_reference() {
        assert_eq!(
            accept_header(&DEFAULT_PROTOCOLS, Escaping::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(accept_header(&[Protocol::Text0], Escaping::Dots), "text/plain;version=0.0.4;q=0.6,*/*;q=0.5");
    }

    #[test]
    fn an_answer_is_read_as_it_says_unless_it_says_it_badly() {
        let open_metrics = "application/openmetrics-text";
        for (header, expected) in [
            (open_metrics.to_owned(), Format::OpenMetrics),
            (format!("{open_metrics}; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
            (format!(" {} ;version=\"1.0.0\";", open_metrics.to_uppercase()), Format::OpenMetrics),
            (format!("{open_metrics};escaping=\"a\\\"b\";version=1;version=1"), Format::OpenMetrics),
            (format!("{open_metrics}; version"), Format::Prometheus),
            (format!("{open_metrics}; version="), Format::Prometheus),
            (format!("{open_metrics}; version=1, text/plain"), Format::Prometheus),
            (format!("{open_metrics}; version=1; version=2"), Format::Prometheus),
            (format!("{open_metrics}; version=\"1"), Format::Prometheus),
            (format!("{open_metrics} 1.0"), Format::Prometheus),
            (";;".to_owned(), Format::Prometheus),
            (String::new(), Format::Prometheus),
        ] {
            assert_eq!(format_of(Some(&header), Protocol::Text0), Some(expected), "{header}");
        }
        assert_eq!(format_of(Some("text/plain; version=0.0.4"), Protocol::OpenMetrics1), Some(Format::Prometheus));
        assert_eq!(format_of(Some("application/vnd.google.protobuf; encoding=delimited"), Protocol::Text0), None);
        for other in [None, Some("text/html"), Some("text"), Some("text/plain; version")] {
            assert_eq!(format_of(other, Protocol::OpenMetrics1), Some(Format::OpenMetrics), "{other:?}");
        }
    }
}
