//! The queries of the Prometheus compliance suite against reference answers over the same data.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::Arc};

use contract::Tenants;
use model::{Labels, TenantId};
use promql::{Engine, EngineOptions, QueryContext, Value};
use serde_json::Value as Json;

use crate::{
    memory::{Memory, Sample},
    notation, shared_data,
};

/// Queries of the set at hand that agreed when last looked at.
const FLOOR: usize = 262;

fn unzip(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn load(memory: &Memory, text: &str) {
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (labels, rest) = notation::metric(line).unwrap();
        let mut parts = rest.split_whitespace();
        let (Some(v), Some(t)) = (parts.next(), parts.next()) else { continue };
        let t_ms = (t.parse::<f64>().unwrap() * 1000.0).round() as i64;
        memory.put(&labels, t_ms, 0, Sample::Float(v.parse().unwrap()));
    }
}

type Points = BTreeMap<i64, f64>;

fn wanted(result: &Json) -> BTreeMap<Labels, Points> {
    let mut out = BTreeMap::new();
    for s in result["result"].as_array().into_iter().flatten() {
        let labels =
            s["metric"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()));
        let points = s["values"].as_array().unwrap().iter().map(|p| {
            let t = (p[0].as_f64().unwrap() * 1000.0).round() as i64;
            (t, p[1].as_str().unwrap().parse::<f64>().unwrap())
        });
        out.insert(Labels::from_pairs(labels), points.collect());
    }
    out
}

fn agree(a: &BTreeMap<Labels, Points>, b: &BTreeMap<Labels, Points>) -> Result<(), String> {
    if a.keys().ne(b.keys()) {
        return Err(format!("series differ: {} expected, {} found", a.len(), b.len()));
    }
    for (labels, want) in a {
        let got = &b[labels];
        if want.keys().ne(got.keys()) {
            return Err(format!("{labels}: {} points expected, {} found", want.len(), got.len()));
        }
        for (t, w) in want {
            let g = got[t];
            let same = w == &g || (w.is_nan() && g.is_nan()) || (w - g).abs() <= 1e-5 * w.abs().max(g.abs());
            if !same {
                return Err(format!("{labels} at {t}: {w} expected, {g} found"));
            }
        }
    }
    Ok(())
}

#[test]
fn answers_agree_with_the_reference() {
    let Some(folder) = shared_data("promql-compliance") else { return };
    let memory = Arc::new(Memory::default());
    load(&memory, &unzip(&folder.join("demo-data.om.gz")));
    let engine = Engine::new(memory, EngineOptions::default());
    let context = QueryContext::new(Tenants::one(TenantId::new("test").unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut agreed, mut all) = (0, 0);
    for line in unzip(&folder.join("reference-prom-3.5.jsonl.gz")).lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let query = case["query"].as_str().unwrap();
        let ms = |k: &str| (case[k].as_f64().unwrap() * 1000.0) as i64;
        let answer = runtime.block_on(engine.range(query, ms("start"), ms("end"), ms("step"), &context));
        all += 1;
        let failed_there = case["status"] != "success";
        let outcome = match answer {
            Err(_) if failed_there => Ok(()),
            Err(e) => Err(e.to_string()),
            Ok(_) if failed_there => Err("the reference failed".to_owned()),
            Ok(a) => match a.value {
                Value::Matrix(m) => {
                    let got = m.into_iter().map(|s| (s.labels, s.floats.into_iter().collect())).collect();
                    agree(&wanted(&case["result"]), &got)
                }
                other => Err(format!("answered a {}", other.type_name())),
            },
        };
        match outcome {
            Ok(()) => agreed += 1,
            Err(e) => println!("{query}\n    {}", e.chars().take(300).collect::<String>()),
        }
    }
    println!("compliance: {agreed} of {all} agree");
    assert!(agreed >= FLOOR, "{agreed} of {all} agree, {FLOOR} did before");
}
