//! Writes the text format 0.0.4 and the protobuf exposition, for whoever scrapes a node for what it holds
//! (federation). Families come in order; samples of one family stand together.

use std::{borrow::Cow, io::Write as _};

use model::{
    Histogram, Labels,
    histogram::{BucketSpan, ResetHint},
    labels::{METRIC_NAME, is_classic_label_name, is_classic_metric_name},
};
use prost::Message;
use proto::exposition as pb;

/// One sample with its labels, name included, at a millisecond.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposed {
    pub labels: Labels,
    /// A label written without a value behind the others: a scraper that honours labels then leaves it away
    /// instead of setting its own.
    pub blank: Option<&'static str>,
    pub at_ms: i64,
    pub value: ExposedValue,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExposedValue {
    Float(f64),
    Histogram(Box<Histogram>),
}

/// How names are written that are not letters, digits and underscores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// As they are, in quotes.
    Quoted,
    /// With underscores in place of what is not allowed, for readers that know no quotes.
    Underscores,
}

/// The text format. Native histograms have no place in it: those with custom bounds become classic ones, the
/// others are left out.
pub fn write_text(samples: &[Exposed], names: Names) -> Vec<u8> {
    let mut w = Text { out: Vec::new(), names };
    for family in samples.chunk_by(same_family) {
        let Some(first) = family.first() else { continue };
        let name = first.labels.metric_name();
        let shown = family.iter().filter(|s| has_text_form(&s.value));
        for (i, s) in shown.enumerate() {
            if i == 0 {
                w.head(name, &s.value);
            }
            match &s.value {
                ExposedValue::Float(v) => w.line(name, "", s, None, *v),
                ExposedValue::Histogram(h) => w.classic(name, s, h),
            }
        }
    }
    w.out
}

fn same_family(a: &Exposed, b: &Exposed) -> bool {
    a.labels.metric_name() == b.labels.metric_name() && family_type(&a.value) == family_type(&b.value)
}

fn has_text_form(v: &ExposedValue) -> bool {
    match v {
        ExposedValue::Float(_) => true,
        ExposedValue::Histogram(h) => h.uses_custom_buckets(),
    }
}

fn family_type(v: &ExposedValue) -> pb::MetricType {
    match v {
        ExposedValue::Float(_) => pb::MetricType::Untyped,
        ExposedValue::Histogram(h) if h.reset_hint == ResetHint::Gauge => pb::MetricType::GaugeHistogram,
        ExposedValue::Histogram(_) => pb::MetricType::Histogram,
    }
}

struct Text {
    out: Vec<u8>,
    names: Names,
}

impl Text {
    fn head(&mut self, name: &str, value: &ExposedValue) {
        let kind = match family_type(value) {
            pb::MetricType::Histogram | pb::MetricType::GaugeHistogram => "histogram",
            _ => "untyped",
        };
        let name = self.name(name, is_classic_metric_name);
        // Writing to a Vec cannot fail, here and below.
        let _ = writeln!(self.out, "# TYPE {name} {kind}");
    }

    /// A name as it stands in the text, with quotes where it needs them.
    fn name<'a>(&self, name: &'a str, is_plain: fn(&str) -> bool) -> Cow<'a, str> {
        match self.names {
            _ if is_plain(name) => Cow::Borrowed(name),
            Names::Quoted => Cow::Owned(format!("\"{}\"", escape(name))),
            Names::Underscores => Cow::Owned(underscored(name)),
        }
    }

    fn line(&mut self, name: &str, suffix: &str, s: &Exposed, le: Option<f64>, value: f64) {
        let whole = format!("{name}{suffix}");
        let shown = self.name(&whole, is_classic_metric_name).into_owned();
        let in_braces = shown.starts_with('"');
        let mut inside: Vec<String> = Vec::new();
        if in_braces {
            inside.push(shown.clone());
        }
        for (n, v) in s.labels.iter().filter(|(n, _)| *n != METRIC_NAME) {
            inside.push(format!("{}=\"{}\"", self.name(n, is_classic_label_name), escape(v)));
        }
        inside.extend(s.blank.map(|n| format!("{n}=\"\"")));
        if let Some(bound) = le {
            inside.push(format!("le=\"{}\"", float(bound)));
        }
        if !in_braces {
            self.out.extend_from_slice(shown.as_bytes());
        }
        if !inside.is_empty() {
            let _ = write!(self.out, "{{{}}}", inside.join(","));
        }
        let _ = writeln!(self.out, " {} {}", float(value), s.at_ms);
    }

    /// A histogram with custom bounds as cumulative buckets.
    fn classic(&mut self, name: &str, s: &Exposed, h: &Histogram) {
        for (bound, count) in cumulative(h) {
            self.line(name, "_bucket", s, Some(bound), count);
        }
        self.line(name, "_sum", s, None, h.sum);
        self.line(name, "_count", s, None, h.count);
    }
}

/// Every custom bound and +Inf with the observations up to it.
fn cumulative(h: &Histogram) -> Vec<(f64, f64)> {
    let mut counts = vec![0.0; h.custom_values.len()];
    for (index, count) in indexed(&h.positive_spans, &h.positive_buckets) {
        if let Some(c) = usize::try_from(index).ok().and_then(|i| counts.get_mut(i)) {
            *c += count;
        }
    }
    let mut sum = 0.0;
    let bounds = h.custom_values.iter().zip(counts).map(|(bound, count)| {
        sum += count;
        (*bound, sum)
    });
    let mut out: Vec<(f64, f64)> = bounds.collect();
    out.push((f64::INFINITY, h.count));
    out
}

fn indexed<'a>(spans: &'a [BucketSpan], buckets: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0i64;
    let indexes = spans.iter().flat_map(move |s| {
        let from = next + i64::from(s.offset);
        next = from + i64::from(s.length);
        from..next
    });
    indexes.zip(buckets.iter().copied())
}

/// In labels and quoted names.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

fn underscored(name: &str) -> String {
    let plain = |(i, c): (usize, char)| {
        let allowed = c.is_ascii_alphabetic() || c == '_' || c == ':' || (c.is_ascii_digit() && i > 0);
        if allowed { c } else { '_' }
    };
    name.chars().enumerate().map(plain).collect()
}

/// As Go prints `%g`: an exponent of two digits from a million on and below a ten-thousandth.
fn float(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{v:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(e) if (-4..6).contains(&e) || v == 0.0 => v.to_string(),
        Ok(e) => format!("{digits}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs()),
        Err(_) => scientific,
    }
}

/// Length-delimited `io.prometheus.client.MetricFamily` messages.
pub fn write_protobuf(samples: &[Exposed]) -> Vec<u8> {
    let mut out = Vec::new();
    for family in samples.chunk_by(same_family) {
        let Some(first) = family.first() else { continue };
        let message = pb::MetricFamily {
            name: Some(first.labels.metric_name().to_owned()),
            r#type: Some(family_type(&first.value).into()),
            metric: family.iter().map(metric).collect(),
            ..Default::default()
        };
        out.extend_from_slice(&message.encode_length_delimited_to_vec());
    }
    out
}

fn metric(s: &Exposed) -> pb::Metric {
    let pair = |(n, v): (&str, &str)| pb::LabelPair { name: Some(n.to_owned()), value: Some(v.to_owned()) };
    let own = s.labels.iter().filter(|(n, _)| *n != METRIC_NAME);
    let mut m = pb::Metric {
        label: own.chain(s.blank.map(|n| (n, ""))).map(pair).collect(),
        timestamp_ms: Some(s.at_ms),
        ..Default::default()
    };
    match &s.value {
        ExposedValue::Float(v) => m.untyped = Some(pb::Untyped { value: Some(*v) }),
        ExposedValue::Histogram(h) => m.histogram = Some(histogram(h)),
    }
    m
}

fn histogram(h: &Histogram) -> pb::Histogram {
    let mut out =
        pb::Histogram { sample_count_float: Some(h.count), sample_sum: Some(h.sum), ..Default::default() };
    if h.uses_custom_buckets() {
        let bucket = |(bound, count): (f64, f64)| pb::Bucket {
            upper_bound: Some(bound),
            cumulative_count_float: Some(count),
            ..Default::default()
        };
        out.bucket = cumulative(h).into_iter().map(bucket).collect();
        return out;
    }
    let span = |s: &BucketSpan| pb::BucketSpan { offset: Some(s.offset), length: Some(s.length) };
    out.schema = Some(h.schema.into());
    out.zero_threshold = Some(h.zero_threshold);
    out.zero_count_float = Some(h.zero_count);
    out.positive_span = h.positive_spans.iter().map(span).collect();
    out.positive_count.clone_from(&h.positive_buckets);
    out.negative_span = h.negative_spans.iter().map(span).collect();
    out.negative_count.clone_from(&h.negative_buckets);
    // A histogram without buckets is told from a classic one by its span.
    if out.positive_span.is_empty() && out.negative_span.is_empty() {
        out.positive_span.push(pb::BucketSpan { offset: Some(0), length: Some(0) });
    }
    out
}

#[cfg(test)]
mod tests;
