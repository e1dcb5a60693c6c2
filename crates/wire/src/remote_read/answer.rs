//! The asking side of remote read: a request as bytes, and both forms of answer. What comes back is not trusted:
//! lengths, checksums and counts are checked, and nothing larger than its bytes is reserved.

use bytes::{Buf, Bytes, BytesMut};
use model::{Histogram, Labels, MatchOp};

use super::ReadRequest;
use crate::{
    Error,
    protobuf::{Fault, Reader, Value, Writer, take_varint},
    remote_write::decode_histogram,
};

const ANSWER: &str = "remote read answer";
/// Frames are about 1 MiB unless a server is told otherwise (`storage.remote.read-max-bytes-in-frame`), and one
/// chunk never fills them. Larger: a hostile length costs that much memory.
const MAX_FRAME: usize = 64 << 20;
/// Buckets of one histogram, as for what is written.
const MAX_BUCKETS: usize = 1 << 12;

/// A request as `prometheus.ReadRequest`, before snappy. Hints are left out: they may make a server drop samples.
pub fn encode(request: &ReadRequest) -> Vec<u8> {
    let (mut out, mut inner, mut scratch) = (Writer::default(), Writer::default(), Writer::default());
    for q in &request.queries {
        inner.clear();
        inner.varint(1, q.start_ms as u64);
        inner.varint(2, q.end_ms as u64);
        for m in &q.matchers {
            scratch.clear();
            scratch.varint(
                1,
                match m.op {
                    MatchOp::Equal => 0,
                    MatchOp::NotEqual => 1,
                    MatchOp::Regex => 2,
                    MatchOp::NotRegex => 3,
                },
            );
            scratch.str(2, &m.name);
            scratch.str(3, &m.value);
            inner.bytes(3, &scratch.0);
        }
        out.bytes(1, &inner.0);
    }
    // Not packed, which every reader takes.
    request.accepted.iter().for_each(|form| out.varint_always(2, *form));
    out.0
}

/// A series of a sampled answer, as it came: in the server's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnsweredSeries {
    pub labels: Labels,
    pub timestamps_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// Time and histogram.
    pub histograms: Vec<(i64, Histogram)>,
}

/// Reads a `ReadResponse` after unpacking: the series of all its queries.
pub fn decode_answer(body: &[u8]) -> Result<Vec<AnsweredSeries>, Error> {
    let fault = |f: Fault| Error::protobuf(ANSWER, f);
    let mut out = Vec::new();
    let mut response = Reader::new(body);
    while let Some((field, value)) = response.next().map_err(fault)? {
        if field != 1 {
            continue;
        }
        let mut result = Reader::new(value.bytes().map_err(fault)?);
        while let Some((field, value)) = result.next().map_err(fault)? {
            if field == 1 {
                out.push(sampled(value.bytes().map_err(fault)?)?);
            }
        }
    }
    Ok(out)
}

fn sampled(body: &[u8]) -> Result<AnsweredSeries, Error> {
    let fault = |f: Fault| Error::protobuf(ANSWER, f);
    let (mut out, mut pairs) = (AnsweredSeries::default(), Vec::new());
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next().map_err(fault)? {
        match field {
            1 => pairs.push(pair(value).map_err(fault)?),
            2 => {
                let (at, v) = sample(value).map_err(fault)?;
                out.timestamps_ms.push(at);
                out.values.push(v);
            }
            4 => {
                let body = value.bytes().map_err(fault)?;
                let read = decode_histogram(body, MAX_BUCKETS).map_err(fault)?;
                let histogram = read.histogram.map_err(|why| Error::protobuf(ANSWER, why))?;
                out.histograms.push((read.timestamp_ms, histogram));
            }
            _ => {}
        }
    }
    out.labels = packed(pairs);
    Ok(out)
}

fn sample(value: Value<'_>) -> Result<(i64, f64), Fault> {
    let (mut at, mut v) = (0, 0.0);
    let mut r = Reader::new(value.bytes()?);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => v = value.double()?,
            2 => at = value.varint()? as i64,
            _ => {}
        }
    }
    Ok((at, v))
}

fn pair(value: Value<'_>) -> Result<(&str, &str), Fault> {
    let (mut name, mut text) = ("", "");
    let mut r = Reader::new(value.bytes()?);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => name = value.str()?,
            2 => text = value.str()?,
            _ => {}
        }
    }
    Ok((name, text))
}

fn packed(pairs: Vec<(&str, &str)>) -> Labels {
    Labels::from_sorted(pairs.iter().copied()).unwrap_or_else(|| Labels::from_pairs(pairs))
}

/// A series of a frame with its chunks still packed; a long series comes in several frames.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FramedSeries {
    pub labels: Labels,
    pub chunks: Vec<FramedChunk>,
}

/// A chunk as the server holds it: it may begin before and end after what was asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FramedChunk {
    pub min_ms: i64,
    pub max_ms: i64,
    /// `prometheus.Chunk.Encoding`: 1 XOR, 2 histogram, 3 float histogram.
    pub encoding: u8,
    pub data: Bytes,
}

/// Cuts a streamed answer into its messages as it comes in, checking their sums.
#[derive(Debug, Default)]
pub struct Frames(BytesMut);

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole message; `None` until more bytes have come.
    pub fn pull(&mut self) -> Result<Option<Bytes>, Error> {
        let mut rest = &self.0[..];
        let length = match take_varint(&mut rest) {
            Ok(n) => n,
            Err(_) if rest.len() < 10 => return Ok(None),
            Err(f) => return Err(Error::protobuf(ANSWER, f)),
        };
        let length = usize::try_from(length).ok().filter(|n| *n <= MAX_FRAME).ok_or_else(|| {
            Error::protobuf(ANSWER, format!("a frame of {length} bytes, at most {MAX_FRAME} are read"))
        })?;
        let Some((sum, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        if rest.len() < length {
            return Ok(None);
        }
        let (sum, head) = (u32::from_be_bytes(*sum), self.0.len() - rest.len());
        self.0.advance(head);
        let message = self.0.split_to(length).freeze();
        match crc32c::crc32c(&message) == sum {
            true => Ok(Some(message)),
            false => Err(Error::protobuf(ANSWER, "the checksum of a frame is wrong")),
        }
    }

    /// An error where the answer ends inside a frame.
    pub fn end(&self) -> Result<(), Error> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Error::protobuf(ANSWER, format!("it ends {} bytes into a frame", self.0.len()))),
        }
    }
}

/// Reads a `ChunkedReadResponse`; the chunks share its bytes.
pub fn decode_frame(message: &Bytes) -> Result<Vec<FramedSeries>, Error> {
    let fault = |f: Fault| Error::protobuf(ANSWER, f);
    let mut out = Vec::new();
    let mut r = Reader::new(message);
    while let Some((field, value)) = r.next().map_err(fault)? {
        if field == 1 {
            out.push(framed(message, value).map_err(fault)?);
        }
    }
    Ok(out)
}

fn framed(message: &Bytes, value: Value<'_>) -> Result<FramedSeries, Fault> {
    let (mut chunks, mut pairs) = (Vec::new(), Vec::new());
    let mut r = Reader::new(value.bytes()?);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => pairs.push(pair(value)?),
            2 => chunks.push(chunk(message, value)?),
            _ => {}
        }
    }
    Ok(FramedSeries { labels: packed(pairs), chunks })
}

fn chunk(message: &Bytes, value: Value<'_>) -> Result<FramedChunk, Fault> {
    let mut out = FramedChunk::default();
    let mut r = Reader::new(value.bytes()?);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => out.min_ms = value.varint()? as i64,
            2 => out.max_ms = value.varint()? as i64,
            3 => {
                out.encoding = u8::try_from(value.varint()?).map_err(|_| "a chunk's encoding is too large")?
            }
            4 => out.data = message.slice_ref(value.bytes()?),
            _ => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
