//! Remote read: the samples as the server keeps them. Chunks where it offers them, since 2.13; older ones, and those
//! that store elsewhere, answer with samples, at most `storage.remote.read-sample-limit` (50 million) of them.

use base::cap::{Encoding, unpack};
use contract::{Error, Result};
use model::Matcher;
use net::{Incoming, Request};
use wire::remote_read::{
    ReadQuery, ReadRequest,
    answer::{self, Frames},
};

use super::Site;
use crate::foreign::{
    error::{garbled, unreached},
    gather::{Gather, Piece},
};

/// A sampled answer, packed and unpacked.
const MAX_SAMPLED: usize = 1 << 30;
const WHAT: &str = "a remote read answer";

/// A request for remote read; `message` is not packed yet.
pub(super) fn request(site: &Site, message: &[u8]) -> Result<Request> {
    let packed = snap::raw::Encoder::new()
        .compress_vec(message)
        .map_err(|e| Error::internal(format!("snappy: {e}")))?;
    Ok(site
        .body("/api/v1/read", packed)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-read-version", "0.1.0"))
}

pub(super) async fn series(
    site: &Site,
    sent: Vec<Matcher>,
    range: (i64, i64),
    into: &mut Gather,
) -> Result<()> {
    let query = ReadQuery { start_ms: range.0, end_ms: range.1, matchers: sent };
    let asked = answer::encode(&ReadRequest { queries: vec![query], accepted: vec![1, 0] });
    let incoming = site.open(request(site, &asked)?, into.limits()).await?;
    match incoming.header("content-type").starts_with("application/x-streamed-protobuf") {
        true => chunks(site, incoming, into).await,
        false => samples(site, incoming, into).await,
    }
}

async fn chunks(site: &Site, mut incoming: Incoming, into: &mut Gather) -> Result<()> {
    let bad = |e: wire::Error| garbled(&site.name, WHAT, e);
    let mut frames = Frames::default();
    while let Some(piece) = incoming.next().await.map_err(unreached)? {
        frames.push(&piece);
        while let Some(message) = frames.pull().map_err(bad)? {
            for s in answer::decode_frame(&message).map_err(bad)? {
                let packed = |c: answer::FramedChunk| Piece::Packed { encoding: c.encoding, data: c.data };
                into.add(s.labels, s.chunks.into_iter().map(packed))?;
            }
        }
    }
    frames.end().map_err(bad)
}

async fn samples(site: &Site, mut incoming: Incoming, into: &mut Gather) -> Result<()> {
    let encoding = Encoding::parse(incoming.header("content-encoding"));
    let encoding = encoding.map_err(|e| garbled(&site.name, WHAT, e))?;
    let mut body = Vec::new();
    while let Some(piece) = incoming.next().await.map_err(unreached)? {
        if body.len() + piece.len() > MAX_SAMPLED {
            return Err(garbled(&site.name, WHAT, format!("it is longer than {MAX_SAMPLED} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    let plain = unpack(encoding, &body, MAX_SAMPLED).map_err(|e| garbled(&site.name, WHAT, e))?;
    drop(body);
    for s in answer::decode_answer(&plain).map_err(|e| garbled(&site.name, WHAT, e))? {
        let piece =
            Piece::Samples { timestamps_ms: s.timestamps_ms, values: s.values, histograms: s.histograms };
        into.add(s.labels, [piece])?;
    }
    Ok(())
}
