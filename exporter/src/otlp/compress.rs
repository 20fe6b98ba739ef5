//! Compression of request bodies, once, when a batch is encoded; and inflating of answers over gRPC.

use std::io::{self, Read, Write};

use flate2::Compression as Level;

/// How bodies are compressed and what the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compression {
    kind: Kind,
    level: i64,
    /// Value of `content-encoding` or `grpc-encoding`; empty: none.
    pub(crate) name: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    Gzip,
    Zlib,
    Zstd,
    Snappy,
    FramedSnappy,
    Lz4,
}

impl Compression {
    pub(crate) fn none() -> Compression {
        Compression { kind: Kind::None, level: 0, name: "" }
    }

    /// Names of the HTTP client.
    pub(crate) fn http(name: &str, level: i64) -> Option<Compression> {
        let (kind, name) = match name {
            "" | "none" => (Kind::None, ""),
            "gzip" => (Kind::Gzip, "gzip"),
            "zlib" => (Kind::Zlib, "zlib"),
            "deflate" => (Kind::Zlib, "deflate"),
            "zstd" => (Kind::Zstd, "zstd"),
            "snappy" => (Kind::Snappy, "snappy"),
            "x-snappy-framed" => (Kind::FramedSnappy, "x-snappy-framed"),
            "lz4" => (Kind::Lz4, "lz4"),
            _ => return None,
        };
        Some(Compression { kind, level, name })
    }

    /// Names of the gRPC client.
    pub(crate) fn grpc(name: &str, level: i64) -> Option<Compression> {
        match name {
            "" | "none" | "gzip" | "zstd" => Compression::http(name, level),
            "snappy" => Some(Compression { kind: Kind::FramedSnappy, level, name: "snappy" }),
            _ => None,
        }
    }

    /// Whether this compression has the level.
    pub(crate) fn takes_level(self, level: i64) -> bool {
        match self.kind {
            Kind::Gzip | Kind::Zlib => (0..=9).contains(&level),
            Kind::Zstd => (1..=22).contains(&level),
            _ => false,
        }
    }

    /// The body as it is sent.
    pub(crate) fn compress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let level = match self.level {
            0 => Level::default(),
            level => Level::new(u32::try_from(level).unwrap_or(6).min(9)),
        };
        let space = Vec::with_capacity(body.len() / 4);
        match self.kind {
            Kind::None => Ok(body.to_vec()),
            Kind::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(space, level);
                encoder.write_all(body)?;
                encoder.finish()
            }
            Kind::Zlib => {
                let mut encoder = flate2::write::ZlibEncoder::new(space, level);
                encoder.write_all(body)?;
                encoder.finish()
            }
            Kind::Zstd => zstd::bulk::compress(body, i32::try_from(self.level).unwrap_or(0)),
            Kind::Snappy => snap::raw::Encoder::new().compress_vec(body).map_err(io::Error::other),
            Kind::FramedSnappy => {
                let mut encoder = snap::write::FrameEncoder::new(space);
                encoder.write_all(body)?;
                encoder.into_inner().map_err(|e| io::Error::other(e.to_string()))
            }
            Kind::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(space);
                encoder.write_all(body)?;
                encoder.finish().map_err(io::Error::other)
            }
        }
    }
}

/// How answers over gRPC may be compressed: what [`inflate`] knows.
pub(super) const GRPC_ACCEPTED: &str = "gzip,zstd,snappy";

/// A compressed message of gRPC, inflated; an error when it is larger than `limit`.
pub(super) fn inflate(encoding: &str, message: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let reader: Box<dyn Read + '_> = match encoding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(message)),
        "zstd" => Box::new(zstd::Decoder::new(message)?),
        "snappy" => Box::new(snap::read::FrameDecoder::new(message)),
        _ => return Err(io::Error::other("unknown compression")),
    };
    let mut out = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut out)?;
    if out.len() > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(out)
}
