//! Protobuf exposition: `io.prometheus.client.MetricFamily` messages, each behind its length. The only format
//! that carries native histograms. Read straight from the body, like remote write.
//!
//! ```text
//! body   := ( varint length | MetricFamily of that many bytes )*
//! counter, gauge, untyped    name
//! summary                    name_count, name_sum, name{quantile}
//! histogram, classic         name_count, name_sum, name_bucket{le}, with the bucket +Inf where it is left out
//! histogram, native          name
//! ```

mod histogram;

use std::borrow::Cow;

use model::{MetricKind, metric::HistogramSample};

use self::histogram::{Bucket, Parts};
use super::{
    Builder, Exposition, ScrapeOptions, float,
    sample::{ExemplarText, Sample},
};
use crate::{
    Error,
    protobuf::{Fault, Reader, name_and_value, take_varint},
    text::quoted,
};

const WHAT: &str = "protobuf exposition";

/// Reads the whole body.
pub fn parse_protobuf(body: &[u8], options: &ScrapeOptions<'_>) -> Result<Exposition, Error> {
    let mut b = Builder::new(options);
    let mut rest = body;
    while !rest.is_empty() {
        let length = take_varint(&mut rest).map_err(|f| Error::protobuf(WHAT, f))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((family, after)) = rest.split_at_checked(length) else {
            return Err(Error::protobuf(WHAT, "a family goes past the end"));
        };
        rest = after;
        Family::read(family).and_then(|f| f.into_builder(&mut b, family)).map_err(|e| match e {
            Bad::Bytes(f) => Error::protobuf(WHAT, f),
            Bad::Content(why) => Error::protobuf(WHAT, why),
        })?;
    }
    Ok(b.out)
}

/// What is wrong with a family: its bytes, or what they say.
pub(super) enum Bad {
    Bytes(Fault),
    Content(String),
}

impl From<Fault> for Bad {
    fn from(f: Fault) -> Self {
        Bad::Bytes(f)
    }
}

impl From<String> for Bad {
    fn from(why: String) -> Self {
        Bad::Content(why)
    }
}

/// The head of a family; its metrics are read in a second pass, since fields may come in any order.
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    unit: &'a str,
    kind: Kind,
    has_metrics: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl Kind {
    fn of(number: u64) -> Option<Self> {
        [Kind::Counter, Kind::Gauge, Kind::Summary, Kind::Untyped, Kind::Histogram, Kind::GaugeHistogram]
            .get(usize::try_from(number).ok()?)
            .copied()
    }

    fn model(self) -> MetricKind {
        match self {
            Kind::Counter => MetricKind::Counter,
            Kind::Gauge => MetricKind::Gauge,
            Kind::Summary => MetricKind::Summary,
            Kind::Untyped => MetricKind::Unknown,
            Kind::Histogram => MetricKind::Histogram,
            Kind::GaugeHistogram => MetricKind::GaugeHistogram,
        }
    }
}

/// One metric: its labels and the value message of the family's type.
#[derive(Default)]
struct Metric<'a> {
    labels: Labels<'a>,
    value: &'a [u8],
    /// 0 is none.
    timestamp_ms: i64,
}

pub(super) type Labels<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl<'a> Family<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Bad> {
        let mut f = Family { name: "", help: "", unit: "", kind: Kind::Counter, has_metrics: false };
        let mut r = Reader::new(body);
        while let Some((field, v)) = r.next()? {
            match field {
                1 => f.name = v.str()?,
                2 => f.help = v.str()?,
                3 => {
                    let number = v.varint()?;
                    f.kind = Kind::of(number).ok_or_else(|| format!("metric type {number} is not known"))?;
                }
                4 => f.has_metrics = true,
                5 => f.unit = v.str()?,
                _ => {}
            }
        }
        Ok(f)
    }

    fn into_builder(self, b: &mut Builder<'a, '_>, body: &'a [u8]) -> Result<(), Bad> {
        if !self.has_metrics {
            return Ok(());
        }
        if self.name.is_empty() {
            return Err(Bad::Content("a metric family has no name".to_owned()));
        }
        b.options.limits.check_pair(self.name, self.help)?;
        if let Some(m) = b.family(Cow::Borrowed(self.name)) {
            m.kind = self.kind.model();
            self.help.clone_into(&mut m.help);
            self.unit.clone_into(&mut m.unit);
        }
        let mut r = Reader::new(body);
        while let Some((field, v)) = r.next()? {
            if field == 4 {
                let metric = self.metric(v.bytes()?)?;
                self.samples(b, metric).map_err(|e| match e {
                    Bad::Content(why) => Bad::Content(format!("metric {}: {why}", quoted(self.name))),
                    bytes => bytes,
                })?;
            }
        }
        Ok(())
    }

    fn metric(&self, body: &'a [u8]) -> Result<Metric<'a>, Fault> {
        let wanted = match self.kind {
            Kind::Gauge => 2,
            Kind::Counter => 3,
            Kind::Summary => 4,
            Kind::Untyped => 5,
            Kind::Histogram | Kind::GaugeHistogram => 7,
        };
        let mut m = Metric::default();
        let mut r = Reader::new(body);
        while let Some((field, v)) = r.next()? {
            match field {
                1 => m.labels.push(label(v.bytes()?)?),
                6 => m.timestamp_ms = v.varint()? as i64,
                n if n == wanted => m.value = v.bytes()?,
                _ => {}
            }
        }
        Ok(m)
    }

    fn samples(&self, b: &mut Builder<'a, '_>, m: Metric<'a>) -> Result<(), Bad> {
        match self.kind {
            Kind::Counter | Kind::Gauge | Kind::Untyped => self.number(b, m),
            Kind::Summary => self.summary(b, m),
            Kind::Histogram | Kind::GaugeHistogram => self.histogram(b, m),
        }
    }

    fn number(&self, b: &mut Builder<'a, '_>, m: Metric<'a>) -> Result<(), Bad> {
        let (mut value, mut exemplar, mut start_ms) = (0.0, None, 0);
        let mut r = Reader::new(m.value);
        while let Some((field, v)) = r.next()? {
            match (field, self.kind) {
                (1, _) => value = v.double()?,
                (2, Kind::Counter) => exemplar = Some(exemplar_of(v.bytes()?)?),
                (3, Kind::Counter) => start_ms = timestamp(v.bytes()?)?,
                _ => {}
            }
        }
        let series = push(b, Cow::Borrowed(self.name), m.labels, value, m.timestamp_ms, start_ms)?;
        if let Some(e) = exemplar {
            keep(b, series, e, m.timestamp_ms);
        }
        Ok(())
    }

    fn summary(&self, b: &mut Builder<'a, '_>, m: Metric<'a>) -> Result<(), Bad> {
        let (mut count, mut sum, mut start_ms, mut quantiles) = (0, 0.0, 0, Vec::new());
        let mut r = Reader::new(m.value);
        while let Some((field, v)) = r.next()? {
            match field {
                1 => count = v.varint()?,
                2 => sum = v.double()?,
                3 if quantiles.len() < b.options.limits.max_histogram_buckets => {
                    quantiles.push(pair_of_doubles(v.bytes()?)?);
                }
                3 => return Err(Bad::Content("too many quantiles".to_owned())),
                4 => start_ms = timestamp(v.bytes()?)?,
                _ => {}
            }
        }
        let at = m.timestamp_ms;
        push(b, Cow::Owned(format!("{}_count", self.name)), m.labels.clone(), count as f64, at, start_ms)?;
        push(b, Cow::Owned(format!("{}_sum", self.name)), m.labels.clone(), sum, at, start_ms)?;
        for (quantile, value) in quantiles {
            let mut labels = m.labels.clone();
            labels.push((Cow::Borrowed("quantile"), Cow::Owned(float::open_metrics(quantile))));
            push(b, Cow::Borrowed(self.name), labels, value, at, start_ms)?;
        }
        Ok(())
    }

    fn histogram(&self, b: &mut Builder<'a, '_>, m: Metric<'a>) -> Result<(), Bad> {
        let p = Parts::read(m.value, b.options.limits.max_histogram_buckets)?;
        let how = b.options.histograms;
        let native = how.native && p.is_native();
        if !native || (how.classic && !p.buckets.is_empty()) {
            self.classic(b, &m, &p)?;
        }
        if !native {
            return Ok(());
        }
        let at = m.timestamp_ms;
        let histogram = p.native(self.kind == Kind::GaugeHistogram)?;
        let series = self.push_native(b, m.labels, at, p.start_ms, histogram)?;
        let own = if p.exemplars.is_empty() {
            p.buckets.into_iter().filter_map(|b| b.exemplar).collect()
        } else {
            p.exemplars
        };
        // Without a time of its own nobody could tell a native histogram's old exemplar from a new one.
        own.into_iter().filter(|e| e.has_time).for_each(|e| keep(b, series, e, at));
        Ok(())
    }

    fn classic(&self, b: &mut Builder<'a, '_>, m: &Metric<'a>, p: &Parts<'a>) -> Result<(), Bad> {
        let (at, start_ms, count) = (m.timestamp_ms, p.start_ms, p.count());
        push(b, Cow::Owned(format!("{}_count", self.name)), m.labels.clone(), count, at, start_ms)?;
        push(b, Cow::Owned(format!("{}_sum", self.name)), m.labels.clone(), p.sum, at, start_ms)?;
        let closed = p.buckets.last().is_some_and(|b| b.upper == f64::INFINITY);
        let end = (!closed).then_some(Bucket { upper: f64::INFINITY, cumulative: count, exemplar: None });
        for bucket in p.buckets.iter().chain(&end) {
            let mut labels = m.labels.clone();
            labels.push((Cow::Borrowed("le"), Cow::Owned(float::open_metrics(bucket.upper))));
            let name = Cow::Owned(format!("{}_bucket", self.name));
            let series = push(b, name, labels, bucket.cumulative, at, start_ms)?;
            if let Some(e) = &bucket.exemplar {
                keep(b, series, e.clone(), at);
            }
        }
        Ok(())
    }

    fn push_native(
        &self,
        b: &mut Builder<'a, '_>,
        labels: Labels<'a>,
        at: i64,
        start_ms: i64,
        histogram: model::Histogram,
    ) -> Result<u32, Bad> {
        let own = (at != 0).then_some(at);
        let (series, timestamp_ms) = b.series(self.name, &labels, own)?;
        b.out.batch.histograms.push(HistogramSample { series, timestamp_ms, start_ms, histogram });
        Ok(series)
    }
}

/// A sample under the name and labels given.
fn push<'a>(
    b: &mut Builder<'a, '_>,
    name: Cow<'a, str>,
    labels: Labels<'a>,
    value: f64,
    at: i64,
    start_ms: i64,
) -> Result<u32, Bad> {
    let s = Sample { name, labels, value, time: None, exemplar: None };
    Ok(b.started(&s, (at != 0).then_some(at), start_ms, MetricKind::Unknown)?)
}

/// An exemplar as read.
#[derive(Clone)]
pub(super) struct ReadExemplar<'a> {
    labels: Labels<'a>,
    value: f64,
    timestamp_ms: i64,
    has_time: bool,
}

fn keep<'a>(b: &mut Builder<'a, '_>, series: u32, e: ReadExemplar<'a>, at: i64) {
    let text = ExemplarText { labels: e.labels, value: e.value, time: None };
    let own = e.has_time.then_some(e.timestamp_ms);
    b.exemplar(series, &text, own, (at != 0).then_some(at));
}

pub(super) fn exemplar_of(body: &[u8]) -> Result<ReadExemplar<'_>, Fault> {
    let mut e = ReadExemplar { labels: Vec::new(), value: 0.0, timestamp_ms: 0, has_time: false };
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => e.labels.push(label(v.bytes()?)?),
            2 => e.value = v.double()?,
            3 => {
                e.timestamp_ms = timestamp(v.bytes()?)?;
                e.has_time = true;
            }
            _ => {}
        }
    }
    Ok(e)
}

fn label(body: &[u8]) -> Result<(Cow<'_, str>, Cow<'_, str>), Fault> {
    let (name, value) = name_and_value(body)?;
    Ok((Cow::Borrowed(name), Cow::Borrowed(value)))
}

fn pair_of_doubles(body: &[u8]) -> Result<(f64, f64), Fault> {
    let mut pair = (0.0, 0.0);
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => pair.0 = v.double()?,
            2 => pair.1 = v.double()?,
            _ => {}
        }
    }
    Ok(pair)
}

/// `google.protobuf.Timestamp` in milliseconds.
pub(super) fn timestamp(body: &[u8]) -> Result<i64, Fault> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => seconds = v.varint()? as i64,
            2 => nanos = v.varint()? as i64,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

#[cfg(test)]
mod tests;
