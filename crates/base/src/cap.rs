//! Size caps. Every decompression and every read of an outside body goes through here, so that a bomb
//! costs at most its cap.

use std::io::Read;

use thiserror::Error;

use crate::Kind;

#[derive(Debug, Error)]
pub enum CapError {
    #[error("{what} expands to more than the limit of {limit} bytes")]
    TooLarge { what: &'static str, limit: usize },
    #[error("{what} is not valid: {reason}")]
    Malformed { what: &'static str, reason: String },
    #[error("content encoding {0:?} is not supported, use gzip, zstd, snappy, deflate or identity")]
    UnknownEncoding(String),
}

impl CapError {
    pub fn kind(&self) -> Kind {
        match self {
            CapError::TooLarge { .. } => Kind::Limited,
            CapError::Malformed { .. } | CapError::UnknownEncoding(_) => Kind::Invalid,
        }
    }
}

/// How a body is packed on the wire (`Content-Encoding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
    /// Snappy block format, as remote write and Loki use it (not the framed one).
    Snappy,
}

impl Encoding {
    /// Reads a `Content-Encoding` value; empty means identity.
    pub fn parse(value: &str) -> Result<Self, CapError> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Ok(Encoding::Identity),
            "gzip" | "x-gzip" => Ok(Encoding::Gzip),
            "deflate" => Ok(Encoding::Deflate),
            "zstd" => Ok(Encoding::Zstd),
            "snappy" => Ok(Encoding::Snappy),
            other => Err(CapError::UnknownEncoding(other.chars().take(64).collect())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "body",
            Encoding::Gzip => "gzip body",
            Encoding::Deflate => "deflate body",
            Encoding::Zstd => "zstd body",
            Encoding::Snappy => "snappy body",
        }
    }
}

/// Unpacks `body`, never holding more than `limit` bytes of output.
pub fn unpack(encoding: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, CapError> {
    let what = encoding.name();
    match encoding {
        Encoding::Identity if body.len() > limit => Err(CapError::TooLarge { what, limit }),
        Encoding::Identity => Ok(body.to_vec()),
        Encoding::Gzip => read_capped(flate2::read::MultiGzDecoder::new(body), limit, what),
        Encoding::Deflate => read_capped(flate2::read::ZlibDecoder::new(body), limit, what),
        Encoding::Zstd => match zstd::stream::read::Decoder::with_buffer(body) {
            Ok(mut d) => {
                // A frame may ask for a window of its own choosing; 8 MiB is what encoders use by default.
                let _ = d.window_log_max(23);
                read_capped(d, limit, what)
            }
            Err(e) => Err(CapError::Malformed { what, reason: e.to_string() }),
        },
        Encoding::Snappy => {
            let n = snap::raw::decompress_len(body)
                .map_err(|e| CapError::Malformed { what, reason: e.to_string() })?;
            if n > limit {
                return Err(CapError::TooLarge { what, limit });
            }
            snap::raw::Decoder::new()
                .decompress_vec(body)
                .map_err(|e| CapError::Malformed { what, reason: e.to_string() })
        }
    }
}

/// Reads to the end, refusing past `limit` bytes.
pub fn read_capped(reader: impl Read, limit: usize, what: &'static str) -> Result<Vec<u8>, CapError> {
    let mut out = Vec::new();
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|e| CapError::Malformed { what, reason: e.to_string() })?;
    if out.len() > limit {
        return Err(CapError::TooLarge { what, limit });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_bomb_costs_at_most_its_cap() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(&vec![0u8; 10 << 20]).unwrap();
        let body = gz.finish().unwrap();
        let err = unpack(Encoding::Gzip, &body, 1 << 20).unwrap_err();
        assert_eq!(err.kind(), Kind::Limited);
        assert_eq!(unpack(Encoding::Gzip, &body, 10 << 20).unwrap().len(), 10 << 20);
    }

    #[test]
    fn a_snappy_header_that_promises_too_much_is_refused_before_allocating() {
        let body = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
        assert_eq!(unpack(Encoding::Snappy, &body, 1 << 20).unwrap_err().kind(), Kind::Limited);
    }

    #[test]
    fn truncated_bodies_are_malformed() {
        let z = zstd::encode_all(&b"hello hello hello hello"[..], 1).unwrap();
        let cut = &z[..z.len() - 3];
        assert_eq!(unpack(Encoding::Zstd, cut, 1 << 20).unwrap_err().kind(), Kind::Invalid);
    }
}
