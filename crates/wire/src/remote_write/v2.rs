//! Remote write 2.0 (`prometheus.io/docs/specs/prw/remote_write_spec_2_0`): a snappy-packed
//! `io.prometheus.write.v2.Request`, in which every string is a reference into one table.
//!
//! ```text
//! body ─ pass 1: symbols (checked once) ─┐
//!      └ pass 2: series ─ refs ──────────┴─► labels ─► samples, histograms, exemplars, metadata
//! ```
//! References make a body small and what it means large, so the labels built from one body are capped at a
//! multiple of it.

mod encode;
mod symbols;

use std::collections::HashSet;

use model::{
    Exemplar, MetricBatch, MetricKind, MetricMetadata, labels::METRIC_NAME, metric::HistogramSample,
};

pub use self::encode::encode;
use self::symbols::Symbols;
use super::histogram;
use crate::{
    Decoded, Error, Limits, Reason, Refusals,
    protobuf::{Fault, Reader, Value, take_varint},
    series::SeriesIndex,
    text::{clip_to, quoted},
};

const WHAT: &str = "remote write 2.0 request";
/// Label bytes that may be built per byte of the body. Real senders stay below 20; each step up lets a hostile
/// body take that much more memory than it has bytes.
const MAX_EXPANSION: usize = 32;
/// Label bytes that any body may build.
const MIN_LABEL_BYTES: usize = 1 << 20;

/// Reads the body after unpacking. A series whose labels, references or metadata break a rule takes its items
/// along into the refusals; the other series are kept.
pub fn decode(body: &[u8], limits: &Limits) -> Result<Decoded<MetricBatch>, Error> {
    let fault = |f: Fault| Error::protobuf(WHAT, f);
    let mut d = Decoder {
        limits,
        symbols: Symbols::read(body).map_err(fault)?,
        batch: MetricBatch::default(),
        index: SeriesIndex::default(),
        refused: Refusals::default(),
        seen: 0,
        refs: Vec::new(),
        pairs: Vec::new(),
        described: HashSet::new(),
        room: body.len().saturating_mul(MAX_EXPANSION).max(MIN_LABEL_BYTES),
    };
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next().map_err(fault)? {
        if field == 5 {
            d.series(value.bytes().map_err(fault)?).map_err(fault)?;
        }
    }
    Ok(Decoded { batch: d.batch, refused: d.refused, all_timed: true })
}

struct Decoder<'a> {
    limits: &'a Limits,
    symbols: Symbols<'a>,
    batch: MetricBatch,
    index: SeriesIndex,
    refused: Refusals,
    /// Samples and histograms met so far.
    seen: u64,
    /// Scratch: the label references of one series.
    refs: Vec<u32>,
    /// Scratch: its labels.
    pairs: Vec<(&'a str, &'a str)>,
    /// Metadata met already, with the reference of the name it is for.
    described: HashSet<(u32, Metadata)>,
    /// Label bytes that may still be built.
    room: usize,
}

/// A series message after its first pass.
#[derive(Default)]
struct Outline {
    samples: u64,
    histograms: u64,
    exemplars: u64,
    metadata: Option<Metadata>,
}

/// Type and texts by reference.
#[derive(Default, Clone, Copy, PartialEq, Eq, Hash)]
struct Metadata {
    kind: u64,
    help: u32,
    unit: u32,
}

/// Why a series or a part of it is left out.
type Refusal = (Reason, String);

impl<'a> Decoder<'a> {
    fn series(&mut self, body: &'a [u8]) -> Result<(), Fault> {
        let outline = self.outline(body)?;
        let items = outline.samples + outline.histograms;
        let first = self.seen;
        self.seen += items;
        match self.resolve(&outline) {
            Ok(None) => Ok(()),
            Ok(Some(series)) => self.items(series, first, body),
            Err((reason, why)) => {
                // A series that carries nothing but exemplars is counted by them.
                let count = if items > 0 { items } else { outline.exemplars.max(1) };
                self.refused.add_many(reason, first, count, || why);
                Ok(())
            }
        }
    }

    /// First pass over a series message: its references, and what follows them.
    fn outline(&mut self, body: &'a [u8]) -> Result<Outline, Fault> {
        self.refs.clear();
        let mut outline = Outline::default();
        let mut r = Reader::new(body);
        while let Some((field, value)) = r.next()? {
            match field {
                1 => push_refs(&mut self.refs, value, 2 * self.limits.max_labels + 2)?,
                2 => outline.samples += 1,
                3 => outline.histograms += 1,
                4 => outline.exemplars += 1,
                5 => outline.metadata = Some(metadata(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(outline)
    }

    /// The series in the batch, once labels and metadata are known to be good. `None` where the message
    /// carries nothing but metadata.
    fn resolve(&mut self, outline: &Outline) -> Result<Option<u32>, Refusal> {
        let invalid = |why: String| (Reason::InvalidLabels, why);
        self.symbols.pairs(&self.refs, &mut self.pairs).map_err(invalid)?;
        let name = self.pairs.iter().position(|(n, v)| *n == METRIC_NAME && !v.is_empty());
        let Some(name) = name else { return Err(invalid("a series has no __name__".to_owned())) };
        let name_ref = self.refs.get(2 * name + 1).copied().unwrap_or_default();
        let name = self.pairs.get(name).map_or("", |p| p.1);
        let new = outline.metadata.filter(|m| !self.described.contains(&(name_ref, *m)));
        let described = new.map(|m| self.describe(name, m)).transpose()?;
        let mut series = None;
        if outline.samples + outline.histograms + outline.exemplars > 0 {
            let bytes: usize = self.pairs.iter().map(|(n, v)| n.len() + v.len() + 2).sum();
            if bytes > self.room {
                let why = "the labels of the request, written out, take more than 32 bytes per byte sent";
                return Err((Reason::TooLarge, why.to_owned()));
            }
            let labels = self.limits.labels(&mut self.pairs).map_err(invalid)?;
            let known = self.batch.series.len();
            series = Some(self.index.resolve(&mut self.batch, labels));
            if self.batch.series.len() > known {
                self.room -= bytes;
            }
        }
        if let (Some(mut described), Some(key)) = (described, outline.metadata)
            && self.described.insert((name_ref, key))
        {
            described.family = family(name, described.kind, outline.histograms > 0).to_owned();
            self.batch.metadata.push(described);
        }
        Ok(series)
    }

    /// Looks the texts of the metadata up.
    fn describe(&self, name: &str, m: Metadata) -> Result<MetricMetadata, Refusal> {
        let text = |what: &str, at: u32| -> Result<&'a str, Refusal> {
            let found = self.symbols.get(at).and_then(|s| self.limits.check_pair(name, s).map(|()| s));
            found.map_err(|why| (Reason::InvalidLabels, format!("{what} of {}: {why}", quoted(name))))
        };
        let (help, unit) = (text("help", m.help)?.to_owned(), text("unit", m.unit)?.to_owned());
        let kind = usize::try_from(m.kind).ok().and_then(|n| MetricKind::ALL.get(n)).copied();
        Ok(MetricMetadata { family: String::new(), kind: kind.unwrap_or_default(), unit, help })
    }

    /// Second pass over a series message: what its labels carry.
    fn items(&mut self, series: u32, first: u64, body: &'a [u8]) -> Result<(), Fault> {
        let mut at = first;
        let mut r = Reader::new(body);
        while let Some((field, value)) = r.next()? {
            match field {
                2 => {
                    let (value, timestamp_ms, start_ms) = sample(value.bytes()?)?;
                    self.batch.samples.push_started(series, timestamp_ms, value, start_ms);
                    at += 1;
                }
                3 => {
                    let h = histogram::decode(value.bytes()?, self.limits.max_histogram_buckets)?;
                    self.histogram(series, at, h);
                    at += 1;
                }
                4 => self.exemplar(series, value.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn histogram(&mut self, series: u32, at: u64, h: histogram::Read) {
        let histogram::Read { timestamp_ms, start_ms, histogram } = h;
        match histogram {
            Ok(histogram) => {
                let sample = HistogramSample { series, timestamp_ms, start_ms, histogram };
                self.batch.histograms.push(sample);
            }
            Err(why) => {
                let batch = &self.batch;
                self.refused.add(Reason::InvalidItem, at, || {
                    let labels = batch.series.get(series as usize).cloned().unwrap_or_default();
                    format!("histogram of {} at {timestamp_ms}: {why}", clip_to(&labels.to_string(), 200))
                });
            }
        }
    }

    fn exemplar(&mut self, series: u32, body: &'a [u8]) -> Result<(), Fault> {
        self.refs.clear();
        let (mut value, mut timestamp_ms) = (0.0, 0);
        let mut r = Reader::new(body);
        while let Some((field, v)) = r.next()? {
            match field {
                1 => push_refs(&mut self.refs, v, 2 * self.limits.max_labels + 2)?,
                2 => value = v.double()?,
                3 => timestamp_ms = v.varint()? as i64,
                _ => {}
            }
        }
        let labels = self.symbols.pairs(&self.refs, &mut self.pairs).and_then(|()| {
            let bytes: usize = self.pairs.iter().map(|(n, v)| n.len() + v.len() + 2).sum();
            self.room = self.room.checked_sub(bytes).ok_or("its labels go past the limit of the request")?;
            self.limits.labels(&mut self.pairs)
        });
        match labels {
            Ok(labels) => self.batch.exemplars.push((series, Exemplar { labels, value, timestamp_ms })),
            Err(why) => self.refused.add(Reason::InvalidLabels, self.seen, || format!("exemplar: {why}")),
        }
        Ok(())
    }
}

/// The family a series belongs to: the parts of classic histograms and of summaries share one description.
fn family(name: &str, kind: MetricKind, native: bool) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram if !native => &["_bucket", "_sum", "_count"],
        MetricKind::GaugeHistogram if !native => &["_bucket", "_gsum", "_gcount"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    let bare = suffixes.iter().find_map(|s| name.strip_suffix(s));
    bare.filter(|n| !n.is_empty()).unwrap_or(name)
}

fn metadata(body: &[u8]) -> Result<Metadata, Fault> {
    let mut m = Metadata::default();
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => m.kind = v.varint()?,
            3 => m.help = reference(v.varint()?),
            4 => m.unit = reference(v.varint()?),
            _ => {}
        }
    }
    Ok(m)
}

/// A reference past 32 bits points nowhere, as does the largest one.
fn reference(v: u64) -> u32 {
    u32::try_from(v).unwrap_or(u32::MAX)
}

/// Appends references, packed or not; those past `max` are one too many for [`Limits::labels`] and stand for all
/// that follow.
fn push_refs(out: &mut Vec<u32>, value: Value<'_>, max: usize) -> Result<(), Fault> {
    match value {
        Value::Varint(v) if out.len() < max => out.push(reference(v)),
        Value::Varint(_) => {}
        Value::Bytes(mut b) => {
            while !b.is_empty() {
                let v = take_varint(&mut b)?;
                if out.len() < max {
                    out.push(reference(v));
                }
            }
        }
        _ => return Err("a field has another wire type than its definition"),
    }
    Ok(())
}

/// Value, time and start.
fn sample(body: &[u8]) -> Result<(f64, i64, i64), Fault> {
    let (mut value, mut timestamp_ms, mut start_ms) = (0.0, 0, 0);
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => value = v.double()?,
            2 => timestamp_ms = v.varint()? as i64,
            3 => start_ms = v.varint()? as i64,
            _ => {}
        }
    }
    Ok((value, timestamp_ms, start_ms))
}

#[cfg(test)]
mod tests;
