//! What aggregations came to, as Elasticsearch writes it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
};

use serde_json::{Map, Value, json};
use wire::dates;

use super::{
    Agg, Bucket, Collector, DateHistogram, Histogram, Key, Kind, MAX_BUCKETS, Order, State, Terms,
    collect::states, metric::number, pipeline,
};
use crate::Error;

type Object = Map<String, Value>;

/// Buckets left for an answer.
struct Left(usize);

impl Left {
    fn take(&mut self, buckets: usize) -> Result<(), Error> {
        match self.0.checked_sub(buckets) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(Error::TooManyBuckets(format!(
                "Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}] but this \
                 search makes more. Ask for a shorter time or a longer interval"
            ))),
        }
    }
}

impl Collector {
    /// The object under `aggregations`.
    pub fn answer(self) -> Result<Value, Error> {
        let mut left = Left(MAX_BUCKETS);
        Ok(Value::Object(all(&self.aggs, self.states, &mut left)?))
    }
}

fn all(aggs: &[Agg], states: Vec<State>, left: &mut Left) -> Result<Object, Error> {
    let mut out = Object::new();
    for (agg, state) in aggs.iter().zip(states) {
        if let Some(mut value) = one(agg, state, left)? {
            if let (Some(meta), Some(fields)) = (&agg.meta, value.as_object_mut()) {
                fields.insert("meta".to_owned(), meta.clone());
            }
            out.insert(agg.name.clone(), value);
        }
    }
    for agg in aggs {
        if let Kind::Pipeline(p) = &agg.kind
            && let Some(value) = p.beside(&out)
        {
            out.insert(agg.name.clone(), value);
        }
    }
    Ok(out)
}

fn one(agg: &Agg, state: State, left: &mut Left) -> Result<Option<Value>, Error> {
    Ok(Some(match (&agg.kind, state) {
        (Kind::Terms(t), State::Terms(buckets)) => terms(agg, t, buckets, left)?,
        (Kind::DateHistogram(h), State::Steps(buckets)) => date_histogram(agg, h, buckets, left)?,
        (Kind::Histogram(h), State::Steps(buckets)) => histogram(agg, h, buckets, left)?,
        (Kind::Filters { filters, other }, State::Fixed(buckets)) => {
            let named = filters.first().is_none_or(|(name, _)| name.is_some());
            let names = filters.iter().map(|(name, _)| name.clone()).chain([other.clone()]);
            let mut out = Vec::new();
            let count = filters.len() + usize::from(other.is_some());
            for (name, bucket) in names.zip(buckets).take(count) {
                out.push((name, fill(agg, bucket, Object::new(), left)?));
            }
            listed(out, named)
        }
        (Kind::Filter(_) | Kind::Missing(_), State::Fixed(mut buckets)) => {
            let bucket = buckets.pop().unwrap_or_default();
            Value::Object(fill(agg, bucket, Object::new(), left)?)
        }
        (Kind::Ranges { ranges, keyed, dates: dated, .. }, State::Fixed(buckets)) => {
            let mut out = Vec::new();
            for (range, bucket) in ranges.iter().zip(buckets) {
                let shown = |v: Option<f64>| v.map_or("*".to_owned(), |v| edge(v, *dated));
                let key = range.key.clone();
                let key = key.unwrap_or_else(|| format!("{}-{}", shown(range.from), shown(range.to)));
                let mut head = Object::new();
                head.insert("key".to_owned(), Value::from(key.as_str()));
                for (name, v) in [("from", range.from), ("to", range.to)] {
                    if let Some(v) = v {
                        head.insert(name.to_owned(), number(v));
                        if *dated {
                            head.insert(format!("{name}_as_string"), Value::from(edge(v, true)));
                        }
                    }
                }
                out.push((Some(key), fill(agg, bucket, head, left)?));
            }
            listed(out, *keyed)
        }
        (Kind::Metric(m), State::Numbers(mut numbers)) => numbers.answer(m),
        (Kind::Metric(m), State::Top(top)) => top.answer(m),
        _ => return Ok(None),
    }))
}

fn edge(v: f64, dated: bool) -> String {
    match dated {
        true => dates::format((v as i64).saturating_mul(1_000_000)),
        false => format!("{v:?}"),
    }
}

/// A bucket's count and what is inside it.
fn fill(agg: &Agg, bucket: Bucket, mut head: Object, left: &mut Left) -> Result<Object, Error> {
    left.take(1)?;
    head.insert("doc_count".to_owned(), Value::from(bucket.count));
    head.extend(all(&agg.subs, bucket.subs, left)?);
    Ok(head)
}

fn listed(buckets: Vec<(Option<String>, Object)>, keyed: bool) -> Value {
    match keyed {
        true => {
            let all: Object =
                buckets.into_iter().map(|(k, b)| (k.unwrap_or_default(), Value::Object(b))).collect();
            json!({"buckets": all})
        }
        false => json!({"buckets": buckets.into_iter().map(|(_, b)| Value::Object(b)).collect::<Vec<_>>()}),
    }
}

fn terms(agg: &Agg, t: &Terms, buckets: HashMap<Key, Bucket>, left: &mut Left) -> Result<Value, Error> {
    let mut total: u64 = buckets.values().map(|b| b.count).sum();
    let mut all: Vec<(Key, Bucket)> =
        buckets.into_iter().filter(|(_, b)| b.count >= t.min_doc_count).collect();
    let by_metric = t.order.iter().any(|(by, _)| matches!(by, Order::Metric(_)));
    if !by_metric {
        all.sort_unstable_by(|a, b| by_own(t, a, b));
        all.truncate(t.size);
    }
    // What buckets hold is made once; they are ordered by it where that is asked for.
    let mut made = Vec::with_capacity(all.len().min(t.size));
    let mut free = Left(super::MAX_TERMS);
    for (key, bucket) in all {
        let count = bucket.count;
        let body = fill(agg, bucket, head(&key, t.multi), if by_metric { &mut free } else { left })?;
        made.push((key, count, body));
    }
    if by_metric {
        let values: Vec<Vec<f64>> = made.iter().map(|(_, _, body)| metrics(t, body)).collect();
        let mut order: Vec<usize> = (0..made.len()).collect();
        let none = Vec::new();
        order.sort_by(|a, b| {
            let (x, y) = (made.get(*a), made.get(*b));
            let (Some(x), Some(y)) = (x, y) else { return Ordering::Equal };
            by_all(t, (x, values.get(*a).unwrap_or(&none)), (y, values.get(*b).unwrap_or(&none)))
        });
        let mut slots: Vec<_> = made.into_iter().map(Some).collect();
        made = order.iter().take(t.size).filter_map(|i| slots.get_mut(*i)?.take()).collect();
        left.take(made.len())?;
    }
    let shown: u64 = made.iter().map(|(_, n, _)| *n).sum();
    total -= shown.min(total);
    let buckets: Vec<Value> = made.into_iter().map(|(_, _, body)| Value::Object(body)).collect();
    Ok(json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": total, "buckets": buckets}))
}

fn head(key: &Key, multi: bool) -> Object {
    let value = |k: &Key| match k {
        Key::Bool(b) => Value::from(u8::from(*b)),
        Key::Int(i) => Value::from(*i),
        Key::Double(_) => number(k.double()),
        other => Value::from(other.text()),
    };
    let mut out = Object::new();
    match key {
        Key::Several(all) if multi => {
            out.insert("key".to_owned(), all.iter().map(value).collect());
            out.insert("key_as_string".to_owned(), Value::from(key.text()));
        }
        Key::Bool(_) => {
            out.insert("key".to_owned(), value(key));
            out.insert("key_as_string".to_owned(), Value::from(key.text()));
        }
        _ => {
            out.insert("key".to_owned(), value(key));
        }
    }
    out
}

fn by_own(t: &Terms, a: &(Key, Bucket), b: &(Key, Bucket)) -> Ordering {
    let one = |(by, descending): &(Order, bool)| {
        let order = match by {
            Order::Count => a.1.count.cmp(&b.1.count),
            _ => a.0.cmp(&b.0),
        };
        if *descending { order.reverse() } else { order }
    };
    t.order.iter().map(one).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// What a bucket is ordered by, a value for each metric of the order.
fn metrics(t: &Terms, body: &Object) -> Vec<f64> {
    let value = |(by, _): &(Order, bool)| match by {
        Order::Metric(path) => pipeline::value_at(body, path).unwrap_or(f64::NAN),
        _ => 0.0,
    };
    t.order.iter().map(value).collect()
}

type Made<'a> = (&'a (Key, u64, Object), &'a Vec<f64>);

fn by_all(t: &Terms, a: Made<'_>, b: Made<'_>) -> Ordering {
    for (at, (by, descending)) in t.order.iter().enumerate() {
        let values = (a.1.get(at).copied().unwrap_or(f64::NAN), b.1.get(at).copied().unwrap_or(f64::NAN));
        let order = match by {
            Order::Count => a.0.1.cmp(&b.0.1),
            Order::Key => a.0.0.cmp(&b.0.0),
            // What has no value comes last either way.
            Order::Metric(_) => match (values.0.is_nan(), values.1.is_nan()) {
                (false, false) => values.0.total_cmp(&values.1),
                (x, y) if *descending => y.cmp(&x),
                (x, y) => x.cmp(&y),
            },
        };
        if order.is_ne() {
            return if *descending { order.reverse() } else { order };
        }
    }
    Ordering::Equal
}

/// The first and the last bucket where empty ones are shown: of what was found, and of the bounds asked for.
fn ends(buckets: &BTreeMap<i64, Bucket>, bounds: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let found = buckets.keys().next().copied().zip(buckets.keys().next_back().copied());
    [found, bounds].into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn date_histogram(
    agg: &Agg,
    h: &DateHistogram,
    mut buckets: BTreeMap<i64, Bucket>,
    left: &mut Left,
) -> Result<Value, Error> {
    if h.min_doc_count == 0 {
        let bounds = h.bounds.map(|(from, to)| (h.interval.floor(from), h.interval.floor(to)));
        if let Some((first, last)) = ends(&buckets, bounds) {
            let steps = last.saturating_sub(first) / h.interval.millis();
            left.take(usize::try_from(steps).unwrap_or(usize::MAX).saturating_sub(buckets.len()))?;
            let mut at = first;
            while at <= last {
                buckets.entry(at).or_insert_with(|| Bucket { count: 0, subs: states(&agg.subs) });
                let next = h.interval.next(at);
                if next <= at {
                    break;
                }
                at = next;
            }
            // They are counted once more where they are written.
            left.0 = left.0.saturating_add(buckets.len());
            left.0 = left.0.min(MAX_BUCKETS);
        }
    }
    let mut out = Vec::with_capacity(buckets.len());
    for (key, bucket) in buckets.into_iter().filter(|(_, b)| b.count >= h.min_doc_count) {
        let mut head = Object::new();
        let text = date_text(key, h.format.as_deref());
        head.insert("key_as_string".to_owned(), Value::from(text.as_str()));
        head.insert("key".to_owned(), Value::from(key));
        out.push((Some(text), fill(agg, bucket, head, left)?));
    }
    let step_s = h.interval.millis() as f64 / 1000.0;
    pipeline::along(&agg.subs, &mut out, step_s)?;
    if h.descending {
        out.reverse();
    }
    Ok(listed(out, h.keyed))
}

/// A time in one of the formats that are asked for: epoch, ISO, or letters of a pattern.
fn date_text(ms: i64, format: Option<&str>) -> String {
    let iso = dates::format(ms.saturating_mul(1_000_000));
    match format {
        Some("epoch_millis") => ms.to_string(),
        Some("epoch_second") => ms.div_euclid(1000).to_string(),
        Some(pattern) if pattern.contains("yyyy") || pattern.contains("HH") => {
            let part = |from: usize, to: usize| iso.get(from..to).unwrap_or_default();
            [("yyyy", part(0, 4)), ("MM", part(5, 7)), ("dd", part(8, 10)), ("HH", part(11, 13))]
                .into_iter()
                .chain([("mm", part(14, 16)), ("ss", part(17, 19)), ("SSS", part(20, 23)), ("'", "")])
                .fold(pattern.to_owned(), |text, (letters, digits)| text.replace(letters, digits))
        }
        _ => iso,
    }
}

fn histogram(
    agg: &Agg,
    h: &Histogram,
    mut buckets: BTreeMap<i64, Bucket>,
    left: &mut Left,
) -> Result<Value, Error> {
    if h.min_doc_count == 0 {
        let step = |v: f64| ((v - h.offset) / h.interval).floor() as i64;
        if let Some((first, last)) = ends(&buckets, h.bounds.map(|(from, to)| (step(from), step(to)))) {
            if last.saturating_sub(first) >= MAX_BUCKETS as i64 {
                left.take(usize::MAX)?;
            }
            for at in first..=last {
                buckets.entry(at).or_insert_with(|| Bucket { count: 0, subs: states(&agg.subs) });
            }
        }
    }
    let mut out = Vec::with_capacity(buckets.len());
    for (step, bucket) in buckets.into_iter().filter(|(_, b)| b.count >= h.min_doc_count) {
        let key = step as f64 * h.interval + h.offset;
        let mut head = Object::new();
        head.insert("key".to_owned(), number(key));
        out.push((Some(format!("{key:?}")), fill(agg, bucket, head, left)?));
    }
    pipeline::along(&agg.subs, &mut out, h.interval)?;
    Ok(listed(out, h.keyed))
}
