//! Evaluating all steps at once must answer what evaluating each step by itself answers.

use std::{collections::BTreeMap, sync::Arc};

use contract::Tenants;
use model::{Labels, TenantId};
use promql::{Engine, EngineOptions, QueryContext, SampleValue, Value};
use proptest::{prelude::*, test_runner::RngSeed};

use crate::{
    memory::{Memory, Sample},
    script,
};

/// Series with gaps, resets, staleness markers and not-a-number.
fn memory() -> Arc<Memory> {
    let memory = Memory::default();
    for (n, (name, x, i)) in
        [("a", "1", "p"), ("a", "1", "q"), ("a", "2", "p"), ("b", "1", "p"), ("b", "3", "q")]
            .iter()
            .enumerate()
    {
        let labels = Labels::from_pairs([("__name__", *name), ("x", *x), ("i", *i)]);
        for k in 0..60i64 {
            let mixed = (k * 7 + n as i64 * 13) % 23;
            let v = match mixed {
                0 => continue,
                1 => f64::NAN,
                2 => model::stale_marker(),
                m if m > 18 => continue,
                m => (k % (11 + n as i64)) as f64 + m as f64 / 10.0,
            };
            memory.put(&labels, k * 10_000, 0, Sample::Float(v));
        }
    }
    Arc::new(memory)
}

fn leaf() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b{x=\"1\"}",
        "a offset 30s",
        "b @ 120",
        "rate(a[1m])",
        "increase(b[90s] offset 20s)",
        "irate(a[1m])",
        "delta(b[1m])",
        "changes(a[2m])",
        "resets(a[2m])",
        "max_over_time(b[1m:20s])",
        "avg_over_time(a[1m])",
        "quantile_over_time(0.3, a[1m])",
        "stddev_over_time(a[1m])",
        "last_over_time(b[1m])",
        "deriv(a[1m])",
        "predict_linear(a[1m], 30)",
        "present_over_time(b[20s])",
        "absent_over_time(b{x=\"3\"}[20s])",
        "rate(a[1m] anchored)",
        "increase(a[1m] smoothed)",
        "vector(time())",
        "timestamp(a)",
        "sum_over_time(a[1m] @ 200)",
        "count_values(\"v\", a)",
    ])
    .prop_map(str::to_owned)
}

pub fn query() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 12, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        let one = prop::sample::select(vec![
            "sum by (x) (E)",
            "avg without (i) (E)",
            "topk(1, E)",
            "bottomk by (x) (1, E)",
            "count(E)",
            "min by (i) (E)",
            "stdvar(E)",
            "quantile(0.5, E)",
            "limitk(2, E)",
            "limit_ratio(0.4, E)",
            "abs(E)",
            "-(E)",
            "(E) > 3.0137",
            "4.0229 < bool (E)",
            "(E) * 2 + 1",
            "absent(E)",
            "clamp_min(E, 2)",
            "round(E, 4.9713)",
            "label_replace(E, \"z\", \"$1\", \"x\", \"(.*)\")",
            "scalar(E) + a",
            "timestamp(E)",
            "max_over_time((E)[1m:20s])",
            "sum_over_time((E)[50s:30s] offset 10s)",
            "count_over_time((E)[1m:20s] @ 150)",
            "hour(E)",
        ]);
        let pair = prop::sample::select(vec![
            "(L) + (R)",
            "(L) / on(x, i) (R)",
            "(L) == (R)",
            "(L) >= bool on(x, i) (R)",
            "(L) and (R)",
            "(L) or (R)",
            "(L) unless on(x) (R)",
            "(L) * on(x) group_left() sum by (x) (R)",
            "(L) + on(x, i) fill(1) (R)",
        ]);
        prop_oneof![
            (one, inner).prop_map(|(f, e)| f.replace('E', &e)),
            (pair, two).prop_map(|(f, (l, r))| f
                .replace("(L)", &format!("({l})"))
                .replace("(R)", &format!("({r})"))),
        ]
    })
}

/// Values by time and labels.
type Answer = BTreeMap<(i64, Labels), f64>;

/// Sums may be taken in another order, so the last digits may differ.
fn agree(a: &Answer, b: &Answer) -> bool {
    let close =
        |x: f64, y: f64| x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= 1e-9 * (1.0 + x.abs());
    a.len() == b.len() && a.iter().zip(b).all(|((k, x), (l, y))| k == l && close(*x, *y))
}

const STEPS: [i64; 7] = [100_000, 135_000, 170_000, 205_000, 240_000, 275_000, 310_000];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        // Differences in the last digit may decide a tie; the same queries every time keep that out.
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        ..Default::default()
    })]
    #[test]
    fn a_range_answers_at_each_step_what_an_instant_answers(q in query(), delayed in any::<bool>()) {
        let options = EngineOptions { delayed_name_removal: delayed, ..script::options() };
        let engine = Engine::new(memory(), options);
        let context = QueryContext::new(Tenants::one(TenantId::new("test").unwrap()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let range = runtime.block_on(engine.range(&q, STEPS[0], STEPS[6], 35_000, &context));
        // What has no answer at some step has none over the range; which steps those are is not compared.
        let Ok(range) = range else { return Ok(()) };
        let Value::Matrix(series) = range.value else { panic!("{q}: not a matrix") };
        let mut whole = Answer::new();
        for s in series {
            whole.extend(s.floats.iter().map(|(t, v)| ((*t, s.labels.clone()), *v)));
        }
        let mut single = Answer::new();
        for t in STEPS {
            let instant = runtime.block_on(engine.instant(&q, t, &context));
            let Ok(Value::Vector(v)) = instant.map(|a| a.value) else { panic!("{q} at {t}: no vector") };
            for s in v {
                let SampleValue::Float(f) = s.value else { continue };
                single.insert((t, s.labels), f);
            }
        }
        prop_assert!(agree(&whole, &single), "{q}: {whole:?} over the range, {single:?} one by one");
    }
}
