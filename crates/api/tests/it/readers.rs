//! Readers of other projects against a listening node; each skips where its program is not installed.

use std::net::SocketAddr;

use api::Listeners;
use axum::{Router, body::Body};
use base::Shutdown;
use http::Request;
use prost::Message;
use tokio::process::Command;

use crate::{node, scenario::pack};

/// Runs promtool; `None` where there is none.
async fn promtool(arguments: &[&str]) -> Option<(bool, String)> {
    let done = Command::new("promtool").args(arguments).kill_on_drop(true).output().await.ok()?;
    let said = [done.stdout, done.stderr].concat();
    Some((done.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

async fn store_one_sample(router: &Router) {
    let label = |name: &str, value: &str| proto::prometheus::Label { name: name.into(), value: value.into() };
    let series = proto::prometheus::TimeSeries {
        labels: vec![label("__name__", "up"), label("job", "a")],
        samples: vec![proto::prometheus::Sample { value: 1.5, timestamp: node::NOW_MS - 10_000 }],
        ..Default::default()
    };
    let body = proto::prometheus::WriteRequest { timeseries: vec![series], ..Default::default() };
    let body = pack("snappy", &body.encode_to_vec()).unwrap();
    let write = Request::post("/api/v1/write").header("content-encoding", "snappy").body(Body::from(body));
    assert_eq!(node::ask(router, write.unwrap()).await.status, 204);
}

#[tokio::test]
async fn promtool_reads_instants_ranges_series_and_labels() {
    let shutdown = Shutdown::new();
    let state = node::state();
    store_one_sample(&api::router(state.clone())).await;
    let http = Some(SocketAddr::from(([127, 0, 0, 1], 0)).into());
    let listeners = Listeners { http, ..Listeners::default() };
    let bound = api::serve(listeners, state, &shutdown).await.unwrap();
    let url = format!("http://{}", bound.http.unwrap());
    let asked: [(&[&str], &str); 5] = [
        (&["query", "instant", "--time=1700000000", &url, "up"], "up{job=\"a\"} => 1.5 @[1700000000]"),
        (
            &["query", "range", "--start=1699999990", "--end=1700000000", "--step=10s", &url, "up"],
            "1.5 @[1699999990]\n1.5 @[1700000000]",
        ),
        (
            &["query", "series", "--match=up", "--start=1699999900", "--end=1700000100", &url],
            "{__name__=\"up\", job=\"a\"}",
        ),
        (&["query", "labels", "--start=1699999900", "--end=1700000100", &url, "job"], "a"),
        (&["query", "instant", &url, "sum("], "parse error"),
    ];
    for (arguments, want) in asked {
        let Some((worked, said)) = promtool(arguments).await else {
            println!("skipped: promtool is not installed");
            return;
        };
        assert_eq!(worked, want != "parse error", "{arguments:?}: {said}");
        assert!(said.contains(want), "{arguments:?}: {said}");
    }
    shutdown.start();
}
