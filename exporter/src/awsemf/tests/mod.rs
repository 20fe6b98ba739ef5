//! Tests of the whole translation: configuration and OTLP/JSON in, events out.

mod agent_layout;
mod canon;
mod conformance;
mod limits;
mod random;
mod requests;
mod shapes;
mod vectors;
mod vectors_config;
mod vectors_documents;
mod vectors_points;

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::{Batch, BuildContext, Counter};

use super::translator::Now;
use super::{AwsEmfConfig, EventRef, EventSink, Form, Translator};

/// Time of all test data, Unix milliseconds.
pub(super) const T0_MS: i64 = 1_700_000_000_000;
/// The wall clock of the tests.
pub(super) const NOW_MS: i64 = T0_MS + 1_000_000_000;

/// An event that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) group: String,
    pub(super) stream: String,
    pub(super) timestamp_ms: i64,
    pub(super) text: String,
    pub(super) points: u32,
}

/// Takes everything, and the quotes off what comes escaped.
#[derive(Default)]
pub(super) struct Collected(pub(super) Vec<Event>);

impl EventSink for Collected {
    fn event(&mut self, event: EventRef<'_>) -> Result<(), &'static str> {
        self.0.push(Event {
            group: event.destination.group.to_string(),
            stream: event.destination.stream.to_string(),
            timestamp_ms: event.timestamp_ms,
            text: plain(event),
            points: event.points,
        });
        Ok(())
    }
}

/// The document itself: only what is escaped starts with `{\"`.
fn plain(event: EventRef<'_>) -> String {
    let text = std::str::from_utf8(event.document).unwrap();
    let text =
        if text.starts_with("{\\") { serde_json::from_str(&format!("\"{text}\"")).unwrap() } else { text.to_owned() };
    assert_eq!(text.len(), event.plain_len);
    text
}

/// A translator for a section in YAML (or JSON), or its problems as text.
pub(super) fn translator(yaml: &str) -> Result<Translator, String> {
    translator_in(yaml, Form::Plain)
}

/// As [`translator`], for documents of this form.
pub(super) fn translator_in(yaml: &str, form: Form) -> Result<Translator, String> {
    let (config, mut found) = config::decode_str::<AwsEmfConfig>(yaml);
    let settings = config.and_then(|config| {
        let (settings, more) = config.check(&BuildContext::for_test("awsemf"));
        found.extend(more);
        settings
    });
    match settings {
        Some(settings) if !config::has_errors(&found) => {
            Ok(Translator::new(Arc::new(settings), "awsemf", Counter::default(), form))
        }
        _ => Err(found.iter().map(|problem| format!("{problem}\n")).collect()),
    }
}

/// Translates at a second since the start; every point has to be accounted for.
pub(super) fn events_at(
    translator: &mut Translator,
    batch: &Batch,
    seconds: u32,
) -> (Vec<Event>, BTreeMap<String, u64>) {
    let mut sink = Collected::default();
    let encoded = translator.translate_at(batch, Now { unix_ms: NOW_MS, seconds }, &mut sink);
    let written: u64 = sink.0.iter().map(|event| u64::from(event.points)).sum();
    assert_eq!(written, encoded.kept);
    let dropped: u64 = encoded.dropped.iter().map(|(_, points)| points).sum();
    assert_eq!(encoded.kept + dropped, batch.points() as u64, "received = written + dropped: {encoded:?}");
    (sink.0, encoded.dropped.into_iter().map(|(reason, points)| (reason.into_owned(), points)).collect())
}

/// Translates an OTLP/JSON request.
pub(super) fn events(translator: &mut Translator, request: &str) -> (Vec<Event>, BTreeMap<String, u64>) {
    let batch = proto::otlp::decode_json(request.as_bytes()).unwrap();
    events_at(translator, &batch, 0)
}
