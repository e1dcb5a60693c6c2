//! Prometheus remote write 1.0 (`prometheus.io/docs/specs/remote_write_spec`): a snappy-packed
//! `prometheus.WriteRequest`. Read by hand, straight from the body, because this is the busiest way in. Version
//! 2.0 is in [`v2`].

mod encode;
mod histogram;
mod known;
pub mod v2;

use model::{Exemplar, MetricBatch, MetricKind, MetricMetadata, metric::HistogramSample};

pub(crate) use self::histogram::{decode as decode_histogram, encode as encode_histogram};
pub use self::{encode::encode, known::KnownSeries};
use crate::{
    Decoded, Error, Limits, Reason, Refusals,
    protobuf::{Fault, Reader, take_varint},
    series::SeriesIndex,
};

const WHAT: &str = "remote write request";

/// Reads the body after unpacking. Labels may come in any order; fields may too. A series whose labels break
/// a rule takes its samples along into the refusals.
pub fn decode_v1(body: &[u8], limits: &Limits) -> Result<Decoded<MetricBatch>, Error> {
    let fault = |f: Fault| Error::protobuf(WHAT, f);
    let mut d = Decoder::new(limits);
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next().map_err(fault)? {
        match field {
            1 => d.series(value.bytes().map_err(fault)?).map_err(fault)?,
            3 => d.metadata(value.bytes().map_err(fault)?).map_err(fault)?,
            _ => {}
        }
    }
    Ok(Decoded { batch: d.batch, refused: d.refused, all_timed: true })
}

/// [`decode_v1`] for one of the requests of a sender that repeats its series; the answer is the same.
pub fn decode_v1_known(
    body: &[u8],
    limits: &Limits,
    known: &mut KnownSeries,
) -> Result<Decoded<MetricBatch>, Error> {
    let fault = |f: Fault| Error::protobuf(WHAT, f);
    let mut d = Decoder::new(limits);
    known.begin(limits, body.len(), &mut d.batch);
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next().map_err(fault)? {
        match field {
            1 => {
                let read = d.known_series(value.bytes().map_err(fault)?, known).map_err(fault)?;
                if !read {
                    return decode_v1(body, limits);
                }
            }
            3 => d.metadata(value.bytes().map_err(fault)?).map_err(fault)?,
            _ => {}
        }
    }
    known.end(&d.batch);
    Ok(Decoded { batch: d.batch, refused: d.refused, all_timed: true })
}

struct Decoder<'a> {
    limits: &'a Limits,
    batch: MetricBatch,
    index: SeriesIndex,
    refused: Refusals,
    /// Samples and histograms met so far.
    seen: u64,
    /// Scratch for the labels of one series.
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Decoder<'a> {
    fn new(limits: &'a Limits) -> Self {
        Decoder {
            limits,
            batch: MetricBatch::default(),
            index: SeriesIndex::default(),
            refused: Refusals::default(),
            seen: 0,
            pairs: Vec::new(),
        }
    }

    /// A series found by the bytes of its labels. False where they are written unlike those of other senders,
    /// or are refused: such a request is read label by label.
    fn known_series<'b: 'a>(&mut self, body: &'b [u8], known: &mut KnownSeries) -> Result<bool, Fault> {
        let (series, items) = match known.find(body, &mut self.batch) {
            Some(found) => found,
            None => {
                let Some((raw, items)) = known::split(body) else { return Ok(body.is_empty()) };
                let Some(labels) = self.labels(raw)? else { return Ok(false) };
                let Some(series) = known.add(raw, labels, &mut self.batch) else { return Ok(false) };
                (series, items)
            }
        };
        let (next, more_labels) = self.items(series, self.seen, items)?;
        self.seen = next;
        Ok(!more_labels)
    }

    /// The labels of a new series; `None` if there is anything to say against them.
    fn labels<'b: 'a>(&mut self, raw: &'b [u8]) -> Result<Option<model::Labels>, Fault> {
        self.pairs.clear();
        let mut rest = raw;
        while let Some((label, more)) = first_label(rest) {
            let Some(p) = pair(label)? else { return Ok(None) };
            self.pairs.push(p);
            rest = more;
        }
        let labels = self.limits.labels(&mut self.pairs).ok();
        Ok(labels.filter(|l| !l.metric_name().is_empty()))
    }

    fn series<'b: 'a>(&mut self, body: &'b [u8]) -> Result<(), Fault> {
        self.pairs.clear();
        let mut items = 0u64;
        let mut exemplars = 0u64;
        let mut bad_text = false;
        let mut r = Reader::new(body);
        while let Some((field, value)) = r.next()? {
            match field {
                1 => match pair(value.bytes()?)? {
                    Some(p) => self.pairs.push(p),
                    None => bad_text = true,
                },
                2 | 4 => items += 1,
                3 => exemplars += 1,
                _ => {}
            }
        }
        if items + exemplars == 0 {
            return Ok(());
        }
        let first = self.seen;
        self.seen += items;
        let named = self.pairs.iter().any(|(n, v)| *n == model::labels::METRIC_NAME && !v.is_empty());
        let labels = if bad_text {
            Err("a label is not UTF-8".to_owned())
        } else if !named {
            Err("a series has no __name__".to_owned())
        } else {
            self.limits.labels(&mut self.pairs)
        };
        match labels {
            Ok(labels) => {
                let series = self.index.resolve(&mut self.batch, labels);
                self.items(series, first, body).map(drop)
            }
            Err(why) => {
                self.refused.add_many(Reason::InvalidLabels, first, items, || why);
                Ok(())
            }
        }
    }

    /// Second pass over a series message: what its labels carry. Returns the number of the next item, and
    /// whether there were labels, too.
    fn items(&mut self, series: u32, first: u64, body: &[u8]) -> Result<(u64, bool), Fault> {
        // Nearly every series carries one sample.
        if let [0x12, length, sample_body @ ..] = body
            && usize::from(*length) == sample_body.len()
            && *length < 0x80
        {
            let (value, timestamp_ms) = sample(sample_body)?;
            self.batch.samples.push(series, timestamp_ms, value);
            return Ok((first + 1, false));
        }
        let (mut at, mut labels) = (first, false);
        let mut r = Reader::new(body);
        while let Some((field, value)) = r.next()? {
            match field {
                2 => {
                    let (value, timestamp_ms) = sample(value.bytes()?)?;
                    self.batch.samples.push(series, timestamp_ms, value);
                    at += 1;
                }
                3 => self.exemplar(series, at, value.bytes()?)?,
                4 => {
                    let histogram::Read { timestamp_ms, histogram, .. } =
                        histogram::decode(value.bytes()?, self.limits.max_histogram_buckets)?;
                    match histogram {
                        Ok(histogram) => {
                            let sample = HistogramSample { series, timestamp_ms, start_ms: 0, histogram };
                            self.batch.histograms.push(sample);
                        }
                        Err(why) => {
                            let batch = &self.batch;
                            self.refused.add(Reason::InvalidItem, at, || {
                                let labels = batch.series.get(series as usize).cloned().unwrap_or_default();
                                format!(
                                    "histogram of {} at {timestamp_ms}: {why}",
                                    crate::text::clip_to(&labels.to_string(), 200)
                                )
                            });
                        }
                    }
                    at += 1;
                }
                1 => labels = true,
                _ => {}
            }
        }
        Ok((at, labels))
    }

    fn exemplar(&mut self, series: u32, at: u64, body: &[u8]) -> Result<(), Fault> {
        let mut pairs = Vec::new();
        let (mut value, mut timestamp_ms) = (0.0, 0);
        let mut r = Reader::new(body);
        while let Some((field, v)) = r.next()? {
            match field {
                1 => pairs.extend(pair(v.bytes()?)?),
                2 => value = v.double()?,
                3 => timestamp_ms = v.varint()? as i64,
                _ => {}
            }
        }
        match self.limits.labels(&mut pairs) {
            Ok(labels) => self.batch.exemplars.push((series, Exemplar { labels, value, timestamp_ms })),
            Err(why) => {
                self.refused.add(Reason::InvalidLabels, at, || format!("exemplar: {why}"));
            }
        }
        Ok(())
    }

    fn metadata(&mut self, body: &[u8]) -> Result<(), Fault> {
        let mut m = MetricMetadata::default();
        let mut r = Reader::new(body);
        while let Some((field, v)) = r.next()? {
            match field {
                1 => {
                    let n = usize::try_from(v.varint()?).unwrap_or(0);
                    m.kind = MetricKind::ALL.get(n).copied().unwrap_or_default();
                }
                2 => m.family = v.str()?.to_owned(),
                4 => m.help = v.str()?.to_owned(),
                5 => m.unit = v.str()?.to_owned(),
                _ => {}
            }
        }
        if let Err(why) = self.limits.check_pair(&m.family, &m.help) {
            self.refused.add(Reason::InvalidLabels, self.seen, || format!("metadata: {why}"));
        } else {
            self.batch.metadata.push(m);
        }
        Ok(())
    }
}

/// The body of the label message that these fields of a series begin with, and what follows it.
#[inline]
fn first_label(fields: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = fields.strip_prefix(&[0x0a])?;
    let length = take_varint(&mut rest).ok()?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// A label; `None` where a part is not UTF-8.
fn pair(body: &[u8]) -> Result<Option<(&str, &str)>, Fault> {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => name = v.bytes()?,
            2 => value = v.bytes()?,
            _ => {}
        }
    }
    Ok(std::str::from_utf8(name).ok().zip(std::str::from_utf8(value).ok()))
}

fn sample(body: &[u8]) -> Result<(f64, i64), Fault> {
    // Nearly every sample is written like this.
    if let Some((&[0x09, ref value @ .., 0x10], time)) = body.split_first_chunk::<10>() {
        let mut rest = time;
        let timestamp_ms = take_varint(&mut rest)? as i64;
        if rest.is_empty() {
            return Ok((f64::from_le_bytes(*value), timestamp_ms));
        }
    }
    let (mut value, mut timestamp_ms) = (0.0, 0);
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => value = v.double()?,
            2 => timestamp_ms = v.varint()? as i64,
            _ => {}
        }
    }
    Ok((value, timestamp_ms))
}

#[cfg(test)]
mod tests;
