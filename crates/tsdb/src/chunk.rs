//! One chunk: the samples of one series over a stretch of time, compressed bit by bit.
//!
//! ```text
//! encoding  1 XOR   2 histogram   3 float histogram   4 XOR2   5 histogram ST   6 float histogram ST
//! ```
//! 4 to 6 can carry start timestamps. Specification: `tsdb/docs/format/chunks.md` in the Prometheus repository.

mod float;
mod histogram;
mod layout;
mod start;

use model::Histogram;

use crate::Fault;

/// What a chunk holds. One of the lists is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points {
    pub floats: Vec<FloatPoint>,
    pub histograms: Vec<HistogramPoint>,
}

#[derive(Debug, Clone, Copy)]
pub struct FloatPoint {
    pub timestamp_ms: i64,
    /// When the counter began, 0 where unknown.
    pub start_ms: i64,
    pub value: f64,
}

impl PartialEq for FloatPoint {
    /// Values by their bits: a staleness marker equals itself.
    fn eq(&self, o: &Self) -> bool {
        (self.timestamp_ms, self.start_ms, self.value.to_bits())
            == (o.timestamp_ms, o.start_ms, o.value.to_bits())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct HistogramPoint {
    pub timestamp_ms: i64,
    pub start_ms: i64,
    pub histogram: Histogram,
}

impl Points {
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the points whose time passes.
    pub fn retain(&mut self, mut keep: impl FnMut(i64) -> bool) {
        self.floats.retain(|p| keep(p.timestamp_ms));
        self.histograms.retain(|p| keep(p.timestamp_ms));
    }

    pub fn append(&mut self, mut other: Points) {
        self.floats.append(&mut other.floats);
        self.histograms.append(&mut other.histograms);
    }
}

/// Decodes the data of a chunk, without its length, encoding and checksum.
pub fn decode(encoding: u8, data: &[u8]) -> Result<Points, Fault> {
    match encoding {
        1 => float::xor(data).map(|floats| Points { floats, ..Points::default() }),
        4 => float::xor2(data).map(|floats| Points { floats, ..Points::default() }),
        2 | 3 | 5 | 6 => {
            histogram::decode(encoding, data).map(|histograms| Points { histograms, ..Points::default() })
        }
        _ => Err("the chunk has an encoding this version does not know"),
    }
}

/// The two bytes every chunk begins with.
fn count(data: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let (head, rest) = data.split_at_checked(2).ok_or(crate::cursor::SHORT)?;
    let n = head.iter().fold(0u16, |n, b| n << 8 | u16::from(*b));
    Ok((n, rest))
}

#[cfg(test)]
mod tests;
