//! What holds for every text.

use std::sync::Arc;

use base::{Clock, MemoryBudget};
use contract::{Direction, QueryLimits, Tenants, fake::Fake};
use logql::{Engine, EngineOptions, QueryContext, parse};
use model::TenantId;
use proptest::prelude::*;

const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "5m",
    "1h30m",
    "20MB",
    "app",
    "=",
    "!=",
    "=~",
    "!~",
    "|=",
    "|~",
    "|>",
    "!>",
    "|",
    "\"x\"",
    "`y`",
    "\"(\"",
    ",",
    "json",
    "logfmt",
    "--strict",
    "unwrap",
    "duration",
    "bytes",
    "by",
    "without",
    "sum",
    "rate",
    "count_over_time",
    "quantile_over_time",
    "topk",
    "vector",
    "label_replace",
    "0.5",
    "1",
    "-",
    "+",
    "*",
    "/",
    "^",
    "%",
    ">",
    ">=",
    "==",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "or",
    "and",
    "unless",
    "offset",
    "ip",
    "line_format",
    "label_format",
    "\"{{.a}}\"",
    "drop",
    "keep",
    "pattern",
    "\"<a> <b>\"",
    "regexp",
    "decolorize",
    "unpack",
    "variants",
    "of",
    "{app=\"x\"}",
    "# c\n",
    "é",
    "\\",
    "'",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|p| p.join(" "))
}

/// Queries that are mostly well formed.
fn query() -> impl Strategy<Value = String> {
    let stage = prop::sample::select(
        &[
            "|= \"a\" or \"b\"",
            "!~ `x+`",
            "|> \"<_> b\"",
            "| json",
            "| json a=\"b.c[0]\"",
            "| logfmt --strict",
            "| a>5 or b<=1.5s and c!=\"d\", e==2KiB",
            "| x=ip(\"10.0.0.0/8\")",
            "| line_format \"{{.a}}\\n\"",
            "| label_format a=b, c=\"{{.d}}\"",
            "| drop a, b=\"c\"",
            "| keep d=~\"e\"",
            "| pattern \"<a> <_>\"",
            "| unpack | decolorize",
        ][..],
    );
    let log = prop::collection::vec(stage, 0..4).prop_map(|s| format!("{{app=\"x\"}} {}", s.join(" ")));
    let leaf =
        (log, prop::sample::select(&["count_over_time", "rate", "sum_over_time", "absent_over_time"][..]))
            .prop_map(|(l, op)| {
                let unwrap = if op == "sum_over_time" { "| unwrap duration(v) | __error__=\"\"" } else { "" };
                format!("{op}({l} {unwrap} [1h5m] offset -3s)")
            });
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|i| format!("sum by (a, b) ({i})")),
            inner.clone().prop_map(|i| format!("topk(3, {i}) without ()")),
            inner.clone().prop_map(|i| format!("label_replace({i}, \"a\", \"$1\", \"b\", \"(.*)\")")),
            (
                inner.clone(),
                prop::sample::select(&["+", "^", "or", "unless", "> bool", "/ on (a) group_left (b)"][..]),
                inner
            )
                .prop_map(|(l, op, r)| format!("{l} {op} {r}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn an_error_points_into_the_text_and_what_parses_prints_back_the_same(text in soup()) {
        match parse(&text) {
            Ok(e) => prop_assert_eq!(parse(&e.to_string()), Ok(e)),
            Err(e) => prop_assert!(e.span.start <= text.len() && e.span.end <= text.len()),
        }
    }

    #[test]
    fn a_printed_query_reads_back_as_the_same_tree(text in query()) {
        let tree = parse(&text).map_err(|e| TestCaseError::fail(format!("{e}: {text}")))?;
        prop_assert_eq!(parse(&tree.to_string()), Ok(tree));
    }
}

fn ctx(limits: QueryLimits) -> QueryContext {
    QueryContext { tenants: Tenants::one(TenantId::default()), limits }
}

fn run<T>(f: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f)
}

/// An engine over one line per given text, a second apart.
fn engine(lines: &[String]) -> Engine {
    use contract::{Append, AppendUnit};
    let records = lines.iter().enumerate().map(|(i, l)| model::LogRecord {
        timestamp_ns: (i as i64 + 1) * 1_000_000_000,
        body: l.as_str().into(),
        ..model::LogRecord::default()
    });
    let stream =
        model::LogStream { labels: model::Labels::from_pairs([("app", "x")]), ..model::LogStream::default() };
    let batch = model::LogBatch { records: records.collect(), streams: vec![stream] };
    let fake = Fake::new();
    let unit = AppendUnit { batch_id: None, received_ns: 0, batches: vec![model::Batch::Logs(batch)] };
    run(fake.append(&TenantId::default(), unit)).unwrap();
    Engine::new(Arc::new(fake), EngineOptions { clock: Clock::manual(0), ..EngineOptions::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_line_makes_a_stage_panic(lines in prop::collection::vec("\\PC{0,80}|[{}\\[\\]\":,a0\\\\ =.<>é\u{1b}]{0,60}", 1..6)) {
        let e = engine(&lines);
        for stages in [
            "| json", "| json a=\"b\", c=\"d[0].e\", f=\"[1]\"", "| logfmt", "| logfmt --strict --keep-empty a, b=\"c\"",
            "| pattern \"<a> <b>=<_>\"", "| unpack", "| decolorize", "|= ip(\"10.0.0.0/8\")", "|> \"a<_>b\"",
            "| regexp \"(?P<x>.)(?P<y>..)?\"", "| logfmt | a > 5 or b < 1s or c == 5KB or d = ip(\"::1\")",
            "| json | line_format \"{{ fromJson __line__ }}{{ range . }}{{ . }}{{ end }}\"",
            "| label_format x=\"{{ __line__ | urldecode }}{{ __line__ | b64dec }}{{ unixToTime __line__ }}\"",
        ] {
            let q = format!("{{app=\"x\"}} {stages}");
            run(e.range(&q, 0, 1_000_000_000_000, 1, 100, Direction::NewestFirst, &ctx(QueryLimits::default()))).unwrap();
        }
    }

    #[test]
    fn windows_folded_by_pieces_are_what_counting_finds(
        gaps in prop::collection::vec(0i64..5, 1..40), range in 1i64..12, step in 1i64..9, start in 0i64..20
    ) {
        let mut t = 0;
        let times: Vec<i64> = gaps.iter().map(|g| { t += g; t }).collect();
        // Equal times are one second apart in `engine`, so values stand for times: v is the time itself.
        let lines: Vec<String> = times.iter().map(|t| format!("v={t}")).collect();
        let e = engine(&lines);
        for op in ["sum", "min", "max", "first", "last", "avg"] {
            let q = format!("{op}_over_time({{app=\"x\"}} | logfmt | keep v | unwrap v [{range}s])");
            let s = 1_000_000_000;
            let answer = run(e.range(&q, start * s, (start + 40) * s, step * s, 1, Direction::NewestFirst, &ctx(QueryLimits::default()))).unwrap();
            let logql::Value::Matrix(m) = answer.value else { panic!() };
            let got = m.into_iter().next().map(|(_, p)| p).unwrap_or_default();
            let mut want = Vec::new();
            for at in (start..=start + 40).step_by(step as usize) {
                let inside: Vec<f64> = (0..times.len() as i64)
                    .filter(|i| at - range < i + 1 && *i < at)
                    .map(|i| times[i as usize] as f64)
                    .collect();
                let (Some(first), Some(last)) = (inside.first(), inside.last()) else { continue };
                let v = match op {
                    "sum" => inside.iter().sum(),
                    "min" => inside.iter().copied().fold(f64::INFINITY, f64::min),
                    "max" => inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    "first" => *first,
                    "last" => *last,
                    _ => inside.iter().sum::<f64>() / inside.len() as f64,
                };
                want.push((at * 1000, v));
            }
            prop_assert_eq!(got, want, "{}", op);
        }
    }
}

#[test]
fn a_hundred_thousand_parentheses_are_an_error_and_not_a_crash() {
    for (open, inner, close) in
        [("(", "1", ")"), ("sum(", "vector(1)", ")"), ("1 + (", "1", ")"), ("1 ^ ", "1", "")]
    {
        let text = format!("{}{inner}{}", open.repeat(100_000), close.repeat(100_000));
        let e = parse(&text).unwrap_err();
        assert!(e.message.contains("nested deeper than"), "{e}");
    }
    let filter = format!("{{a=\"b\"}} | {}x=\"y\"{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&filter).unwrap_err().message.contains("nested deeper than"));
    let chain = format!("{{a=\"b\"}} | x=\"y\"{}", " or x=\"y\"".repeat(100_000));
    assert!(parse(&chain).unwrap_err().message.contains("nested deeper than"));
    let sum = format!("1{}", "+1".repeat(100_000));
    assert!(parse(&sum).unwrap_err().message.contains("nested deeper than"));
}

#[test]
fn the_deepest_query_that_parses_also_evaluates() {
    let e = engine(&["x".to_owned()]);
    let deep = format!("{}vector(1){}", "sum(".repeat(240), ")".repeat(240));
    run(e.instant(&deep, 0, 1, Direction::NewestFirst, &ctx(QueryLimits::default()))).unwrap();
    let chain = format!("vector(1){}", "+1".repeat(240));
    run(e.instant(&chain, 0, 1, Direction::NewestFirst, &ctx(QueryLimits::default()))).unwrap();
    let filter = format!("{{app=\"x\"}} | x=\"y\"{}", " or x=\"y\"".repeat(240));
    run(e.range(&filter, 0, 1, 1, 1, Direction::NewestFirst, &ctx(QueryLimits::default()))).unwrap();
}

#[test]
fn limits_end_a_query_by_name() {
    let lines: Vec<String> =
        (0..12_000).map(|i| format!("v={i} some words to make the line longer")).collect();
    let e = engine(&lines);
    let s = 1_000_000_000;
    let ask = |q: &str, limits: QueryLimits| {
        run(e.range(q, 0, 12_000 * s, 60 * s, 100_000, Direction::OldestFirst, &ctx(limits))).unwrap_err()
    };
    let over = ask("{app=\"x\"}", QueryLimits { max_bytes: 1000, ..QueryLimits::default() });
    assert!(over.to_string().contains("query.max_bytes"), "{over}");
    assert_eq!(over.kind(), base::Kind::Limited);
    // One step of the accounting fits, two do not.
    let memory = || QueryLimits { memory: MemoryBudget::new(100_000), ..QueryLimits::default() };
    assert!(ask("{app=\"x\"}", memory()).to_string().contains("memory.limit"));
    let q =
        "quantile_over_time(0.5, {app=\"x\"} | logfmt | unwrap v [1h]) by (app) > 0 or vector(1) + vector(1)";
    assert!(ask(q, memory()).to_string().contains("memory.limit"));
    let few = QueryLimits { max_series: 10, ..QueryLimits::default() };
    assert!(ask("count_over_time({app=\"x\"} | logfmt [1h])", few).to_string().contains("query.max_series"));
    let late = QueryLimits { deadline: Some(std::time::Instant::now()), ..QueryLimits::default() };
    assert_eq!(ask("{app=\"x\"}", late).kind(), base::Kind::Timeout);
}

#[test]
fn a_summed_count_holds_one_series_however_many_labels_the_lines_have() {
    let lines: Vec<String> = (0..5000).map(|i| format!("id={i}")).collect();
    let e = engine(&lines);
    let limits = QueryLimits { max_series: 1, ..QueryLimits::default() };
    let q = "sum(count_over_time({app=\"x\"} | logfmt | id > 10 [2h]))";
    let answer = run(e.instant(q, 6000 * 1_000_000_000, 1, Direction::NewestFirst, &ctx(limits))).unwrap();
    let logql::Value::Vector(v) = answer.value else { panic!() };
    assert_eq!(v.iter().map(|(_, _, x)| *x).collect::<Vec<_>>(), [4989.0]);
    assert_eq!((answer.stats.lines, answer.stats.entries), (5000, 4989));
}
