//! Compresses bodies for the targets, by the name of the encoding.

use std::io::Write;

/// The bytes compressed as a `Content-Encoding` names it.
pub(crate) fn packed(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    const WRITES: &str = "writing to memory does not fail";
    match encoding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(bytes).expect(WRITES);
            writer.finish().expect(WRITES)
        }
        "zlib" | "deflate" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(bytes).expect(WRITES);
            writer.finish().expect(WRITES)
        }
        "zstd" => zstd::encode_all(bytes, 1).expect(WRITES),
        "snappy" => snap::raw::Encoder::new().compress_vec(bytes).expect(WRITES),
        "x-snappy-framed" => {
            let mut writer = snap::write::FrameEncoder::new(Vec::new());
            writer.write_all(bytes).expect(WRITES);
            writer.into_inner().expect(WRITES)
        }
        "lz4" => {
            let mut writer = lz4_flex::frame::FrameEncoder::new(Vec::new());
            writer.write_all(bytes).expect(WRITES);
            writer.finish().expect(WRITES)
        }
        other => panic!("no encoding {other}"),
    }
}
