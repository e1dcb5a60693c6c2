//! Statements of those who mean harm.

use super::*;

async fn refused(statement: &str) -> String {
    let engine = fake().await;
    let e =
        ask(&engine, request(statement)).await.err().unwrap_or_else(|| panic!("answered: {statement:.80}"));
    assert_eq!(e.kind(), base::Kind::Invalid, "{statement:.80}: {e}");
    e.to_string()
}

#[tokio::test]
async fn only_questions_are_answered() {
    for statement in [
        "insert into logs values (1)",
        "create table t as select 1",
        "create external table t stored as csv location '/etc/passwd'",
        "create view v as select 1",
        "drop table logs",
        "delete from logs",
        "update logs set body = ''",
        "copy logs to '/tmp/x.csv' stored as csv",
        "copy (select 1) to '/tmp/x.csv'",
        "set datafusion.execution.batch_size = 1",
        "explain insert into logs select * from logs",
        "prepare p as select 1",
        "execute p",
        "begin",
        "truncate table logs",
        "select 1; select 2",
        "select 1; drop table logs",
        "select * into t from logs",
        "",
        ";",
        "-- nothing",
    ] {
        refused(statement).await;
    }
    assert!(refused("set x = 1").await.contains("only questions are answered"));
}

#[tokio::test]
async fn nothing_of_the_machine_can_be_read() {
    for statement in [
        "select * from '/etc/passwd'",
        "select * from \"/etc/passwd\"",
        "select * from 'file:///etc/passwd.csv'",
        "select * from read_csv('/etc/passwd')",
        "select * from parquet_metadata('/x')",
        "select repeat('x', 2000000000)",
        "select lpad('x', 2147483647)",
        "select range(1, 10000000000)",
        "select generate_series(1, 10000000000)",
        "select array_repeat(1, 10000000000)",
    ] {
        refused(statement).await;
    }
}

#[tokio::test]
async fn deep_nesting_is_an_error_or_an_answer_and_never_the_end() {
    let engine = fake().await;
    let deep = 1000;
    let shapes = [
        format!("select {}1{}", "(".repeat(deep), ")".repeat(deep)),
        "select -1".to_owned() + &" - -1".repeat(deep),
        format!("select {}true", "not ".repeat(deep)),
        format!("select 1{}", "+1".repeat(deep)),
        format!("select * from logs where body = 'x'{}", " or body = 'y'".repeat(deep)),
        format!("select 1{}", " union all select 1".repeat(deep)),
        format!("select {}1{}", "abs(".repeat(deep), ")".repeat(deep)),
        format!("select {}1 {}", "case when true then ".repeat(deep), "end ".repeat(deep)),
        format!("select labels{} from logs", "['a']".repeat(deep)),
        format!("select {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("select 1{}", "::int".repeat(deep)),
        format!("{}select 1{}", "select * from (".repeat(deep), ")".repeat(deep)),
        format!("select 'a' {}", "|| 'a'".repeat(deep)),
        format!("select 1 {}", "is null ".repeat(deep)),
        "select ".to_owned() + &"a.".repeat(deep) + "b",
        format!("select {}", "cast(".repeat(deep)),
        format!("select {}", "interval ".repeat(deep)),
        format!("select {}", "extract(".repeat(deep)),
        format!("select {}", "trim(".repeat(deep)),
        format!("select {}", "struct<".repeat(deep)),
        format!("select {}", "date ".repeat(deep)),
        "(".repeat(deep),
    ];
    for statement in shapes {
        // In full it is too long, and shorter it may be answered: both must leave us standing.
        for length in [statement.len(), 600, 300] {
            let cut: String = statement.chars().take(length).collect();
            let _ = ask(&engine, request(&cut)).await;
        }
    }
}

#[tokio::test]
async fn what_the_parser_tries_twice_at_every_level_is_bounded_and_ordinary_statements_pass() {
    for word in ["case when true then ", "cast(", "interval ", "extract(", "trim("] {
        let e = refused(&format!("select {}", word.repeat(40))).await;
        assert!(e.contains("levels of CASE"), "{e}");
    }
    let engine = fake().await;
    let casts = vec!["cast(case when trim(' 1 ') = '1' then 1 else 2 end as int)"; 30].join(" + ");
    let statement =
        format!("select {casts}, timestamp '2026-01-01' - interval '1 hour', extract(hour from now())");
    let (_, end) = ask(&engine, request(&statement)).await.unwrap();
    assert_eq!(end.rows, 1);
}

#[tokio::test]
async fn the_longest_chain_that_is_let_in_is_answered() {
    let engine = fake().await;
    let (_, end) = ask(&engine, request(&format!("select 1{}", " + 1".repeat(300)))).await.unwrap();
    assert_eq!(end.rows, 1);
    let many: Vec<String> = (0..150).map(|n| format!("body = 'x{n}'")).collect();
    let statement = format!("select body from logs where {}", many.join(" or "));
    let (_, end) = ask(&engine, request(&statement)).await.unwrap();
    assert_eq!(end.rows, 0);
    let e = ask(&engine, request(&format!("select 1{}", " + 1".repeat(601)))).await.unwrap_err();
    assert!(e.message.contains("at most 600"), "{e}");
    let ids: Vec<String> = (0..1500).map(|n| format!("'{n:032x}'")).collect();
    let statement = format!("select name from spans where trace_id in ({})", ids.join(","));
    let (_, end) = ask(&engine, request(&statement)).await.unwrap();
    assert_eq!(end.rows, 0);
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn no_text_ends_the_engine(
            words in prop::collection::vec(
                prop_oneof![
                    Just("select"), Just("*"), Just("from"), Just("logs"), Just("metrics"), Just("spans"),
                    Just("where"), Just("timestamp"), Just(">"), Just("now()"), Just("-"), Just("interval"),
                    Just("'1 hour'"), Just("labels"), Just("['app']"), Just("="), Just("'shop'"), Just("and"),
                    Just("or"), Just("like"), Just("'%x%'"), Just("("), Just(")"), Just("group by"),
                    Just("order by"), Just("limit"), Just("1"), Just("~"), Just("'('"), Just("not"), Just(","),
                    Just("count(*)"), Just("in"), Just("between"), Just("null"), Just("::int"), Just("body"),
                ],
                0..24,
            ),
            noise in "\\PC{0,8}",
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = fake().await;
                for statement in [words.join(" "), format!("select {noise}"), noise.clone()] {
                    if let Err(e) = ask(&engine, request(&statement)).await {
                        assert_ne!(e.kind(), base::Kind::Internal, "{statement}: {e}");
                    }
                }
            });
        }
    }
}
