//! The body of a metrics batch.
//!
//! ```text
//! body      := varint n, n × series
//!            | samples | histograms | exemplars | metadata
//! series    := varint pairs | varint changes | the changed names and values of each pair, as strings
//!              in the order of labels. Bits 2i and 2i+1 of `changes` say that the name and the value of pair
//!              i are not those of pair i of the series before; from pair 32 on, or past its last, they never
//!              are, nor is a string longer than a symbol, so that few bytes never stand for many. (Version 1: labels, as in [`values`](super::values).)
//! samples   := varint n | flag u8 (1: starts are given) | then n each, column after column:
//!              zigzag series - previous | zigzag ms - previous | float | (zigzag start - previous)
//! histograms:= varint n | n × (zigzag series - previous, zigzag ms - previous, zigzag start_ms, histogram)
//! histogram := flags u8 (bits 0-1 reset hint, bit 2 integer) | schema i8
//!            | float zero threshold, zero count, count, sum
//!            | runs, floats (positive) | runs, floats (negative) | floats (custom bounds)
//! runs      := varint n | n × (zigzag offset, varint length)     floats := varint n | n × float
//! exemplars := varint n | n × (varint series, labels, float, zigzag ms - previous)
//! metadata  := varint n | n × (string family, kind u8, string unit, string help)
//! ```
//! "previous" is 0 for the first; differences wrap.
//!
//! Version 3, whose series stand apart ([`apart`](super::apart)):
//!
//! ```text
//! body      := varint number of series | samples | histograms | exemplars | metadata
//! samples   := varint n | flags u8 (1: starts are given; 2: sample i is of series i), then column after column:
//!              (n × zigzag series - previous) | runs of equal times: zigzag ms - previous, varint how many
//!              more, until n | n × (length u8 of at most 8, so many bytes of the float, highest first; the
//!              others are zero) | (n × zigzag start - previous)
//! ```

use model::{
    Exemplar, Histogram, Labels, MetricBatch, MetricKind, MetricMetadata,
    histogram::{BucketSpan, ResetHint},
    metric::{HistogramSample, Samples},
};

use super::{
    FIRST, MAX_SYMBOL, NativeError,
    reader::Reader,
    values::{decode_labels, encode_labels},
    writer::Writer,
};

/// Pairs of a series that are compared with the series before: as many as fit into 64 bits.
const COMPARED: usize = 32;

const HINTS: [ResetHint; 4] = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];

pub(super) fn encode<'a>(w: &mut Writer<'a>, b: &'a MetricBatch) -> Result<(), NativeError> {
    let series = b.series.len();
    w.count(series);
    let mut before = model::labels::BytesIter::default();
    for labels in &b.series {
        encode_series(w, labels, before);
        before = labels.iter_bytes();
    }
    encode_samples(w, &b.samples, series)?;
    encode_rest(w, b)
}

/// Version 3.
pub(super) fn encode_apart<'a>(w: &mut Writer<'a>, b: &'a MetricBatch) -> Result<(), NativeError> {
    w.count(b.series.len());
    encode_columns(w, &b.samples, b.series.len())?;
    encode_rest(w, b)
}

fn encode_rest<'a>(w: &mut Writer<'a>, b: &'a MetricBatch) -> Result<(), NativeError> {
    let series = b.series.len();
    encode_histograms(w, &b.histograms, series)?;
    w.count(b.exemplars.len());
    let mut time = 0;
    for (index, e) in &b.exemplars {
        w.varint(u64::from(checked(*index, series)?));
        encode_labels(w, &e.labels);
        w.float(e.value);
        delta(w, &mut time, e.timestamp_ms);
    }
    w.count(b.metadata.len());
    for m in &b.metadata {
        w.string(&m.family);
        w.byte(MetricKind::ALL.iter().position(|k| *k == m.kind).unwrap_or(0) as u8);
        w.string(&m.unit);
        w.string(&m.help);
    }
    Ok(())
}

/// Series of one batch have most of their labels in common with the one before.
pub(super) fn encode_series<'a>(
    w: &mut Writer<'a>,
    labels: &'a Labels,
    mut before: model::labels::BytesIter<'a>,
) {
    let (mut pairs, mut changes) = (0usize, 0u64);
    for (name, value) in labels.iter_bytes() {
        let (was, had) = before.next().unzip();
        if pairs < COMPARED {
            changes |= (u64::from(changed(name, was)) | u64::from(changed(value, had)) << 1) << (2 * pairs);
        }
        pairs += 1;
    }
    w.count(pairs);
    w.varint(changes);
    for (i, (name, value)) in labels.iter_bytes().enumerate() {
        let bits = if i < COMPARED { changes >> (2 * i) } else { 3 };
        if bits & 1 != 0 {
            w.string_bytes(name);
        }
        if bits & 2 != 0 {
            w.string_bytes(value);
        }
    }
}

fn changed(now: &[u8], then: Option<&[u8]>) -> bool {
    then != Some(now) || now.len() > MAX_SYMBOL
}

/// `pairs` are those of the series before, and then of this one.
pub(super) fn decode_series<'a>(
    r: &mut Reader<'a>,
    pairs: &mut Vec<(&'a str, &'a str)>,
) -> Result<Labels, NativeError> {
    let n = r.varint("number of labels")?;
    let changes = r.varint("changed labels")?;
    // A pair that did not change takes no byte here, so what is left does not bound their number; the series
    // before does.
    let had = pairs.len();
    let n = usize::try_from(n).ok().filter(|n| *n <= had || *n - had <= r.left());
    let n = n.ok_or_else(|| r.invalid("number of labels", "they do not fit into what is left"))?;
    pairs.truncate(n);
    for i in 0..n {
        let bits = if i < COMPARED { changes >> (2 * i) } else { 3 };
        let (mut name, mut value) = pairs.get(i).copied().unwrap_or_default();
        let unfit = |bit: u64, text: &str| bits & bit == 0 && (i >= had || text.len() > MAX_SYMBOL);
        if unfit(1, name) || unfit(2, value) {
            return Err(r.invalid("changed labels", format!("pair {i} cannot be as in the series before")));
        }
        if bits & 1 != 0 {
            name = r.string("label name")?;
        }
        if bits & 2 != 0 {
            value = r.string("label value")?;
        }
        match pairs.get_mut(i) {
            Some(pair) => *pair = (name, value),
            None => pairs.push((name, value)),
        }
    }
    Labels::from_sorted(pairs.iter().copied()).ok_or_else(|| r.invalid("labels", "names do not ascend"))
}

pub(super) fn decode(r: &mut Reader<'_>, version: u8) -> Result<MetricBatch, NativeError> {
    let series = if version == FIRST {
        r.many("series", decode_labels)?
    } else {
        let mut pairs = Vec::new();
        r.many("series", |r| decode_series(r, &mut pairs))?
    };
    let samples = decode_samples(r, series.len())?;
    decode_rest(r, series, samples)
}

/// Version 3.
pub(super) fn decode_apart(r: &mut Reader<'_>, series: Vec<Labels>) -> Result<MetricBatch, NativeError> {
    let n = r.varint("number of series")?;
    if n != series.len() as u64 {
        return Err(r.invalid("number of series", format!("{n}, of {} in their table", series.len())));
    }
    let samples = decode_columns(r, series.len())?;
    decode_rest(r, series, samples)
}

fn decode_rest(
    r: &mut Reader<'_>,
    series: Vec<Labels>,
    samples: Samples,
) -> Result<MetricBatch, NativeError> {
    let histograms = decode_histograms(r, series.len())?;
    let mut time = 0;
    let exemplars = r.many("exemplars", |r| {
        let index = r.u32("series of an exemplar")?;
        let labels = decode_labels(r)?;
        let value = r.float("exemplar value")?;
        let timestamp_ms = undelta(r, &mut time, "exemplar time")?;
        Ok((within(r, index, series.len())?, Exemplar { labels, value, timestamp_ms }))
    })?;
    let metadata = r.many("metadata", |r| {
        let family = r.string("metric family")?.to_owned();
        let kind = r.byte("metric kind")?;
        let kind = MetricKind::ALL
            .get(usize::from(kind))
            .copied()
            .ok_or_else(|| r.invalid("metric kind", format!("{kind} is not known")))?;
        Ok(MetricMetadata {
            family,
            kind,
            unit: r.string("metric unit")?.to_owned(),
            help: r.string("metric help")?.to_owned(),
        })
    })?;
    Ok(MetricBatch { series, samples, histograms, exemplars, metadata, hints: None })
}

/// Columns of one length.
fn check_columns(s: &Samples) -> Result<usize, NativeError> {
    let n = s.value.len();
    for (what, others) in [("series indexes", s.series.len()), ("timestamps", s.timestamp_ms.len())] {
        if others != n {
            return Err(NativeError::UnevenColumns { what, values: n, others });
        }
    }
    if !s.start_ms.is_empty() && s.start_ms.len() != n {
        return Err(NativeError::UnevenColumns { what: "start times", values: n, others: s.start_ms.len() });
    }
    Ok(n)
}

const STARTED: u8 = 1;
const ONE_EACH: u8 = 2;

/// Version 3.
fn encode_columns(w: &mut Writer<'_>, s: &Samples, series: usize) -> Result<(), NativeError> {
    let n = check_columns(s)?;
    let started = !s.start_ms.is_empty();
    let one_each = n <= series && s.series.iter().zip(0u32..).all(|(s, i)| *s == i);
    w.count(n);
    w.byte(if started { STARTED } else { 0 } | if one_each { ONE_EACH } else { 0 });
    let mut previous = 0;
    for index in s.series.iter().filter(|_| !one_each) {
        delta(w, &mut previous, i64::from(checked(*index, series)?));
    }
    previous = 0;
    for run in s.timestamp_ms.chunk_by(|a, b| a == b) {
        run.first().into_iter().for_each(|t| delta(w, &mut previous, *t));
        w.count(run.len() - 1);
    }
    s.value.iter().for_each(|v| w.short_float(*v));
    previous = 0;
    s.start_ms.iter().for_each(|t| delta(w, &mut previous, *t));
    Ok(())
}

/// Version 3.
fn decode_columns(r: &mut Reader<'_>, series: usize) -> Result<Samples, NativeError> {
    let n = r.count("samples")?;
    let flags = r.byte("sample flags")?;
    if flags > STARTED | ONE_EACH {
        return Err(r.invalid("sample flags", format!("{flags} is not known")));
    }
    let mut out = Samples::default();
    if flags & ONE_EACH != 0 {
        if n > series {
            return Err(r.invalid("samples", format!("{n} of them are one each of {series} series")));
        }
        out.series.extend(0..n as u32);
    } else {
        let mut previous = 0;
        for _ in 0..n {
            let index = undelta(r, &mut previous, "series of a sample")?;
            out.series.push(index_within(r, index, series)?);
        }
    }
    let mut time = 0;
    while out.timestamp_ms.len() < n {
        let t = undelta(r, &mut time, "sample time")?;
        let more = usize::try_from(r.varint("samples of one time")?).unwrap_or(usize::MAX);
        match out.timestamp_ms.len().checked_add(more) {
            Some(sum) if sum < n => out.timestamp_ms.resize(sum + 1, t),
            _ => return Err(r.invalid("samples of one time", format!("{more} more, of {n}"))),
        }
    }
    for _ in 0..n {
        out.value.push(r.short_float("sample value")?);
    }
    let mut previous = 0;
    for _ in 0..if flags & STARTED != 0 { n } else { 0 } {
        out.start_ms.push(undelta(r, &mut previous, "start time")?);
    }
    Ok(out)
}

fn encode_samples(w: &mut Writer<'_>, s: &Samples, series: usize) -> Result<(), NativeError> {
    let n = check_columns(s)?;
    w.count(n);
    w.byte(u8::from(!s.start_ms.is_empty()));
    let mut previous = 0;
    for index in &s.series {
        delta(w, &mut previous, i64::from(checked(*index, series)?));
    }
    previous = 0;
    s.timestamp_ms.iter().for_each(|t| delta(w, &mut previous, *t));
    s.value.iter().for_each(|v| w.float(*v));
    previous = 0;
    s.start_ms.iter().for_each(|t| delta(w, &mut previous, *t));
    Ok(())
}

fn decode_samples(r: &mut Reader<'_>, series: usize) -> Result<Samples, NativeError> {
    let n = r.count("samples")?;
    let started = match r.byte("sample flags")? {
        0 => false,
        1 => true,
        other => return Err(r.invalid("sample flags", format!("{other} is not known"))),
    };
    let mut out = Samples::default();
    let mut previous = 0;
    for _ in 0..n {
        let index = undelta(r, &mut previous, "series of a sample")?;
        out.series.push(index_within(r, index, series)?);
    }
    previous = 0;
    for _ in 0..n {
        out.timestamp_ms.push(undelta(r, &mut previous, "sample time")?);
    }
    for _ in 0..n {
        out.value.push(r.float("sample value")?);
    }
    previous = 0;
    for _ in 0..if started { n } else { 0 } {
        out.start_ms.push(undelta(r, &mut previous, "start time")?);
    }
    Ok(out)
}

fn encode_histograms(
    w: &mut Writer<'_>,
    samples: &[HistogramSample],
    series: usize,
) -> Result<(), NativeError> {
    w.count(samples.len());
    let (mut index, mut time) = (0, 0);
    for s in samples {
        delta(w, &mut index, i64::from(checked(s.series, series)?));
        delta(w, &mut time, s.timestamp_ms);
        w.zigzag(s.start_ms);
        encode_histogram(w, &s.histogram);
    }
    Ok(())
}

fn decode_histograms(r: &mut Reader<'_>, series: usize) -> Result<Vec<HistogramSample>, NativeError> {
    let (mut index, mut time) = (0, 0);
    r.many("histograms", |r| {
        let at = undelta(r, &mut index, "series of a histogram")?;
        Ok(HistogramSample {
            series: index_within(r, at, series)?,
            timestamp_ms: undelta(r, &mut time, "histogram time")?,
            start_ms: r.zigzag("start time")?,
            histogram: decode_histogram(r)?,
        })
    })
}

fn encode_histogram(w: &mut Writer<'_>, h: &Histogram) {
    let hint = HINTS.iter().position(|x| *x == h.reset_hint).unwrap_or(0) as u8;
    w.byte(hint | u8::from(h.is_integer) << 2);
    w.byte(h.schema as u8);
    [h.zero_threshold, h.zero_count, h.count, h.sum].into_iter().for_each(|v| w.float(v));
    for (spans, buckets) in
        [(&h.positive_spans, &h.positive_buckets), (&h.negative_spans, &h.negative_buckets)]
    {
        w.count(spans.len());
        for s in spans {
            w.zigzag(i64::from(s.offset));
            w.varint(u64::from(s.length));
        }
        encode_floats(w, buckets);
    }
    encode_floats(w, &h.custom_values);
}

fn decode_histogram(r: &mut Reader<'_>) -> Result<Histogram, NativeError> {
    let flags = r.byte("histogram flags")?;
    if flags > 7 {
        return Err(r.invalid("histogram flags", format!("{flags} is not known")));
    }
    Ok(Histogram {
        reset_hint: HINTS[usize::from(flags & 3)],
        is_integer: flags & 4 != 0,
        schema: r.byte("histogram schema")? as i8,
        zero_threshold: r.float("zero threshold")?,
        zero_count: r.float("zero count")?,
        count: r.float("histogram count")?,
        sum: r.float("histogram sum")?,
        positive_spans: decode_runs(r)?,
        positive_buckets: decode_floats(r)?,
        negative_spans: decode_runs(r)?,
        negative_buckets: decode_floats(r)?,
        custom_values: decode_floats(r)?,
    })
}

fn decode_runs(r: &mut Reader<'_>) -> Result<Vec<BucketSpan>, NativeError> {
    r.many("bucket runs", |r| {
        let offset = r.zigzag("run offset")?;
        let offset = i32::try_from(offset)
            .map_err(|_| r.invalid("run offset", format!("{offset} does not fit 32 bits")))?;
        Ok(BucketSpan { offset, length: r.u32("run length")? })
    })
}

fn encode_floats(w: &mut Writer<'_>, values: &[f64]) {
    w.count(values.len());
    values.iter().for_each(|v| w.float(*v));
}

fn decode_floats(r: &mut Reader<'_>) -> Result<Vec<f64>, NativeError> {
    r.many("floats", |r| r.float("float"))
}

fn delta(w: &mut Writer<'_>, previous: &mut i64, v: i64) {
    w.zigzag(v.wrapping_sub(*previous));
    *previous = v;
}

fn undelta(r: &mut Reader<'_>, previous: &mut i64, what: &'static str) -> Result<i64, NativeError> {
    *previous = previous.wrapping_add(r.zigzag(what)?);
    Ok(*previous)
}

fn checked(index: u32, count: usize) -> Result<u32, NativeError> {
    if (index as usize) < count {
        return Ok(index);
    }
    Err(NativeError::BadIndex { what: "series", index, count })
}

fn within(r: &Reader<'_>, index: u32, count: usize) -> Result<u32, NativeError> {
    checked(index, count).map_err(|e| r.invalid("series index", e.to_string()))
}

fn index_within(r: &Reader<'_>, index: i64, count: usize) -> Result<u32, NativeError> {
    match u32::try_from(index) {
        Ok(index) => within(r, index, count),
        Err(_) => Err(r.invalid("series index", format!("{index} of {count}"))),
    }
}
