//! Aggregations over what others came to: along the buckets of a histogram, or over all buckets of one beside.

use serde_json::{Map, Value, json};

use super::{Agg, Kind, interval::millis, metric::number, script::Script};
use crate::Error;

type Object = Map<String, Value>;

#[derive(Debug, Clone)]
pub(super) enum Pipeline {
    Derivative {
        path: String,
        unit_ms: Option<i64>,
    },
    CumulativeSum(String),
    SerialDiff {
        path: String,
        lag: usize,
    },
    MovingFn {
        path: String,
        window: usize,
        shift: i64,
        function: Moving,
    },
    BucketScript {
        paths: Vec<(String, String)>,
        script: Script,
    },
    /// Over the buckets of a sibling.
    Beside {
        path: String,
        what: Over,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Moving {
    Max,
    Min,
    Sum,
    Average,
    Linear,
    Deviation,
    Exponential(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Over {
    Avg,
    Sum,
    Min,
    Max,
    Stats,
}

/// A window holds no more buckets.
const MAX_WINDOW: usize = 10_000;

pub(super) fn is(what: &str) -> bool {
    [
        "derivative",
        "cumulative_sum",
        "serial_diff",
        "moving_fn",
        "moving_avg",
        "bucket_script",
        "avg_bucket",
        "sum_bucket",
        "min_bucket",
        "max_bucket",
        "stats_bucket",
    ]
    .contains(&what)
}

pub(super) fn parse(what: &str, body: &Object) -> Result<Pipeline, Error> {
    let count = |key: &str| {
        let v = body.get(key)?;
        v.as_i64().or_else(|| v.as_str()?.parse().ok())
    };
    let script = || -> Option<&str> {
        let script = body.get("script")?;
        // An old way to write it.
        script.as_str().or_else(|| script.get("source").or_else(|| script.get("inline"))?.as_str())
    };
    if what == "bucket_script" {
        let paths = body.get("buckets_path").and_then(Value::as_object);
        let paths = paths.ok_or_else(|| Error::illegal("[bucket_script] needs buckets_path by name"))?;
        let paths = paths.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())));
        let text = script().ok_or_else(|| Error::illegal("[bucket_script] needs a script"))?;
        return Ok(Pipeline::BucketScript { paths: paths.collect(), script: Script::parse(text)? });
    }
    let path = match body.get("buckets_path") {
        Some(Value::String(path)) => path.clone(),
        Some(Value::Array(all)) => all.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => return Err(Error::illegal(format!("[{what}] needs buckets_path"))),
    };
    let window = count("window").unwrap_or(5).clamp(1, MAX_WINDOW as i64) as usize;
    Ok(match what {
        "derivative" => {
            let unit = body.get("unit").and_then(Value::as_str);
            Pipeline::Derivative { path, unit_ms: unit.and_then(millis).filter(|ms| *ms > 0) }
        }
        "cumulative_sum" => Pipeline::CumulativeSum(path),
        "serial_diff" => {
            Pipeline::SerialDiff { path, lag: count("lag").unwrap_or(1).clamp(1, MAX_WINDOW as i64) as usize }
        }
        "moving_fn" => {
            let text = script().ok_or_else(|| Error::illegal("[moving_fn] needs a script"))?;
            let shift = count("shift").unwrap_or(0).clamp(-(MAX_WINDOW as i64), MAX_WINDOW as i64);
            Pipeline::MovingFn { path, window, shift, function: Moving::parse(text)? }
        }
        // The old one takes its own bucket in.
        "moving_avg" => Pipeline::MovingFn { path, window, shift: 1, function: Moving::Average },
        other => {
            let what = match other {
                "avg_bucket" => Over::Avg,
                "sum_bucket" => Over::Sum,
                "min_bucket" => Over::Min,
                "max_bucket" => Over::Max,
                _ => Over::Stats,
            };
            Pipeline::Beside { path, what }
        }
    })
}

impl Moving {
    fn parse(text: &str) -> Result<Self, Error> {
        let bad = || {
            let short: String = text.chars().take(100).collect();
            Error::illegal(format!("the moving function {short:?} is not served"))
        };
        let text = text.trim().trim_start_matches("return ").trim_end_matches(';');
        let (name, arguments) =
            text.strip_prefix("MovingFunctions.").and_then(|t| t.split_once('(')).ok_or_else(bad)?;
        match name {
            "max" => Ok(Moving::Max),
            "min" => Ok(Moving::Min),
            "sum" => Ok(Moving::Sum),
            "unweightedAvg" => Ok(Moving::Average),
            "linearWeightedAvg" => Ok(Moving::Linear),
            "stdDev" => Ok(Moving::Deviation),
            "ewma" => {
                let alpha =
                    arguments.trim_end_matches(')').rsplit(',').next().and_then(|a| a.trim().parse().ok());
                alpha.map(Moving::Exponential).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }

    fn of(self, values: &[f64]) -> Option<f64> {
        let n = values.len() as f64;
        if values.is_empty() {
            // A sum of nothing is nothing.
            return matches!(self, Moving::Sum).then_some(0.0);
        }
        let mean = values.iter().sum::<f64>() / n;
        Some(match self {
            Moving::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Moving::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Moving::Sum => mean * n,
            Moving::Average => mean,
            Moving::Linear => {
                let weighted: f64 = values.iter().zip(1u32..).map(|(v, w)| v * f64::from(w)).sum();
                weighted / (n * (n + 1.0) / 2.0)
            }
            Moving::Deviation => (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt(),
            Moving::Exponential(alpha) => {
                values.iter().copied().reduce(|a, v| alpha * v + (1.0 - alpha) * a).unwrap_or(0.0)
            }
        })
    }
}

/// The value a path names in a bucket: `_count`, `name`, `name.max`, `name[99.0]`, `inner>name`.
pub(super) fn value_at(bucket: &Object, path: &str) -> Option<f64> {
    if let Some((outer, rest)) = path.split_once('>') {
        return value_at(bucket.get(outer.trim())?.as_object()?, rest.trim());
    }
    if path == "_count" {
        return bucket.get("doc_count")?.as_f64();
    }
    if let Some(value) = bucket.get(path).and_then(|a| a.get("value")) {
        return value.as_f64();
    }
    let (name, part) = match path.strip_suffix(']').and_then(|p| p.split_once('[')) {
        Some(both) => both,
        None => path.split_once('.')?,
    };
    let agg = bucket.get(name)?;
    let whole = format!("{part}.0");
    let values = agg.get("values");
    let percentile = |key: &str| values.and_then(|v| v.get(key));
    agg.get(part).or_else(|| percentile(part)).or_else(|| percentile(&whole))?.as_f64()
}

/// Computes the pipelines among `subs` along the buckets of a histogram whose step is so long.
pub(super) fn along(
    subs: &[Agg],
    buckets: &mut [(Option<String>, Object)],
    step_s: f64,
) -> Result<(), Error> {
    for agg in subs {
        let Kind::Pipeline(pipeline) = &agg.kind else { continue };
        let answers = pipeline.along(buckets, step_s);
        for ((_, bucket), answer) in buckets.iter_mut().zip(answers) {
            if let Some(answer) = answer {
                bucket.insert(agg.name.clone(), answer);
            }
        }
    }
    Ok(())
}

impl Pipeline {
    fn along(&self, buckets: &[(Option<String>, Object)], step_s: f64) -> Vec<Option<Value>> {
        let values =
            |path: &str| -> Vec<Option<f64>> { buckets.iter().map(|(_, b)| value_at(b, path)).collect() };
        let shown = |v: f64| json!({"value": number(v)});
        match self {
            Pipeline::Derivative { path, unit_ms } => {
                let all = values(path);
                let before = std::iter::once(None).chain(all.iter().copied());
                let each = before.zip(&all).map(|(before, now)| {
                    let by = (*now)? - before?;
                    let mut answer = shown(by);
                    if let (Some(unit), Some(fields)) = (unit_ms, answer.as_object_mut()) {
                        let normal = by / (step_s * 1000.0 / *unit as f64);
                        fields.insert("normalized_value".to_owned(), number(normal));
                    }
                    Some(answer)
                });
                each.collect()
            }
            Pipeline::CumulativeSum(path) => {
                let mut sum = 0.0;
                let each = values(path).into_iter().map(|v| {
                    sum += v.unwrap_or(0.0);
                    Some(shown(sum))
                });
                each.collect()
            }
            Pipeline::SerialDiff { path, lag } => {
                let all = values(path);
                let before = std::iter::repeat_n(None, *lag).chain(all.iter().copied());
                before.zip(&all).map(|(before, now)| Some(shown((*now)? - before?))).collect()
            }
            Pipeline::MovingFn { path, window, shift, function } => {
                let all = values(path);
                let each = (0..all.len() as i64).map(|at| {
                    let end = (at + shift).clamp(0, all.len() as i64) as usize;
                    let start = end.saturating_sub(*window);
                    let seen: Vec<f64> =
                        all.get(start..end).unwrap_or_default().iter().flatten().copied().collect();
                    function.of(&seen).map(shown)
                });
                each.collect()
            }
            Pipeline::BucketScript { paths, script } => {
                let each = buckets.iter().map(|(_, bucket)| {
                    let param = |name: &str| {
                        let (_, path) = paths.iter().find(|(n, _)| n == name)?;
                        value_at(bucket, path)
                    };
                    script.value(&param).map(shown)
                });
                each.collect()
            }
            Pipeline::Beside { .. } => vec![None; buckets.len()],
        }
    }

    /// Over all buckets of an aggregation beside.
    pub(super) fn beside(&self, siblings: &Object) -> Option<Value> {
        let Pipeline::Beside { path, what } = self else { return None };
        let (name, rest) = path.split_once('>')?;
        let buckets = siblings.get(name.trim())?.get("buckets")?;
        let objects: Vec<(&str, &Object)> = match buckets {
            Value::Array(all) => all.iter().filter_map(|b| Some((key_of(b), b.as_object()?))).collect(),
            Value::Object(all) => {
                all.iter().filter_map(|(k, b)| Some((k.as_str(), b.as_object()?))).collect()
            }
            _ => return None,
        };
        let values: Vec<(&str, f64)> =
            objects.into_iter().filter_map(|(k, b)| Some((k, value_at(b, rest.trim())?))).collect();
        let sum: f64 = values.iter().map(|v| v.1).sum();
        let count = values.len();
        let min = values.iter().map(|v| v.1).reduce(f64::min);
        let max = values.iter().map(|v| v.1).reduce(f64::max);
        let value = |v: Option<f64>| v.map_or(Value::Null, number);
        let average = (count > 0).then(|| sum / count as f64);
        let keys = |best: Option<f64>| -> Vec<&str> {
            values.iter().filter(|v| Some(v.1) == best).map(|v| v.0).collect()
        };
        Some(match what {
            Over::Avg => json!({"value": value(average)}),
            Over::Sum => json!({"value": number(sum)}),
            Over::Min => json!({"value": value(min), "keys": keys(min)}),
            Over::Max => json!({"value": value(max), "keys": keys(max)}),
            Over::Stats => json!({
                "count": count, "min": value(min), "max": value(max), "avg": value(average), "sum": number(sum),
            }),
        })
    }
}

fn key_of(bucket: &Value) -> &str {
    let text = bucket.get("key_as_string").or_else(|| bucket.get("key"));
    text.and_then(Value::as_str).unwrap_or_default()
}
