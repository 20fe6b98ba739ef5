//! Requests as bytes that are sent again and again with another time, over HTTP/1 and as gRPC calls over HTTP/2, by a
//! client that allocates nothing for a request.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// What the receiver answers over HTTP to a request that it took.
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const METHOD: &[u8] = b"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// Bytes of a frame that every peer takes.
const FRAME_BYTES: usize = 16 << 10;
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A request and the connection that it goes over.
pub(crate) struct Wire {
    request: Vec<u8>,
    /// Places of the time.
    times: Vec<usize>,
    /// Places of the stream's number; none over HTTP/1.
    streams: Vec<usize>,
    stream: u32,
    connection: DuplexStream,
}

impl Wire {
    /// `time` is what the points of the body have.
    pub(crate) fn http(body: &[u8], time: u64, connection: DuplexStream) -> Wire {
        let head = "POST /v1/metrics HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";
        let request = [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        let times = places(&request, &time.to_le_bytes());
        Wire { request, times, streams: Vec::new(), stream: 0, connection }
    }

    /// As [`Wire::http`]; greets the other side first.
    pub(crate) async fn grpc(body: &[u8], time: u64, mut connection: DuplexStream) -> Wire {
        let mut greeting = PREFACE.to_vec();
        push_frame(&mut greeting, SETTINGS, 0, &[]);
        connection.write_all(&greeting).await.expect("the receiver reads");
        let (kind, _, _) = frame(&mut connection).await;
        assert_eq!(kind, SETTINGS);
        let mut confirmed = Vec::new();
        push_frame(&mut confirmed, SETTINGS, ACK, &[]);
        connection.write_all(&confirmed).await.expect("the receiver reads");
        let (request, streams) = call(body, time);
        let times = places(&request, &time.to_le_bytes());
        Wire { request, times, streams, stream: 1, connection }
    }

    /// How many times the request has.
    pub(crate) fn times(&self) -> usize {
        self.times.len()
    }

    /// Sends the request with this time and waits until it was taken.
    pub(crate) async fn send(&mut self, time_nano: u64) {
        for at in &self.times {
            self.request[*at..*at + 8].copy_from_slice(&time_nano.to_le_bytes());
        }
        for at in &self.streams {
            self.request[*at..*at + 4].copy_from_slice(&self.stream.to_be_bytes());
        }
        self.connection.write_all(&self.request).await.expect("the receiver reads");
        if self.streams.is_empty() {
            return self.http_answer().await;
        }
        // A call that was taken has a message in its answer; one that was not has none.
        let mut messages = 0;
        loop {
            let (kind, flags, length) = frame(&mut self.connection).await;
            messages += usize::from(kind == DATA && length > 0);
            if kind == HEADERS && flags & END_STREAM != 0 {
                break;
            }
        }
        assert_eq!(messages, 1, "the call was refused");
        self.stream += 2;
    }

    async fn http_answer(&mut self) {
        let mut answer = [0; 1024];
        let length = self.connection.read(&mut answer).await.expect("the receiver answers");
        let is_whole = answer[..length].ends_with(b"\r\n\r\n\n\0");
        assert!(answer.starts_with(TAKEN) && is_whole, "{}", String::from_utf8_lossy(&answer[..length]));
    }
}

/// Reads a frame: its type, flags and length.
async fn frame(connection: &mut DuplexStream) -> (u8, u8, usize) {
    let (mut head, mut payload) = ([0; HEAD_BYTES], [0; 1024]);
    connection.read_exact(&mut head).await.expect("the receiver answers");
    let length = usize::from(head[1]) << 8 | usize::from(head[2]);
    connection.read_exact(&mut payload[..length]).await.expect("the receiver answers");
    (head[3], head[4], length)
}

/// The frames of a call, and where they have the number of the stream. No frame ends within a time.
fn call(body: &[u8], time: u64) -> (Vec<u8>, Vec<usize>) {
    let mut message = vec![0];
    message.extend(u32::try_from(body.len()).expect("payloads are small").to_be_bytes());
    message.extend(body);
    let times = places(&message, &time.to_le_bytes());
    let (mut frames, mut streams) = (Vec::new(), Vec::new());
    // POST and http of the static table, then literals that no table keeps.
    let mut headers = b"\x83\x86".to_vec();
    for (name, value) in
        [(&b":path"[..], METHOD), (b":authority", b"a"), (b"content-type", b"application/grpc"), (b"te", b"trailers")]
    {
        headers.push(0);
        for text in [name, value] {
            headers.push(u8::try_from(text.len()).expect("header texts are short"));
            headers.extend(text);
        }
    }
    streams.push(push_frame(&mut frames, HEADERS, END_HEADERS, &headers));
    let mut start = 0;
    while start < message.len() {
        let full = message.len().min(start + FRAME_BYTES);
        let end = times.iter().copied().find(|at| *at < full && full < at + 8).unwrap_or(full);
        let flags = if end == message.len() { END_STREAM } else { 0 };
        streams.push(push_frame(&mut frames, DATA, flags, &message[start..end]));
        start = end;
    }
    (frames, streams)
}

/// Adds a frame of stream 0; gives the place of that number.
fn push_frame(frames: &mut Vec<u8>, kind: u8, flags: u8, payload: &[u8]) -> usize {
    let length = u32::try_from(payload.len()).expect("frames are short").to_be_bytes();
    frames.extend([length[1], length[2], length[3], kind, flags]);
    let place = frames.len();
    frames.extend([0; 4]);
    frames.extend(payload);
    place
}

fn places(bytes: &[u8], pattern: &[u8]) -> Vec<usize> {
    (0..bytes.len() - pattern.len()).filter(|at| bytes[*at..].starts_with(pattern)).collect()
}
