//! What the HTTP API answers with, as far as it is asked.

use std::collections::BTreeMap;

use model::{
    Histogram,
    histogram::{CUSTOM_BUCKETS_SCHEMA, MAX_SCHEMA, MIN_SCHEMA, pack},
};
use serde::Deserialize;

/// `{"status":"success","data":...,"warnings":[...]}`; errors come with another HTTP status.
#[derive(Debug, Deserialize)]
pub(super) struct Success<T> {
    pub(super) data: T,
    /// Absent, or `null`, where there are none. `infos` say something of the query, not of the answer.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) warnings: Vec<String>,
}

/// `null` is what Go makes of an empty list.
pub(super) fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

#[derive(Debug, Deserialize)]
pub(super) struct Matrix {
    #[serde(rename = "resultType")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) result: Vec<Element>,
}

/// One series; seconds and values as text.
#[derive(Debug, Deserialize)]
pub(super) struct Element {
    #[serde(default)]
    pub(super) metric: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) values: Vec<(f64, String)>,
    #[serde(default)]
    pub(super) histograms: Vec<(f64, JsonHistogram)>,
}

/// A native histogram as people read it: bounds instead of schema and indexes, empty buckets left out.
#[derive(Debug, Deserialize)]
pub(super) struct JsonHistogram {
    count: String,
    sum: String,
    #[serde(default)]
    buckets: Vec<(u8, String, String, String)>,
}

/// The rule of a bucket that includes both its bounds, which only the zero bucket does.
const CLOSED: u8 = 3;
/// What client libraries take where nobody says otherwise (2^-128); the threshold of an empty zero bucket is not told.
const USUAL_ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

pub(super) fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
}

impl JsonHistogram {
    /// The histogram whose buckets have these bounds: of the one schema they all fit, else with custom bounds.
    pub(super) fn read(self) -> Result<Histogram, String> {
        let parse = |t: &str| number(t).ok_or_else(|| format!("{t:?} is no number of a histogram"));
        let mut h = Histogram {
            count: parse(&self.count)?,
            sum: parse(&self.sum)?,
            zero_threshold: USUAL_ZERO_THRESHOLD,
            ..Histogram::default()
        };
        let mut buckets = Vec::with_capacity(self.buckets.len());
        for (rule, lower, upper, count) in &self.buckets {
            let b = Bucket { lower: parse(lower)?, upper: parse(upper)?, count: parse(count)? };
            if b.lower.is_nan() || b.upper.is_nan() {
                return Err(format!("a bucket from {lower:?} to {upper:?}"));
            }
            match *rule == CLOSED && b.lower == -b.upper {
                true => (h.zero_threshold, h.zero_count) = (b.upper, b.count),
                false => buckets.push(b),
            }
        }
        let filled = match schema_of(&buckets) {
            Some(schema) => exponential(&mut h, schema, &buckets),
            None => custom(&mut h, &buckets),
        };
        filled.ok_or("a histogram has buckets that cannot be")?;
        h.validate()?;
        Ok(h)
    }
}

/// Bounds without their sign, the smaller one first.
fn magnitudes(b: &Bucket) -> Option<(f64, f64)> {
    match (b.lower, b.upper) {
        (l, u) if l >= 0.0 && u > l => Some((l, u)),
        (l, u) if u <= 0.0 && l < u => Some((-u, -l)),
        _ => None,
    }
}

/// The schema whose bounds these are; 0 where there are none to tell.
fn schema_of(buckets: &[Bucket]) -> Option<i8> {
    let mut found = None;
    for b in buckets {
        let (lower, upper) = magnitudes(b)?;
        if lower <= 0.0 {
            return None;
        }
        if upper.is_infinite() {
            continue;
        }
        let schema = -(upper / lower).log2().log2();
        let whole = schema.round();
        if (schema - whole).abs() > 1e-4 || !(f64::from(MIN_SCHEMA)..=f64::from(MAX_SCHEMA)).contains(&whole)
        {
            return None;
        }
        if found.is_some_and(|f| f != whole as i8) {
            return None;
        }
        found = Some(whole as i8);
    }
    let schema = found.unwrap_or(0);
    buckets.iter().all(|b| index(b, schema).is_some()).then_some(schema)
}

/// The index of a bucket: its upper bound is 2^(index · 2^-schema).
fn index(b: &Bucket, schema: i8) -> Option<i64> {
    let (lower, upper) = magnitudes(b)?;
    let per_power = f64::from(schema).exp2();
    let (bound, behind) = if upper.is_infinite() { (lower, 1) } else { (upper, 0) };
    let exact = bound.log2() * per_power;
    ((exact - exact.round()).abs() < 1e-3).then_some(exact.round() as i64 + behind)
}

fn exponential(h: &mut Histogram, schema: i8, buckets: &[Bucket]) -> Option<()> {
    h.schema = schema;
    let side = |positive: bool| {
        let mut list = Vec::new();
        for b in buckets.iter().filter(|b| (b.upper > 0.0) == positive) {
            list.push((index(b, schema)?, b.count));
        }
        list.sort_by_key(|b| b.0);
        pack(list)
    };
    (h.positive_spans, h.positive_buckets) = side(true)?;
    (h.negative_spans, h.negative_buckets) = side(false)?;
    Some(())
}

/// Bounds of empty buckets are not told; the ones that are make the same histogram with fewer of them.
fn custom(h: &mut Histogram, buckets: &[Bucket]) -> Option<()> {
    h.schema = CUSTOM_BUCKETS_SCHEMA;
    h.zero_threshold = 0.0;
    let mut bounds: Vec<f64> =
        buckets.iter().flat_map(|b| [b.lower, b.upper]).filter(|b| b.is_finite()).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let mut list = Vec::new();
    for b in buckets {
        list.push((bounds.partition_point(|x| *x < b.upper) as i64, b.count));
    }
    list.sort_by_key(|b| b.0);
    (h.positive_spans, h.positive_buckets) = pack(list)?;
    h.custom_values = bounds;
    Some(())
}

#[cfg(test)]
mod tests {
    use model::histogram::{BucketSpan, buckets};
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Histogram, String> {
        serde_json::from_str::<JsonHistogram>(text).unwrap().read()
    }

    #[test]
    fn a_histogram_is_read_back_from_its_bounds() {
        let h = read(
            r#"{"count":"7","sum":"-1.5","buckets":[
                [1,"-2","-1","1"],[3,"-0.001","0.001","2"],[0,"0.25","0.5","1"],[0,"1","2","3"]]}"#,
        );
        let h = h.unwrap();
        assert_eq!((h.schema, h.count, h.sum, h.zero_threshold, h.zero_count), (0, 7.0, -1.5, 0.001, 2.0));
        assert_eq!(
            buckets(&h.positive_spans, &h.positive_buckets).filter(|b| b.1 > 0.0).collect::<Vec<_>>(),
            [(-1, 1.0), (1, 3.0)]
        );
        assert_eq!(
            (h.negative_spans, h.negative_buckets),
            (vec![BucketSpan { offset: 1, length: 1 }], vec![1.0])
        );
    }

    #[test]
    fn bounds_of_no_schema_are_custom_ones() {
        let h = read(
            r#"{"count":"6","sum":"10","buckets":[[3,"-Inf","0.1","1"],[0,"0.5","1.3","2"],[0,"1.3","+Inf","3"]]}"#,
        );
        let h = h.unwrap();
        assert_eq!((h.schema, &h.custom_values[..]), (CUSTOM_BUCKETS_SCHEMA, &[0.1, 0.5, 1.3][..]));
        let got: Vec<_> = buckets(&h.positive_spans, &h.positive_buckets).filter(|b| b.1 > 0.0).collect();
        assert_eq!(got, [(0, 1.0), (2, 2.0), (3, 3.0)]);
    }

    #[test]
    fn what_is_no_histogram_is_an_error() {
        assert!(read(r#"{"count":"x","sum":"1"}"#).is_err());
        assert!(read(r#"{"count":"1","sum":"1","buckets":[[0,"NaN","1","1"]]}"#).is_err());
        assert_eq!(read(r#"{"count":"0","sum":"0"}"#).unwrap().schema, 0);
    }

    proptest! {
        #[test]
        fn every_schema_is_told_by_its_bounds(
            schema in MIN_SCHEMA..=MAX_SCHEMA,
            wanted in proptest::collection::btree_map(-300i64..300, 1u32..50, 1..8),
        ) {
            let width = (-f64::from(schema)).exp2();
            // Bounds stay where a float can tell them.
            let wanted: BTreeMap<i64, u32> = wanted.into_iter().filter(|(i, _)| (*i as f64 * width).abs() < 1000.0).collect();
            let list: Vec<_> = wanted.iter().map(|(i, n)| {
                let bound = |i: i64| (i as f64 * width).exp2().to_string();
                (0u8, bound(i - 1), bound(*i), n.to_string())
            }).collect();
            let h = JsonHistogram { count: "1".into(), sum: "1".into(), buckets: list }.read().unwrap();
            let got: BTreeMap<i64, u32> = buckets(&h.positive_spans, &h.positive_buckets)
                .filter(|b| b.1 > 0.0).map(|(i, n)| (i, n as u32)).collect();
            if !wanted.is_empty() {
                prop_assert_eq!(h.schema, schema);
                prop_assert_eq!(got, wanted);
            }
        }

        #[test]
        fn random_bounds_never_panic(list in proptest::collection::vec((0u8..5, any::<f64>(), any::<f64>(), any::<f64>()), 0..9)) {
            let buckets = list.into_iter().map(|(r, a, b, c)| (r, a.to_string(), b.to_string(), c.to_string())).collect();
            let _ = JsonHistogram { count: "1".into(), sum: "2".into(), buckets }.read();
        }
    }
}
