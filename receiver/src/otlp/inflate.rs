//! Compressed bodies: which encodings there are, and inflating one into a bounded buffer.
//!
//! The bound holds while inflating: a bomb costs what the limit allows and no more.

use std::io::{self, Read};

/// A way in which a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `gzip`, also several members in a row.
    Gzip,
    /// `zlib` and, over HTTP, `deflate`: a zlib stream in both cases.
    Zlib,
    /// `zstd`.
    Zstd,
    /// `snappy` over HTTP: one block without framing.
    SnappyBlock,
    /// `x-snappy-framed` over HTTP, `snappy` over gRPC.
    SnappyFramed,
    /// `lz4`: the frame format.
    Lz4,
}

/// Why a body could not be inflated.
#[derive(Debug)]
pub enum InflateError {
    /// More bytes than the limit came out.
    TooLarge,
    /// Not a stream of that encoding.
    Broken(io::Error),
}

impl Encoding {
    /// By a value of `Content-Encoding`.
    pub fn of_http(name: &str) -> Option<Encoding> {
        Some(match name {
            "gzip" => Encoding::Gzip,
            "zlib" | "deflate" => Encoding::Zlib,
            "zstd" => Encoding::Zstd,
            "snappy" => Encoding::SnappyBlock,
            "x-snappy-framed" => Encoding::SnappyFramed,
            "lz4" => Encoding::Lz4,
            _ => return None,
        })
    }

    /// By a value of `grpc-encoding`.
    pub fn of_grpc(name: &str) -> Option<Encoding> {
        Some(match name {
            "gzip" => Encoding::Gzip,
            "zstd" => Encoding::Zstd,
            "snappy" => Encoding::SnappyFramed,
            _ => return None,
        })
    }

    /// Inflates a whole body into at most `limit` bytes.
    pub fn inflate(self, body: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
        match self {
            Encoding::Gzip => read(flate2::bufread::MultiGzDecoder::new(body), body.len(), limit),
            Encoding::Zlib => read(flate2::bufread::ZlibDecoder::new(body), body.len(), limit),
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(InflateError::Broken)?;
                // A frame announces how far it looks back, and that much is set aside for it. No body looks back
                // further than its own length, but encoders that do not know the length announce up to 8 MiB.
                let window = usize::BITS - limit.leading_zeros();
                decoder.window_log_max(window.clamp(23, 31)).map_err(InflateError::Broken)?;
                read(decoder, body.len(), limit)
            }
            Encoding::SnappyBlock => {
                let broken = |e: snap::Error| InflateError::Broken(e.into());
                if snap::raw::decompress_len(body).map_err(broken)? > limit {
                    return Err(InflateError::TooLarge);
                }
                snap::raw::Decoder::new().decompress_vec(body).map_err(broken)
            }
            Encoding::SnappyFramed => read(snap::read::FrameDecoder::new(body), body.len(), limit),
            Encoding::Lz4 => read(lz4_flex::frame::FrameDecoder::new(body), body.len(), limit),
        }
    }
}

fn read(decoder: impl Read, wire_bytes: usize, limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::with_capacity(wire_bytes.saturating_mul(4).min(limit));
    decoder.take(limit as u64 + 1).read_to_end(&mut out).map_err(InflateError::Broken)?;
    if out.len() > limit { Err(InflateError::TooLarge) } else { Ok(out) }
}
