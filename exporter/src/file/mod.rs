//! The `file` exporter: batches as OTLP/JSON lines or OTLP messages in a file. No queue and no retries, as in the
//! Collector: who hands over a batch learns whether it was written. Nothing is buffered, so that what is acknowledged
//! and counted as sent has been given to the operating system.

mod config;
mod writer;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use ::config::{Built, Node, decode, has_errors};
use bytes::Bytes;
use proto::{Batch, BoxFuture, BuildContext, otlp};

use crate::sender::{Sender, SenderSettings};
use crate::{Encoded, Encoder, Exporter, ExporterFactory, ExporterNode, Outcome, OutgoingRequest};
pub use config::{FileConfig, FileSettings, Format, GroupByConfig, Rotation, RotationConfig};
use writer::Writer;

/// The factory of `file`.
pub static FACTORY: ExporterFactory = ExporterFactory { kind: "file", build };

fn build(node: &Node, context: &BuildContext) -> Built<Box<dyn ExporterNode>> {
    let (config, mut found) = decode::<FileConfig>(node);
    let Some(config) = config else { return (None, found) };
    let mut problems = Vec::new();
    let settings = config.check(&mut problems);
    for problem in problems {
        // A key that is missing has no place of its own.
        found.push(if problem.path.is_empty() { problem.on(node) } else { problem });
    }
    if has_errors(&found) {
        return (None, found);
    }
    let mut sending = SenderSettings { timeout: None, ..SenderSettings::default() };
    sending.queue.enabled = false;
    sending.queue.num_consumers = 1;
    sending.retry.enabled = false;
    let exporter = FileExporter { settings, writer: Arc::default() };
    (Some(Box::new(Sender::new(exporter, sending, context))), found)
}

/// The file behind the sender; open from start to shutdown.
struct FileExporter {
    settings: FileSettings,
    writer: Arc<Mutex<Option<Writer>>>,
}

struct FileEncoder(Format);

/// A message as it goes into the file.
struct Message {
    bytes: Bytes,
    points: u64,
}

impl OutgoingRequest for Message {
    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }
    fn points(&self) -> u64 {
        self.points
    }
    fn lane(&self) -> Option<u64> {
        Some(0)
    }
}

impl Encoder for FileEncoder {
    type Request = Message;

    fn encode(&mut self, batch: &Batch, out: &mut Vec<Message>) -> Encoded {
        let points = batch.points() as u64;
        let mut bytes = Vec::new();
        if !self.0.proto {
            otlp::to_json(batch, &mut bytes);
        } else if let Some(raw) = &batch.meta.raw {
            bytes.extend_from_slice(raw);
        } else {
            otlp::encode(batch, &mut bytes);
        }
        match framed(self.0, bytes) {
            Ok(bytes) => out.push(Message { bytes: bytes.into(), points }),
            Err(reason) => return Encoded { kept: 0, dropped: vec![(reason.into(), points)] },
        }
        Encoded { kept: points, dropped: Vec::new() }
    }
}

/// JSON is a line; everything binary has its length in front, four bytes, big end first.
fn framed(format: Format, message: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    if !format.proto && !format.zstd {
        let mut line = message;
        line.push(b'\n');
        return Ok(line);
    }
    let message = match format.zstd {
        true => zstd::bulk::compress(&message, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(|_| "compression")?,
        false => message,
    };
    let length = u32::try_from(message.len()).map_err(|_| "message_too_large")?;
    let mut framed = Vec::with_capacity(message.len() + 4);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    Ok(framed)
}

impl Exporter for FileExporter {
    type Encoder = FileEncoder;

    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            *self.writer.lock().expect("no panic while locked") = Some(Writer::open(&self.settings)?);
            Ok(())
        })
    }

    fn encoder(&self) -> FileEncoder {
        FileEncoder(self.settings.format)
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Outcome> {
        let (writer, bytes) = (self.writer.clone(), message.bytes.clone());
        Box::pin(async move {
            let written = write(writer, bytes).await;
            match written {
                Ok(()) => Outcome::Delivered { rejected: Vec::new() },
                Err(error) => Outcome::Retry {
                    after: None,
                    code: None,
                    error: format!("cannot write {:?}: {error}", self.settings.path),
                },
            }
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { *self.writer.lock().expect("no panic while locked") = None })
    }
}

/// Writes on the blocking pool.
async fn write(writer: Arc<Mutex<Option<Writer>>>, message: Bytes) -> Result<(), String> {
    let written = tokio::task::spawn_blocking(move || match &mut *writer.lock().expect("no panic while locked") {
        Some(writer) => writer.write(&message, SystemTime::now()).map_err(|e| e.to_string()),
        None => Err("the file is closed".to_owned()),
    });
    written.await.map_err(|e| e.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn build_text(text: &str) -> (Option<Box<dyn ExporterNode>>, String) {
        let (node, _) = ::config::parse_yaml("test.yaml", text);
        let (exporter, found) = build(&node.unwrap(), &BuildContext::for_test("file"));
        (exporter, found.iter().map(|d| format!("{d}\n")).collect())
    }

    fn batch() -> Arc<Batch> {
        let json = br#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1","asInt":"7"}]}}]}]}]}"#;
        Arc::new(otlp::decode_json(json).unwrap())
    }

    async fn written(format: &str, batches: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let (exporter, problems) = build_text(&format!("path: {}\n{format}", path.display()));
        assert_eq!(problems, "");
        let exporter = exporter.unwrap();
        exporter.start().await.unwrap();
        for _ in 0..batches {
            exporter.export(batch()).await.unwrap();
        }
        exporter.shutdown(Duration::from_secs(5)).await;
        std::fs::read(path).unwrap()
    }

    /// Messages with their length in front.
    fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let (message, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            found.push(message.to_vec());
            bytes = rest;
        }
        found
    }

    #[tokio::test]
    async fn json_is_a_document_a_line() {
        let text = String::from_utf8(written("append: false", 2).await).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        let mut expected = Vec::new();
        otlp::to_json(&batch(), &mut expected);
        assert_eq!(lines[1].as_bytes(), expected);
    }

    #[tokio::test]
    async fn binary_messages_have_their_length_in_front() {
        let mut expected = Vec::new();
        otlp::encode(&batch(), &mut expected);
        assert_eq!(messages(&written("format: proto", 2).await), [expected.clone(), expected.clone()]);
        let compressed = messages(&written("format: proto\ncompression: zstd", 1).await);
        assert_eq!(zstd::bulk::decompress(&compressed[0], 1 << 20).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_batch_is_in_the_file_when_it_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let exporter = build_text(&format!("path: {}", path.display())).0.unwrap();
        exporter.start().await.unwrap();
        exporter.export(batch()).await.unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("}\n"));
    }

    #[tokio::test]
    async fn a_full_disk_is_told_to_the_caller_who_keeps_the_batch() {
        let context = BuildContext::for_test("file");
        let (node, _) = ::config::parse_yaml("test.yaml", "path: /dev/full");
        let exporter = build(&node.unwrap(), &context).0.unwrap();
        exporter.start().await.unwrap();
        let refusal = exporter.export(batch()).await.unwrap_err();
        assert!(refusal.to_string().contains("cannot write \"/dev/full\""), "{refusal}");
        let value = |name: &str| {
            let families = context.telemetry.families();
            let members = families.iter().filter(|family| family.name == name).flat_map(|family| &family.members);
            let counts = members.map(|(_, instrument)| match instrument {
                proto::telemetry::Instrument::Counter(counter) => counter.get(),
                other => panic!("{name} is {other:?}"),
            });
            counts.sum::<u64>()
        };
        let books = ["ecs_received", "ecs_dropped", "exporter_sent", "exporter_send_failed"];
        assert_eq!(books.map(|what| value(&format!("otelcol_{what}_metric_points"))), [0, 0, 0, 1]);
    }

    #[test]
    fn a_flush_interval_is_accepted_with_a_warning() {
        let (exporter, problems) = build_text("path: out\nflush_interval: 5s");
        assert!(exporter.is_some());
        assert!(problems.contains("flush_interval has no effect"), "{problems}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_stops_the_start() {
        let (exporter, _) = build_text("path: /nonexistent/folder/file");
        let error = exporter.unwrap().start().await.unwrap_err();
        assert!(error.contains("create_directory"), "{error}");
    }

    #[test]
    fn every_problem_is_named() {
        let (exporter, problems) = build_text(
            "append: true\nrotation: {max_backups: -1, localtime: true}\nformat: xml\nencoding: x\ncompression: gzip\n\
             flush_interval: 0s\ngroup_by: {enabled: true}\ndirectory_permissions: \"99\"\nsending_queue: {}",
        );
        assert!(exporter.is_none());
        for expected in [
            "path must be non-empty",
            "append and rotation enabled at the same time is not supported",
            "append and compression enabled at the same time is not supported",
            "max_backups must not be negative",
            "local time in file names is not available",
            "format type \"xml\" is not supported",
            "encoding extensions are not available",
            "compression \"gzip\" is not supported",
            "flush_interval must be larger than zero",
            "a file per resource attribute is not available",
            "directory_permissions \"99\" is no mode",
            "sending_queue",
        ] {
            assert!(problems.contains(expected), "{expected:?} is missing in\n{problems}");
        }
    }
}
