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
pub(crate) fn format_of(content_type: Option<&str>, fallback: Protocol) -> Format {
    let media_type = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/plain" => Format::Prometheus,
        "application/openmetrics-text" => Format::OpenMetrics,
        _ => fallback.format(),
    }
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
}
