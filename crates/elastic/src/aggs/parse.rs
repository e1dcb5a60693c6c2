//! Aggregations as written.

use regex::Regex;
use serde_json::{Map, Value};
use wire::dates;

use super::{
    Agg, Chosen, DateHistogram, Histogram, Key, Kind, MAX_BUCKETS, Order, RangeBucket, Terms,
    interval::{Interval, millis},
    metric::{Metric, MetricKind},
    pipeline,
};
use crate::{
    Error, datemath,
    field::Field,
    pattern,
    query::{self, Context},
    sort,
};

/// Aggregations nest no deeper, and a search has no more of them.
const MAX_DEPTH: usize = 12;
const MAX_AGGS: usize = 256;

type Object = Map<String, Value>;

/// Reads the object under `aggs`.
pub fn parse(value: &Value, context: &Context) -> Result<Vec<Agg>, Error> {
    let mut left = MAX_AGGS;
    list(value, context, MAX_DEPTH, &mut left)
}

fn list(value: &Value, context: &Context, depth: usize, left: &mut usize) -> Result<Vec<Agg>, Error> {
    let all = object(value, "aggs")?;
    if depth == 0 || all.len() > *left {
        return Err(Error::illegal(format!(
            "aggregations nest deeper than {MAX_DEPTH} or are more than {MAX_AGGS}"
        )));
    }
    *left -= all.len();
    all.iter().map(|(name, body)| one(name, object(body, name)?, context, depth, left)).collect()
}

fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Object, Error> {
    value.as_object().ok_or_else(|| Error::parsing(format!("[{name}] must be an object")))
}

fn one(name: &str, body: &Object, context: &Context, depth: usize, left: &mut usize) -> Result<Agg, Error> {
    let (mut kind, mut subs, mut meta) = (None, Vec::new(), None);
    for (key, value) in body {
        match key.as_str() {
            "aggs" | "aggregations" => subs = list(value, context, depth - 1, left)?,
            "meta" => meta = Some(value.clone()),
            what if kind.is_none() => kind = Some(self::kind(what, value, context)?),
            more => {
                let why =
                    format!("Found two aggregation type definitions in [{name}]: the second is [{more}]");
                return Err(Error::parsing(why));
            }
        }
    }
    let kind = kind.ok_or_else(|| Error::parsing(format!("Missing definition for aggregation [{name}]")))?;
    if matches!(kind, Kind::Metric(_) | Kind::Pipeline(_)) && !subs.is_empty() {
        return Err(Error::illegal(format!("aggregation [{name}] cannot have sub-aggregations")));
    }
    Ok(Agg { name: name.to_owned(), kind, subs, meta })
}

fn kind(what: &str, value: &Value, context: &Context) -> Result<Kind, Error> {
    let body = object(value, what)?;
    if body.contains_key("script") && !pipeline::is(what) {
        return Err(Error::illegal(format!("[{what}] with a script is not served")));
    }
    match what {
        "terms" => terms(body).map(Kind::Terms),
        "multi_terms" => multi_terms(body).map(Kind::Terms),
        "date_histogram" => date_histogram(body, context).map(Kind::DateHistogram),
        "histogram" => histogram(body).map(Kind::Histogram),
        "filter" => Ok(Kind::Filter(query::parse(value, context)?)),
        "filters" => filters(body, context),
        "range" => ranges(body, None),
        "date_range" => ranges(body, Some(context)),
        "missing" => Ok(Kind::Missing(field(body, what)?)),
        // Lists of objects are looked into as a whole.
        "nested" | "reverse_nested" | "global" => Ok(Kind::Filter(query::Query::All)),
        _ if pipeline::is(what) => pipeline::parse(what, body).map(Kind::Pipeline),
        _ => metric(what, body).map(Kind::Metric),
    }
}

fn field(body: &Object, what: &str) -> Result<Field, Error> {
    let name = body.get("field").and_then(Value::as_str);
    let name = name.ok_or_else(|| Error::illegal(format!("Required one of fields [field] in [{what}]")))?;
    Ok(Field::parse(name))
}

/// A number, or a text that is one.
fn number(body: &Object, key: &str) -> Result<Option<f64>, Error> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(v) => {
            let n = v.as_f64().or_else(|| v.as_str()?.parse().ok());
            n.map(Some).ok_or_else(|| Error::parsing(format!("[{key}] must be a number, not {v}")))
        }
    }
}

fn size(body: &Object, default: usize) -> Result<usize, Error> {
    match number(body, "size")? {
        None => Ok(default),
        // Once a way to ask for all.
        Some(0.0) => Ok(MAX_BUCKETS),
        Some(n) if n > 0.0 => Ok((n as usize).min(MAX_BUCKETS)),
        Some(n) => Err(Error::illegal(format!("[size] must be positive, not {n}"))),
    }
}

fn terms(body: &Object) -> Result<Terms, Error> {
    let missing = match body.get("missing") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(b)) => Some(Key::Bool(*b)),
        Some(Value::Number(n)) => Some(match n.as_i64() {
            Some(i) => Key::Int(i),
            None => Key::of_double(n.as_f64().unwrap_or_default()),
        }),
        Some(v) => Some(Key::Text(v.as_str().unwrap_or_default().to_owned())),
    };
    Ok(Terms {
        fields: vec![field(body, "terms")?],
        size: size(body, 10)?,
        min_doc_count: number(body, "min_doc_count")?.unwrap_or(1.0).max(1.0) as u64,
        missing,
        order: order(body.get("order"))?,
        include: chosen(body.get("include"))?,
        exclude: chosen(body.get("exclude"))?,
        multi: false,
    })
}

fn multi_terms(body: &Object) -> Result<Terms, Error> {
    let parts = body.get("terms").and_then(Value::as_array);
    let parts = parts.filter(|p| (2..=16).contains(&p.len()));
    let parts = parts.ok_or_else(|| Error::illegal("[multi_terms] needs 2 to 16 terms"))?;
    let fields = parts.iter().map(|p| field(object(p, "terms")?, "multi_terms"));
    Ok(Terms {
        fields: fields.collect::<Result<_, _>>()?,
        size: size(body, 10)?,
        min_doc_count: number(body, "min_doc_count")?.unwrap_or(1.0).max(1.0) as u64,
        missing: None,
        order: order(body.get("order"))?,
        include: None,
        exclude: None,
        multi: true,
    })
}

fn order(value: Option<&Value>) -> Result<Vec<(Order, bool)>, Error> {
    let default = vec![(Order::Count, true), (Order::Key, false)];
    let all: Vec<&Value> = match value {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
    };
    let mut out = Vec::new();
    for one in all {
        for (key, direction) in object(one, "order")? {
            let descending = match direction.as_str() {
                Some(d) if d.eq_ignore_ascii_case("desc") => true,
                Some(d) if d.eq_ignore_ascii_case("asc") => false,
                _ => return Err(Error::parsing(format!("Unknown terms order direction [{direction}]"))),
            };
            let by = match key.as_str() {
                "_count" => Order::Count,
                "_key" | "_term" | "_time" => Order::Key,
                other => Order::Metric(other.to_owned()),
            };
            out.push((by, descending));
        }
    }
    out.push((Order::Key, false));
    Ok(out)
}

fn chosen(value: Option<&Value>) -> Result<Option<Chosen>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => {
            let regex: Regex = pattern::lucene(s, false)?;
            Ok(Some(Chosen::Matching(regex)))
        }
        Some(Value::Array(all)) => {
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            Ok(Some(Chosen::Values(all.iter().take(MAX_BUCKETS).map(text).collect())))
        }
        Some(other) => {
            Err(Error::illegal(format!("[include] and [exclude] take no {other}: partitions are not served")))
        }
    }
}

fn date_histogram(body: &Object, context: &Context) -> Result<DateHistogram, Error> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let zone = text("time_zone").unwrap_or("UTC");
    let zone_s = dates::zone(zone).ok_or_else(|| {
        Error::illegal(format!("time_zone [{zone}] is not served: use UTC or an offset such as +02:00"))
    })?;
    let offset_ms = match text("offset") {
        Some(o) => millis(o).ok_or_else(|| Error::illegal(format!("[offset] [{o}] is not a duration")))?,
        None => 0,
    };
    let zone_ms = zone_s * 1000;
    let interval = match (text("fixed_interval"), text("calendar_interval"), text("interval")) {
        (Some(i), None, None) => Interval::fixed(i, offset_ms, zone_ms)?,
        (None, Some(i), None) => Interval::calendar(i, offset_ms, zone_ms)?,
        // The old key took both.
        (None, None, Some(i)) => {
            Interval::calendar(i, offset_ms, zone_ms).or_else(|_| Interval::fixed(i, offset_ms, zone_ms))?
        }
        _ => {
            return Err(Error::illegal(
                "Required one of fields [interval, calendar_interval, fixed_interval]",
            ));
        }
    };
    let bound = |key: &str| -> Result<Option<i64>, Error> {
        let Some(v) = body.get("extended_bounds").and_then(|b| b.get(key)) else { return Ok(None) };
        let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        Ok(Some(datemath::parse(&text, context.now_ns, zone_s)?.from.div_euclid(1_000_000)))
    };
    let missing = match body.get("missing") {
        None | Some(Value::Null) => None,
        Some(v) => {
            let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            Some(datemath::parse(&text, context.now_ns, zone_s)?.from.div_euclid(1_000_000))
        }
    };
    Ok(DateHistogram {
        field: field(body, "date_histogram")?,
        interval,
        min_doc_count: number(body, "min_doc_count")?.unwrap_or(0.0).max(0.0) as u64,
        bounds: bound("min")?.zip(bound("max")?),
        missing,
        format: text("format").map(str::to_owned),
        keyed: body.get("keyed").and_then(Value::as_bool) == Some(true),
        descending: body
            .get("order")
            .and_then(Value::as_object)
            .is_some_and(|o| o.values().any(|v| v == "desc")),
    })
}

fn histogram(body: &Object) -> Result<Histogram, Error> {
    let interval = number(body, "interval")?.filter(|i| *i > 0.0 && i.is_finite());
    let interval =
        interval.ok_or_else(|| Error::illegal("[interval] must be >0 for histogram aggregation"))?;
    let bounds = match body.get("extended_bounds").and_then(Value::as_object) {
        Some(b) => number(b, "min")?.zip(number(b, "max")?),
        None => None,
    };
    Ok(Histogram {
        field: field(body, "histogram")?,
        interval,
        offset: number(body, "offset")?.unwrap_or(0.0),
        min_doc_count: number(body, "min_doc_count")?.unwrap_or(0.0).max(0.0) as u64,
        bounds,
        missing: number(body, "missing")?,
        keyed: body.get("keyed").and_then(Value::as_bool) == Some(true),
    })
}

fn filters(body: &Object, context: &Context) -> Result<Kind, Error> {
    let filters = match body.get("filters") {
        Some(Value::Object(all)) => all
            .iter()
            .map(|(name, q)| Ok((Some(name.clone()), query::parse(q, context)?)))
            .collect::<Result<Vec<_>, Error>>()?,
        Some(Value::Array(all)) => {
            all.iter().map(|q| Ok((None, query::parse(q, context)?))).collect::<Result<Vec<_>, Error>>()?
        }
        _ => return Err(Error::parsing("[filters] needs filters")),
    };
    let named = body.get("other_bucket_key").and_then(Value::as_str);
    let other = match body.get("other_bucket").and_then(Value::as_bool) {
        Some(false) => None,
        Some(true) => Some(named.unwrap_or("_other_")),
        None => named,
    };
    Ok(Kind::Filters { filters, other: other.map(str::to_owned) })
}

/// Numbers, or where a context is given dates.
fn ranges(body: &Object, context: Option<&Context>) -> Result<Kind, Error> {
    let all = body.get("ranges").and_then(Value::as_array);
    let all = all.ok_or_else(|| Error::parsing("[range] needs ranges"))?;
    let bound = |range: &Object, key: &str| -> Result<Option<f64>, Error> {
        match (context, range.get(key)) {
            (Some(context), Some(v)) => {
                let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
                let at = datemath::parse(&text, context.now_ns, 0)?.from.div_euclid(1_000_000);
                Ok(Some(at as f64))
            }
            _ => number(range, key),
        }
    };
    let ranges = all.iter().take(MAX_BUCKETS).map(|r| {
        let r = object(r, "ranges")?;
        let key = r.get("key").and_then(Value::as_str).map(str::to_owned);
        Ok(RangeBucket { key, from: bound(r, "from")?, to: bound(r, "to")? })
    });
    Ok(Kind::Ranges {
        field: field(body, "range")?,
        ranges: ranges.collect::<Result<_, Error>>()?,
        keyed: body.get("keyed").and_then(Value::as_bool) == Some(true),
        dates: context.is_some(),
    })
}

fn metric(what: &str, body: &Object) -> Result<Metric, Error> {
    let kind = match what {
        "avg" => MetricKind::Avg,
        "sum" => MetricKind::Sum,
        "min" => MetricKind::Min,
        "max" => MetricKind::Max,
        "value_count" => MetricKind::ValueCount,
        "stats" => MetricKind::Stats,
        "extended_stats" => MetricKind::ExtendedStats { sigma: number(body, "sigma")?.unwrap_or(2.0) },
        "cardinality" => MetricKind::Cardinality,
        "percentiles" => {
            let given = body.get("percents").and_then(Value::as_array);
            let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.parse().ok());
            let percents = match given {
                Some(all) => all.iter().take(100).filter_map(number).collect(),
                None => vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
            };
            MetricKind::Percentiles {
                percents,
                keyed: body.get("keyed").and_then(Value::as_bool) != Some(false),
            }
        }
        "top_metrics" => {
            let metrics = body.get("metrics").unwrap_or(&Value::Null);
            let name = |m: &Value| m.get("field").and_then(Value::as_str).map(str::to_owned);
            let fields: Vec<String> = match metrics {
                Value::Array(all) => all.iter().take(100).filter_map(name).collect(),
                one => name(one).into_iter().collect(),
            };
            if fields.is_empty() {
                return Err(Error::illegal("[top_metrics] needs metrics"));
            }
            let sort = sort::parse(body.get("sort").unwrap_or(&Value::Null))?;
            let size = size(body, 1)?.min(1000);
            let kind = MetricKind::TopMetrics { fields, sort, size };
            return Ok(Metric { kind, field: Field::Any, missing: None });
        }
        other => {
            let name: String = other.chars().take(100).collect();
            return Err(Error::parsing(format!("Unknown aggregation type [{name}]")));
        }
    };
    Ok(Metric { kind, field: field(body, what)?, missing: number(body, "missing")? })
}
