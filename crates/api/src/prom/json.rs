//! Writes query results as Prometheus does, byte for byte where clients look: times as seconds with three
//! decimals or none, values as strings, histograms as lists of non-empty buckets (`web/api/v1/json_codec.go`
//! defines the shape). Written straight into a buffer, since a range answer may hold millions of numbers.

use std::io::Write as _;

use model::{Histogram, Labels};
use promql::{InstantSample, RangeSeries, SampleValue, Value};

/// Below this every whole number is an integer of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A buffer of JSON text.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn string(&mut self, text: &str) -> &mut Self {
        // Writing to a Vec cannot fail, and every &str has a JSON form.
        let _ = serde_json::to_writer(&mut self.0, text);
        self
    }

    /// `1435781430.781`, or `1435781430` where there is no fraction.
    pub fn time(&mut self, ms: i64) -> &mut Self {
        if ms < 0 {
            self.0.push(b'-');
        }
        let abs = ms.unsigned_abs();
        self.digits(abs / 1000);
        let fraction = abs % 1000;
        if fraction > 0 {
            self.0.push(b'.');
            self.0.extend([fraction / 100, fraction / 10 % 10, fraction % 10].map(|d| b'0' + d as u8));
        }
        self
    }

    /// An integer. Range answers hold a time and often a whole number for each point, and the formatting machinery
    /// costs several times what the digits do.
    fn digits(&mut self, mut n: u64) {
        let at = self.0.len();
        loop {
            self.0.push(b'0' + (n % 10) as u8);
            n /= 10;
            if n == 0 {
                break;
            }
        }
        if let Some(made) = self.0.get_mut(at..) {
            made.reverse();
        }
    }

    /// A quoted number.
    pub fn value(&mut self, v: f64) -> &mut Self {
        self.0.push(b'"');
        if v.fract() == 0.0 && v.abs() < EXACT {
            if v.is_sign_negative() {
                self.0.push(b'-');
            }
            self.digits(v.abs() as u64);
        } else if (1e-6..1e21).contains(&v.abs()) {
            // Writing to a Vec cannot fail.
            let _ = write!(self.0, "{v}");
        } else {
            self.raw(&format_value(v));
        }
        self.0.push(b'"');
        self
    }

    pub fn labels(&mut self, labels: &Labels) -> &mut Self {
        self.raw("{");
        for (i, (name, value)) in labels.iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            self.string(name).raw(":").string(value);
        }
        self.raw("}")
    }

    /// Comma separated items.
    pub fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.raw("[");
        for (i, x) in items.into_iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            item(self, x);
        }
        self.raw("]")
    }

    pub fn strings<S: AsRef<str>>(&mut self, items: impl IntoIterator<Item = S>) -> &mut Self {
        self.list(items, |w, s| {
            w.string(s.as_ref());
        })
    }

    fn pair(&mut self, t_ms: i64, v: f64) {
        self.raw("[").time(t_ms).raw(",").value(v).raw("]");
    }

    fn histogram_pair(&mut self, t_ms: i64, h: &Histogram) {
        self.raw("[").time(t_ms).raw(",").histogram(h).raw("]");
    }

    fn histogram(&mut self, h: &Histogram) -> &mut Self {
        self.raw("{\"count\":").value(h.count).raw(",\"sum\":").value(h.sum);
        let buckets = super::buckets::non_empty(h);
        if !buckets.is_empty() {
            self.raw(",\"buckets\":").list(buckets, |w, b| {
                w.raw("[").raw(b.boundaries).raw(",").value(b.lower).raw(",").value(b.upper);
                w.raw(",").value(b.count).raw("]");
            });
        }
        self.raw("}")
    }

    /// `"resultType":…,"result":…`, without braces so that stats may follow.
    pub fn result(&mut self, value: &Value) -> &mut Self {
        self.raw("\"resultType\":\"").raw(value.type_name()).raw("\",\"result\":");
        match value {
            Value::Scalar { t_ms, v } => self.pair(*t_ms, *v),
            Value::String { t_ms, s } => {
                self.raw("[").time(*t_ms).raw(",").string(s).raw("]");
            }
            Value::Vector(samples) => {
                self.list(samples, Self::instant_sample);
            }
            Value::Matrix(series) => {
                self.list(series, Self::range_series);
            }
        }
        self
    }

    fn instant_sample(&mut self, s: &InstantSample) {
        self.raw("{\"metric\":").labels(&s.labels);
        match &s.value {
            SampleValue::Float(v) => {
                self.raw(",\"value\":").pair(s.t_ms, *v);
            }
            SampleValue::Histogram(h) => {
                self.raw(",\"histogram\":").histogram_pair(s.t_ms, h);
            }
        }
        self.raw("}");
    }

    fn range_series(&mut self, s: &RangeSeries) {
        self.raw("{\"metric\":").labels(&s.labels);
        if !s.floats.is_empty() {
            self.raw(",\"values\":").list(&s.floats, |w, (t, v)| w.pair(*t, *v));
        }
        if !s.histograms.is_empty() {
            self.raw(",\"histograms\":").list(&s.histograms, |w, (t, h)| w.histogram_pair(*t, h));
        }
        self.raw("}");
    }
}

/// The shortest decimal that reads back the same; with an exponent of at least two digits below 1e-6 and from
/// 1e21 on, as Go's `strconv` writes it for Prometheus.
pub fn format_value(v: f64) -> String {
    let abs = v.abs();
    if !v.is_finite() || abs == 0.0 || (1e-6..1e21).contains(&abs) {
        return promql::format_float(v);
    }
    let text = format!("{v:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(e) => format!("{digits}e-{e:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Writer)) -> String {
        let mut w = Writer::default();
        write(&mut w);
        String::from_utf8(w.0).unwrap()
    }

    #[test]
    fn times_have_three_decimals_or_none() {
        for (ms, want) in
            [(1_435_781_430_781, "1435781430.781"), (1000, "1"), (1050, "1.050"), (-1500, "-1.500")]
        {
            let got = text(|w| {
                w.time(ms);
            });
            assert_eq!(got, want);
        }
    }

    #[test]
    fn values_are_written_as_go_writes_them() {
        for (v, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e-7, "1.25e-07"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_value(v), want);
        }
    }

    #[test]
    fn whole_numbers_are_written_as_all_others_are() {
        let edges =
            [0.0, -0.0, 1.0, -1.0, 10.0, 1e6, -123_456.0, EXACT - 1.0, EXACT, EXACT + 2.0, 1e15, 1e21];
        for v in edges.into_iter().chain((0..64).map(|i| (1u64 << i) as f64)) {
            let got = text(|w| {
                w.value(v);
            });
            assert_eq!(got, format!("\"{}\"", format_value(v)));
        }
    }

    #[test]
    fn a_vector_carries_labels_and_a_pair() {
        let sample = InstantSample {
            labels: Labels::from_pairs([("__name__", "up"), ("a", "\"\n")]),
            t_ms: 1500,
            value: SampleValue::Float(1.0),
        };
        let got = text(|w| {
            w.result(&Value::Vector(vec![sample]));
        });
        let want =
            r#""resultType":"vector","result":[{"metric":{"__name__":"up","a":"\"\n"},"value":[1.500,"1"]}]"#;
        assert_eq!(got, want);
    }

    proptest! {
        #[test]
        fn every_value_reads_back_the_same(bits in any::<u64>()) {
            let v = f64::from_bits(bits);
            let got = text(|w| {
                w.value(v);
            });
            prop_assert_eq!(got, format!("\"{}\"", format_value(v)));
            if v.is_finite() {
                prop_assert_eq!(format_value(v).parse::<f64>().unwrap().to_bits(), v.to_bits());
            }
        }
    }
}
