//! Documents into buckets, one at a time.

use std::collections::{BTreeMap, HashMap};

use base::{MemoryBudget, memory::Reservation, memory::Use};

use super::{
    Agg, Bucket, DateHistogram, Histogram, Key, Kind, MAX_TERMS, RangeBucket, State, Terms,
    metric::{MetricKind, Numbers, Top},
};
use crate::{
    Error,
    field::{Doc, Scalar},
};

/// What a bucket takes, its place in a map included.
const BUCKET_BYTES: u64 = 200;
/// Memory is asked for in steps of so many buckets.
const STEP: u64 = 256;
/// A document is in at most so many buckets of one aggregation.
const MAX_KEYS: usize = 1024;

/// Aggregations over the documents seen so far.
pub struct Collector {
    pub(super) aggs: Vec<Agg>,
    pub(super) states: Vec<State>,
    account: Account,
}

struct Account {
    memory: Reservation,
    buckets: u64,
    paid: u64,
}

impl Account {
    fn bucket(&mut self, key_bytes: usize) -> Result<(), Error> {
        self.buckets += 1;
        if self.buckets > MAX_TERMS as u64 {
            return Err(Error::TooManyBuckets(format!(
                "Trying to create too many buckets. Must be less than or equal to: [{MAX_TERMS}]. \
                 Ask for a shorter time, a longer interval, or fields with fewer values"
            )));
        }
        // Long keys weigh as more buckets.
        let weight = 1 + key_bytes as u64 / BUCKET_BYTES;
        if self.buckets + weight > self.paid {
            self.memory.grow((STEP + weight) * BUCKET_BYTES)?;
            self.paid += STEP + weight;
        }
        Ok(())
    }
}

impl Collector {
    pub fn new(aggs: Vec<Agg>, budget: &MemoryBudget) -> Result<Self, Error> {
        let states = states(&aggs);
        let memory = budget.reserve(Use::Query, 0)?;
        Ok(Collector { aggs, states, account: Account { memory, buckets: 0, paid: 0 } })
    }

    pub fn collect(&mut self, doc: &Doc<'_>) -> Result<(), Error> {
        all(&self.aggs, &mut self.states, doc, &mut self.account)
    }
}

pub(super) fn states(aggs: &[Agg]) -> Vec<State> {
    let fixed = |n: usize, subs: &[Agg]| {
        State::Fixed((0..n).map(|_| Bucket { count: 0, subs: states(subs) }).collect())
    };
    let one = |agg: &Agg| match &agg.kind {
        Kind::Terms(_) => State::Terms(HashMap::new()),
        Kind::DateHistogram(_) | Kind::Histogram(_) => State::Steps(BTreeMap::new()),
        Kind::Filters { filters, .. } => fixed(filters.len() + 1, &agg.subs),
        Kind::Filter(_) | Kind::Missing(_) => fixed(1, &agg.subs),
        Kind::Ranges { ranges, .. } => fixed(ranges.len(), &agg.subs),
        Kind::Metric(m) if matches!(m.kind, MetricKind::TopMetrics { .. }) => State::Top(Top::default()),
        Kind::Metric(m) => State::Numbers(Box::new(Numbers::new(&m.kind))),
        Kind::Pipeline(_) => State::Nothing,
    };
    aggs.iter().map(one).collect()
}

fn all(aggs: &[Agg], states: &mut [State], doc: &Doc<'_>, account: &mut Account) -> Result<(), Error> {
    aggs.iter().zip(states).try_for_each(|(agg, state)| one(agg, state, doc, account))
}

fn one(agg: &Agg, state: &mut State, doc: &Doc<'_>, account: &mut Account) -> Result<(), Error> {
    match (&agg.kind, state) {
        (Kind::Terms(t), State::Terms(buckets)) => {
            for key in keys(t, doc) {
                if !buckets.contains_key(&key) {
                    account.bucket(key.heap_bytes())?;
                }
                let bucket = buckets.entry(key).or_insert_with(|| empty(agg));
                enter(agg, bucket, doc, account)?;
            }
            Ok(())
        }
        (Kind::DateHistogram(h), State::Steps(buckets)) => steps(agg, dates(h, doc), buckets, doc, account),
        (Kind::Histogram(h), State::Steps(buckets)) => steps(agg, numbers(h, doc), buckets, doc, account),
        (Kind::Filters { filters, .. }, State::Fixed(buckets)) => {
            let mut any = false;
            let last = buckets.len().saturating_sub(1);
            for (at, (_, query)) in filters.iter().enumerate() {
                if query.matches(doc) {
                    any = true;
                    enter_at(agg, buckets, at, doc, account)?;
                }
            }
            if any { Ok(()) } else { enter_at(agg, buckets, last, doc, account) }
        }
        (Kind::Filter(query), State::Fixed(buckets)) if query.matches(doc) => {
            enter_at(agg, buckets, 0, doc, account)
        }
        (Kind::Missing(field), State::Fixed(buckets)) if !field.any(doc, |_| true) => {
            enter_at(agg, buckets, 0, doc, account)
        }
        (Kind::Ranges { field, ranges, .. }, State::Fixed(buckets)) => {
            let values: Vec<f64> = field.values(doc).iter().filter_map(Scalar::number).collect();
            for (at, range) in ranges.iter().enumerate() {
                if values.iter().any(|v| range.has(*v)) {
                    enter_at(agg, buckets, at, doc, account)?;
                }
            }
            Ok(())
        }
        (Kind::Metric(m), State::Numbers(numbers)) => {
            numbers.collect(m, doc);
            Ok(())
        }
        (Kind::Metric(m), State::Top(top)) => {
            top.collect(m, doc);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn empty(agg: &Agg) -> Bucket {
    Bucket { count: 0, subs: states(&agg.subs) }
}

fn enter(agg: &Agg, bucket: &mut Bucket, doc: &Doc<'_>, account: &mut Account) -> Result<(), Error> {
    bucket.count += 1;
    all(&agg.subs, &mut bucket.subs, doc, account)
}

fn enter_at(
    agg: &Agg,
    buckets: &mut [Bucket],
    at: usize,
    doc: &Doc<'_>,
    account: &mut Account,
) -> Result<(), Error> {
    match buckets.get_mut(at) {
        Some(bucket) => enter(agg, bucket, doc, account),
        None => Ok(()),
    }
}

fn steps(
    agg: &Agg,
    keys: Vec<i64>,
    buckets: &mut BTreeMap<i64, Bucket>,
    doc: &Doc<'_>,
    account: &mut Account,
) -> Result<(), Error> {
    for key in keys {
        if !buckets.contains_key(&key) {
            account.bucket(0)?;
        }
        enter(agg, buckets.entry(key).or_insert_with(|| empty(agg)), doc, account)?;
    }
    Ok(())
}

fn distinct<T: PartialEq>(mut keys: Vec<T>) -> Vec<T> {
    let mut at = 1;
    while at < keys.len() {
        let twice = keys.get(at).is_some_and(|k| keys.iter().take(at).any(|other| other == k));
        if twice {
            keys.swap_remove(at);
        } else {
            at += 1;
        }
    }
    keys
}

fn dates(h: &DateHistogram, doc: &Doc<'_>) -> Vec<i64> {
    let mut out: Vec<i64> = Vec::new();
    h.field.any(doc, |v| {
        out.extend(v.time().map(|ns| h.interval.floor(ns.div_euclid(1_000_000))));
        out.len() >= MAX_KEYS
    });
    if out.is_empty() {
        out.extend(h.missing.map(|ms| h.interval.floor(ms)));
    }
    distinct(out)
}

fn numbers(h: &Histogram, doc: &Doc<'_>) -> Vec<i64> {
    let step = |v: f64| ((v - h.offset) / h.interval).floor() as i64;
    let mut out: Vec<i64> = Vec::new();
    h.field.any(doc, |v| {
        out.extend(v.number().filter(|n| n.is_finite()).map(step));
        out.len() >= MAX_KEYS
    });
    if out.is_empty() {
        out.extend(h.missing.map(step));
    }
    distinct(out)
}

impl RangeBucket {
    fn has(&self, v: f64) -> bool {
        self.from.is_none_or(|from| v >= from) && self.to.is_none_or(|to| v < to)
    }
}

impl Key {
    pub(super) fn of_double(v: f64) -> Self {
        let bits = v.to_bits();
        // Negative numbers order the other way round, and below positive ones.
        Key::Double(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 })
    }

    fn of(value: &Scalar<'_>) -> Self {
        match value {
            Scalar::Text(t) => Key::Text(t.to_string()),
            Scalar::Int(i) => Key::Int(*i),
            Scalar::Double(d) => Key::of_double(*d),
            Scalar::Bool(b) => Key::Bool(*b),
            Scalar::Time(ns) => Key::Int(ns.div_euclid(1_000_000)),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Key::Bool(b) => b.to_string(),
            Key::Int(i) => i.to_string(),
            Key::Double(_) => self.double().to_string(),
            Key::Text(t) => t.clone(),
            Key::Several(all) => all.iter().map(Key::text).collect::<Vec<_>>().join("|"),
        }
    }

    pub(super) fn double(&self) -> f64 {
        match self {
            Key::Double(bits) if bits >> 63 == 1 => f64::from_bits(bits & !(1 << 63)),
            Key::Double(bits) => f64::from_bits(!bits),
            _ => 0.0,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Key::Text(t) => t.len(),
            Key::Several(all) => all.iter().map(Key::heap_bytes).sum(),
            _ => 0,
        }
    }
}

fn keys(t: &Terms, doc: &Doc<'_>) -> Vec<Key> {
    let of = |field: &crate::field::Field| {
        let mut out = Vec::new();
        field.any(doc, |v| {
            out.push(Key::of(v));
            out.len() >= MAX_KEYS
        });
        out
    };
    let mut out = match t.fields.as_slice() {
        [one] => of(one),
        many => {
            let parts: Vec<Key> = many.iter().filter_map(|f| of(f).into_iter().next()).collect();
            if parts.len() == many.len() { vec![Key::Several(parts)] } else { Vec::new() }
        }
    };
    if out.is_empty() {
        out.extend(t.missing.clone());
    }
    let has = |chosen: &Option<super::Chosen>, k: &Key| chosen.as_ref().is_some_and(|c| c.has(&k.text()));
    out.retain(|k| (t.include.is_none() || has(&t.include, k)) && !has(&t.exclude, k));
    distinct(out)
}
