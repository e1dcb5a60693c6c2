//! SQL: over HTTP, on the command line, over Flight SQL with real clients, and over a federation.

use std::process::Command;

use net::Request;
use serde_json::{Value, json};

use crate::{
    federation::{self, states},
    lifecycle::now_ns,
    node::{Home, Node, encode, root},
    peers,
};

async fn sql(node: &Node, statement: &str) -> Value {
    let answer = node.post("/api/v1/sql", "application/sql", statement).await;
    serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{statement}: {e}: {}", answer.excerpt()))
}

#[tokio::test]
async fn a_statement_is_taken_in_every_way_and_answered_in_every_format() {
    let home = Home::new("cluster: dev-01\n");
    let node = home.start();
    node.push(json!({"app": "shop"}), &["paid, in 5ms", "failed \"badly\""]).await;
    let statement = "select labels['app'] as app, body from logs where body like '%a%' order by timestamp";

    let v = sql(&node, statement).await;
    assert_eq!(v["rows"], json!([["shop", "paid, in 5ms"], ["shop", "failed \"badly\""]]), "{v}");
    assert_eq!(v["columns"][1], json!({"name": "body", "type": "Utf8"}));
    assert_eq!((&v["count"], &v["truncated"]), (&json!(2), &json!(false)));
    assert_eq!((&v["read"][0]["table"], &v["read"][0]["assumed"]), (&json!("logs"), &json!(true)));
    assert_eq!(v["coverage"][0]["cluster"], "dev-01");
    assert!(v["warnings"][0].as_str().unwrap().contains("from when on logs is read"), "{v}");

    let get = node.get(&format!("/api/v1/sql?format=csv&query={}", encode(statement))).await;
    assert_eq!(
        String::from_utf8_lossy(&get.body),
        "app,body\r\nshop,\"paid, in 5ms\"\r\nshop,\"failed \"\"badly\"\"\"\r\n"
    );
    assert!(get.header("content-type").starts_with("text/csv"));
    assert_eq!(get.header("x-orrery-coverage"), "dev-01 logs complete");
    assert!(get.header("x-orrery-range").starts_with("logs 20"), "{}", get.header("x-orrery-range"));

    let body = json!({"query": statement, "limit": 1, "from": now_ns() / 1_000_000_000 - 60}).to_string();
    let answer = node.post("/api/v1/sql", "application/json", body).await;
    let v: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&v["count"], &v["truncated"], &v["read"][0]["assumed"]),
        (&json!(1), &json!(true), &json!(false))
    );

    let form = format!("query={}&to=1", encode(statement));
    let answer = node.post("/api/v1/sql", "application/x-www-form-urlencoded", form).await;
    let v: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&v["count"], &v["read"][0]["to"]), (&json!(0), &json!("1970-01-01T00:00:01Z")), "{v}");

    let request = Request::post(format!("{}/api/v1/sql", node.http), statement)
        .header("content-type", "text/plain")
        .header("accept", "application/vnd.apache.arrow.stream");
    let answer = node.client.send(request).await.unwrap();
    assert_eq!(answer.header("content-type"), "application/vnd.apache.arrow.stream");
    // A stream begins with its mark and ends with an empty message.
    assert!(
        answer.body.starts_with(&[0xff; 4]) && answer.body.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])
    );

    for (wrong, status) in [("drop table logs", 400), ("select nothing from logs", 400), ("selec 1", 400)] {
        let answer = node.post("/api/v1/sql", "application/sql", wrong).await;
        let v: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status.as_u16(), &v["errorType"]), (status, &json!("invalid")), "{v}");
    }
    let answer = node.post("/api/v1/sql", "image/png", statement).await;
    assert_eq!(answer.status.as_u16(), 415);
}

#[tokio::test]
async fn a_long_answer_comes_whole_with_what_it_covers_at_its_end() {
    let home = Home::new("");
    let node = home.start();
    let line = "x".repeat(1000);
    for n in 0..4 {
        let lines: Vec<String> = (0..1000).map(|i| format!("{n} {i} {line}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        node.push(json!({"app": format!("a{n}")}), &lines).await;
    }
    let v = sql(&node, "select body from logs").await;
    assert_eq!(v["rows"].as_array().unwrap().len(), 4000);
    assert_eq!((&v["count"], &v["coverage"][0]["state"]), (&json!(4000), &json!("complete")));
    let v = sql(&node, "select count(*), count(distinct body) from logs").await;
    assert_eq!(v["rows"], json!([[4000, 4000]]));
}

#[tokio::test]
async fn the_command_prints_a_table_and_ends_with_an_error_where_there_is_one() {
    let home = Home::new("");
    let node = home.start();
    node.push(json!({"app": "shop"}), &["one", "two"]).await;
    let run = |args: &[&str]| {
        let out =
            Command::new(env!("CARGO_BIN_EXE_orrery")).args(["query", "sql"]).args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.success(), text(&out.stdout), text(&out.stderr))
    };
    let statement = "select labels['app'] as app, count(*) as lines from logs group by 1";
    let (ok, out, err) = run(&["--to", &node.http, statement]);
    assert!(ok, "{err}");
    assert_eq!(out, "app   lines\nshop  2\n");
    assert!(err.contains("warning: nothing says from when on logs is read"), "{err}");
    let (ok, out, _) = run(&["--to", &node.http, "--output", "csv", "select 1 as one"]);
    assert!(ok && out == "one\r\n1\r\n", "{out:?}");
    let (ok, _, err) = run(&["--to", &node.http, "select"]);
    assert!(!ok && err.contains("400"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_flight_sql_see_tables_and_rows_and_what_they_cover() {
    let Some(bin) = peers::python() else { return };
    let home = Home::new("cluster: dev-01\n");
    let node = home.start();
    node.push(json!({"app": "shop"}), &["one", "two"]).await;
    let statement = "select labels['app'] as app, body from logs where timestamp > now() - interval '1 hour' order by timestamp";
    for address in [&node.otlp_grpc, &node.http] {
        let out = tokio::process::Command::new(bin.join("python"))
            .arg(root().join("tests/peers/flight_sql.py"))
            .arg(address.replace("http://", "grpc://"))
            .arg(statement)
            .output()
            .await
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let seen: Value = serde_json::from_slice(&out.stdout).unwrap();
        let rows = json!([{"app": "shop", "body": "one"}, {"app": "shop", "body": "two"}]);
        assert_eq!((&seen["adbc"]["rows"], &seen["pyarrow"]["rows"]), (&rows, &rows), "{seen}");
        assert_eq!(seen["adbc"]["prepared"], json!([["shop", "one"], ["shop", "two"]]));
        assert!(seen["adbc"]["refused"].as_str().unwrap().contains("only questions"), "{seen}");
        assert_eq!(seen["adbc"]["tables"], json!({"logs": 17, "metrics": 8, "spans": 15}), "{seen}");
        assert_eq!((&seen["adbc"]["vendor"], &seen["adbc"]["types"]), (&json!("Orrery"), &json!(["TABLE"])));
        let told =
            json!({"rows": 2, "truncated": false, "complete": true, "coverage": "dev-01 logs complete"});
        assert_eq!(seen["pyarrow"]["told"], told);
        assert_eq!(seen["pyarrow"]["schema"], json!(["app", "body"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_asks_its_clusters_in_sql_and_says_who_is_missing() {
    let mut fleet = federation::start();
    fleet.dev.push(json!({"app": "shop"}), &["paid 1", "failed 1"]).await;
    fleet.prod(0).push(json!({"app": "shop"}), &["paid 2"]).await;
    fleet.prod(1).push(json!({"app": "cart"}), &["put 1"]).await;
    let by_cluster = "select cluster, count(*) as n from logs where timestamp > now() - interval '10 minutes' \
                      group by 1 order by 1";
    let v = sql(&fleet.ops, by_cluster).await;
    assert_eq!(v["rows"], json!([["dev-01", 2], ["prod-01", 2]]), "{v}");
    assert_eq!(states(&v), ["dev-01 complete", "prod-01 complete"]);
    let v = sql(
        &fleet.ops,
        "select body from logs where labels['app'] = 'shop' and body like 'paid%' order by body",
    )
    .await;
    assert_eq!(v["rows"], json!([["paid 1"], ["paid 2"]]), "{v}");

    fleet.kill_prod(0);
    fleet.kill_prod(1);
    let v = sql(&fleet.ops, by_cluster).await;
    assert_eq!(v["rows"], json!([["dev-01", 2]]), "{v}");
    assert!(states(&v).contains(&"prod-01 missing".to_owned()), "{v}");
    // Also where the engine stops before sources have said what they cover.
    let first =
        "select body from logs where body like '%1' and length(body) > 2 order by timestamp desc limit 1";
    let v = sql(&fleet.ops, first).await;
    assert_eq!(v["count"], 1, "{v}");
    assert!(states(&v).contains(&"prod-01 missing".to_owned()), "{v}");
    let denied = fleet.ops.post("/api/v1/sql?partial=deny", "application/sql", by_cluster).await;
    assert_eq!(denied.status.as_u16(), 503, "{}", denied.excerpt());
}
