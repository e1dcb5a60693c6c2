//! Conditions that become requests give what they give as conditions.

use proptest::prelude::*;

use super::*;

/// The same engine without the rules that hand conditions to tables.
async fn both() -> (Engine, Engine) {
    let engine = fake().await;
    (engine.clone(), engine.without_rules())
}

fn on_text(column: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    let value = prop::sample::select(values);
    let pattern = prop::sample::select(vec![
        "%a%", "paid%", "%ms", "%failed%", "p_t%", "%", "", "%\\%%", "sh%", "%P%t%", "G%/", "_art",
    ]);
    let regex = prop::sample::select(vec![
        "paid",
        "^paid \\d+",
        "fail(ed)?:",
        "(?i)PUT",
        "a|b",
        "ms$",
        "sh.p",
        "x*",
        "[a-f]+",
        "\\w",
        "^$",
        ".+\n.+",
    ]);
    (value, values, pattern, regex, 0..16u8).prop_map_into(move |(v, all, like, regex, n)| {
        let list: Vec<String> = all.iter().map(|v| format!("'{v}'")).collect();
        let list = list.join(", ");
        match n {
            0 => format!("{column} = '{v}'"),
            1 => format!("{column} <> '{v}'"),
            2 => format!("{column} in ('{v}', 'other')"),
            3 => format!("{column} not in ('{v}', 'other')"),
            4 => format!("{column} like '{like}'"),
            5 => format!("{column} not like '{like}'"),
            6 => format!("{column} ilike '{like}'"),
            7 => format!("{column} not ilike '{like}'"),
            8 => format!("{column} ~ '{regex}'"),
            9 => format!("{column} !~ '{regex}'"),
            10 => format!("{column} ~* '{regex}'"),
            11 => format!("{column} !~* '{regex}'"),
            12 => format!("contains({column}, '{v}')"),
            13 => format!("starts_with({column}, '{v}')"),
            14 => format!("'{v}' = {column}"),
            _ => format!("{column} in ({list})"),
        }
    })
}

/// `prop_map` over parts that are not all strategies.
trait MapInto {
    type Parts;
    fn prop_map_into(self, f: impl Fn(Self::Parts) -> String + 'static) -> BoxedStrategy<String>;
}

impl<V, P, R> MapInto for (V, &'static [&'static str], P, R, std::ops::Range<u8>)
where
    V: Strategy<Value = &'static str> + 'static,
    P: Strategy<Value = &'static str> + 'static,
    R: Strategy<Value = &'static str> + 'static,
{
    type Parts = (&'static str, &'static [&'static str], &'static str, &'static str, u8);

    fn prop_map_into(self, f: impl Fn(Self::Parts) -> String + 'static) -> BoxedStrategy<String> {
        let (v, all, p, r, n) = self;
        (v, p, r, n).prop_map(move |(v, p, r, n)| f((v, all, p, r, n))).boxed()
    }
}

fn on_time() -> impl Strategy<Value = String> {
    let op = prop::sample::select(vec!["<", "<=", ">", ">=", "=", "<>"]);
    (op, 0..8i64, 0..8i64, 0..3u8).prop_map(|(op, a, b, n)| {
        let at = |s: i64| format!("to_timestamp_nanos({})", NOON - 60 * SECOND + s * SECOND);
        match n {
            0 => format!("timestamp {op} {}", at(a)),
            1 => format!("timestamp between {} and {}", at(a), at(b)),
            _ => format!("{} {op} timestamp", at(a)),
        }
    })
}

fn condition(table: &'static str) -> BoxedStrategy<String> {
    let one = match table {
        "logs" => prop_oneof![
            on_text("body", &["paid", "failed", "put \"one\", two", ""]),
            on_text("labels['app']", &["shop", "cart", "nobody", ""]),
            on_text("service_name", &["shop", "cart"]),
            on_text("cluster", &["dev-01", "x"]),
            on_text("attributes['status']", &["200", "ok"]),
            on_time(),
            Just("attributes_number['status'] > 300".to_owned()),
            Just("level = 'error'".to_owned()),
        ]
        .boxed(),
        "metrics" => prop_oneof![
            on_text("metric", &["up", "latency", ""]),
            on_text("labels['job']", &["a", "b", ""]),
            on_text("labels['none']", &["a", ""]),
            on_time(),
            Just("value > 1".to_owned()),
        ]
        .boxed(),
        _ => prop_oneof![
            on_text("service_name", &["shop", "cart"]),
            on_text("name", &["GET /", "put"]),
            on_text("kind", &["server", "client", "none"]),
            on_text("status_code", &["error", "ok", "unset"]),
            on_text("attributes['http.status']", &["200", "teapot"]),
            on_text("resource['service.name']", &["shop", ""]),
            on_text("trace_id", &["01010101010101010101010101010101", "0101", ""]),
            on_time(),
            Just("duration_ns > 100000000".to_owned()),
            Just("duration_ns between 100000000 and 200000000".to_owned()),
            Just("200000000 >= duration_ns".to_owned()),
            Just("duration_ns = 300000000".to_owned()),
        ]
        .boxed(),
    };
    one.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            1 => inner.prop_map(|a| format!("not ({a})")),
        ]
    })
    .boxed()
}

fn same(table: &str, condition: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (with, without) = both().await;
        let ask_both = |engine: Engine| async move {
            let statement = format!("select * from {table} where {condition}");
            let within = SqlRequest {
                from: Some(model::TimestampNs(NOON - 3600 * SECOND)),
                to: Some(model::TimestampNs(NOON)),
                ..request(&statement)
            };
            match ask(&engine, within).await {
                Ok((text, _)) => {
                    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
                    lines.sort();
                    Ok(lines)
                }
                Err(e) => Err(e.kind()),
            }
        };
        assert_eq!(ask_both(with).await, ask_both(without).await, "{table}: {condition}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn logs_are_the_same(condition in condition("logs")) {
        same("logs", &condition);
    }

    #[test]
    fn metrics_are_the_same(condition in condition("metrics")) {
        same("metrics", &condition);
    }

    #[test]
    fn spans_are_the_same(condition in condition("spans")) {
        same("spans", &condition);
    }
}

/// A table without conditions for the table would make the tests above prove nothing.
#[tokio::test]
async fn conditions_reach_the_source() {
    let engine = fake().await;
    let shown = async |statement: &str| csv(&engine, &format!("explain format indent {statement}")).await;
    let plan = shown(
        "select body from logs where labels['app'] = 'shop' and body like '%paid%' and body ~ 'in \\d+ms' \
         and timestamp > now() - interval '1 minute'",
    )
    .await;
    for part in ["app=\"\"shop\"\"", "Contains(\"\"paid\"\")", "Contains(\"\"in \"\")", "order=NewestFirst"] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
    let plan = shown("select value from metrics where metric = 'up' and labels['job'] in ('a', 'b')").await;
    assert!(plan.contains("__name__=\"\"up\"\"") && plan.contains("job=~"), "{plan}");
    let plan = shown(
        "select name from spans where trace_id = '01010101010101010101010101010101' and service_name = 'shop' \
         and duration_ns >= 1000 and status_code = 'error' and attributes['a'] = 'b' and kind = 'server'",
    )
    .await;
    for part in ["trace_ids=1", "Service", "MinDurationNs(1000)", "Error(true)", "Attribute", "Kind(Server)"]
    {
        assert!(plan.contains(part), "{part} in {plan}");
    }
}
