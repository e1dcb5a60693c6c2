//! The page that is printed once everything runs: where to look, what to break, what will be seen.

use std::fmt::Write;

use url::form_urlencoded::byte_serialize;

use super::{
    child::Process,
    look::Seen,
    plan::{NODES, OPS, Plan},
};

/// Counters of services in both clusters, by cluster.
const GRAPH: &str = "sum by (cluster, job) (rate(shop_requests_total[1m]))";

pub fn page(plan: &Plan, all: &[Process], seen: &Seen) -> String {
    let pid = |name: &str| {
        all.iter().find(|p| p.name() == name).map_or_else(|| "?".to_owned(), |p| p.pid().to_string())
    };
    let mut out =
        String::from("\nThree clusters run on this machine and speak mutual TLS. Ctrl-C stops them.\n\n");
    // Writing to a string does not fail.
    for node in &NODES {
        let (url, pid) = (plan.url(node), pid(node.shown));
        let _ = writeln!(out, "  {:<10} {url}/ui/   process {pid:<8} {}", node.shown, node.about);
    }
    let ops = plan.url(&OPS);
    let graph: String = byte_serialize(GRAPH.as_bytes()).collect();
    let trace = match &seen.trace {
        Some(id) => format!("{ops}/ui/trace/{id}"),
        None => format!("{ops}/ui/traces?service=frontend"),
    };
    let (a, b) = (pid("prod-01/a"), pid("prod-01/b"));
    let _ = write!(
        out,
        "\nLook at, on the global node\n\
         \x20 1. one graph over both clusters    {ops}/ui/metrics?q={graph}&from=now-15m&refresh=5s\n\
         \x20 2. one order across both clusters  {trace}\n\
         \x20    (others: {ops}/ui/traces?service=frontend)\n\
         \x20 3. who answers, and how fast       {ops}/ui/federation\n\
         \nBreak something, and ask again\n\
         \x20 kill -STOP {b}          prod-01/b stands still. Metrics stay complete: prod-01/a has the same ones.\n\
         \x20 {pad}             Logs and traces are partial: each replica has a share, and the badge says whose is missing.\n\
         \x20 kill -STOP {a} {b}  both: every answer names prod-01 as missing, and dev-01's part is there all the same.\n\
         \x20 kill -CONT {a} {b}  both are back, and answers are complete again.\n\
         \x20 kill -9 {b}             prod-01/b dies. It is started again after 20 s and has everything it had acknowledged.\n\
         \nOr ask by hand: curl -si '{ops}/api/v1/query?query=up' | grep -i coverage\n\
         Each node's orrery.yaml, data and log are in {}.\n",
        plan.dir.display(),
        pad = " ".repeat(b.len()),
    );
    out
}
