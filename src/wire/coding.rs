//! Content codings: bodies decoded for the tape, within a limit.

use bytes::Bytes;
use std::io::Read;

/// Why a body cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A coding that this program does not know.
    #[error("its content coding `{0}` is none of gzip, deflate, br and zstd")]
    Unknown(String),
    /// Bytes that are not of the coding that they claim.
    #[error("it is no valid {coding}: {source}")]
    Invalid {
        /// The coding.
        coding: &'static str,
        /// What was found.
        source: std::io::Error,
    },
    /// Far more than its size on the wire, once decoded.
    #[error("decoded it is more than {0} times as large as it came (limits.expansion in config.toml)")]
    Expands(usize),
    /// More than the limit, once decoded.
    #[error("decoded it is larger than {0} bytes")]
    TooLarge(usize),
}

/// Undoes the codings that a `Content-Encoding` header lists (RFC 9110 section 8.4), the last one first.
///
/// # Errors
/// When a coding is unknown, the bytes are not of it, or they decode to more than `limit` bytes.
pub fn decode(codings: &str, body: Bytes, limit: usize) -> Result<Bytes, Fault> {
    let listed = codings.split(',').map(|coding| coding.trim().to_ascii_lowercase());
    let mut decoded = body;
    for coding in listed.collect::<Vec<_>>().into_iter().rev() {
        let bytes = &decoded[..];
        decoded = match coding.as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => read("gzip", flate2::read::MultiGzDecoder::new(bytes), limit)?,
            // Some senders leave the zlib frame out, against RFC 9110 section 8.4.1.2.
            "deflate" => {
                read("deflate", flate2::read::ZlibDecoder::new(bytes), limit).or_else(|fault| match fault {
                    Fault::Invalid { .. } => read("deflate", flate2::read::DeflateDecoder::new(bytes), limit),
                    fault => Err(fault),
                })?
            }
            "br" => read("br", brotli_decompressor::Decompressor::new(bytes, 4096), limit)?,
            "zstd" => read_zstd(bytes, limit)?,
            _ => return Err(Fault::Unknown(coding)),
        };
    }
    Ok(decoded)
}

fn read(coding: &'static str, decoder: impl Read, limit: usize) -> Result<Bytes, Fault> {
    let mut decoded = Vec::new();
    let most = (limit as u64).saturating_add(1);
    decoder.take(most).read_to_end(&mut decoded).map_err(|source| Fault::Invalid { coding, source })?;
    if decoded.len() > limit { Err(Fault::TooLarge(limit)) } else { Ok(decoded.into()) }
}

/// Zstandard, of which a body may hold several frames, one after another (RFC 8878 section 3).
fn read_zstd(mut bytes: &[u8], limit: usize) -> Result<Bytes, Fault> {
    let invalid = |why: String| Fault::Invalid { coding: "zstd", source: std::io::Error::other(why) };
    let mut decoded = Vec::new();
    while !bytes.is_empty() {
        let frame = ruzstd::decoding::StreamingDecoder::new(&mut bytes).map_err(|fault| invalid(fault.to_string()))?;
        decoded.extend_from_slice(&read("zstd", frame, limit - decoded.len())?);
    }
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    fn base64(text: &str) -> Bytes {
        base64::engine::general_purpose::STANDARD.decode(text).unwrap().into()
    }

    #[test]
    fn every_coding_that_graph_may_use_is_undone() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(b"{\"a\":1}").unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        raw.write_all(b"{\"a\":1}").unwrap();
        for (coding, body) in [
            ("identity", Bytes::from_static(b"{\"a\":1}")),
            ("GZIP", gzip(b"{\"a\":1}")),
            ("deflate", zlib.finish().unwrap().into()),
            ("deflate", raw.finish().unwrap().into()),
            ("br", base64("CwOAeyJhIjoxfQM=")),
            ("zstd", base64("KLUv/SAHOQAAeyJhIjoxfQ==")),
            ("gzip, gzip", gzip(&gzip(b"{\"a\":1}"))),
        ] {
            assert_eq!(decode(coding, body, 100).unwrap(), "{\"a\":1}", "{coding}");
        }
    }

    #[test]
    fn a_body_may_have_several_frames() {
        let zstd = base64("KLUv/SAHOQAAeyJhIjoxfQ==");
        for (coding, frame) in [("zstd", zstd), ("gzip", gzip(b"{\"a\":1}"))] {
            let twice = Bytes::from([frame.clone(), frame].concat());
            assert_eq!(decode(coding, twice.clone(), 100).unwrap(), "{\"a\":1}{\"a\":1}");
            assert!(matches!(decode(coding, twice, 10), Err(Fault::TooLarge(_))), "the limit is for all of them");
        }
    }

    #[test]
    fn what_cannot_be_decoded_says_why() {
        let bomb = gzip(&vec![b'0'; 100_000]);
        let half = gzip(b"a longer text, so that half of it is not whole").slice(..20);
        let faults = [("compress", bomb.clone()), ("gzip", half), ("br", Bytes::from_static(b"\xff")), ("gzip", bomb)]
            .map(|(coding, body)| decode(coding, body, 1000).unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n"));
    }
}
