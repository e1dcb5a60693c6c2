//! Telemetry sent onward by real processes: what arrives is counted by queries at both ends, and compared with what the
//! ledgers say.

mod bus;
mod cut;
mod fan_out;
mod narrow;
mod receivers;
mod reload;
mod tried;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    crash::{Protocol, Sender},
    node::{Node, eventually},
};

/// Senders of all three signals, one or several of each.
fn senders(each: usize, name: &str) -> Vec<Sender> {
    let protocols = [Protocol::RemoteWrite, Protocol::Loki, Protocol::OtlpTraces];
    let of = |p: Protocol| (0..each).map(move |i| Sender::new(p, &format!("{name}{}{i}", p.letter())));
    protocols.into_iter().flat_map(of).collect()
}

/// Lets senders send to a node, does something meanwhile, and stops them where the node is still there.
async fn sending<T>(senders: &mut Vec<Sender>, http: &str, meanwhile: impl Future<Output = T>) -> T {
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> =
        senders.drain(..).map(|s| tokio::spawn(s.send(http.to_owned(), stop.clone()))).collect();
    let done = meanwhile.await;
    stop.store(true, Relaxed);
    for task in tasks {
        senders.push(task.await.unwrap());
    }
    done
}

/// Every lane of a node's ledger, once nothing waits in any of those that `wanted` names, and none was asked for at the
/// other end while something was on its way there.
async fn drained(node: &Node, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    eventually("everything queued is sent", Duration::from_secs(90), async || {
        let all = node.json("/api/v1/orrery/ledger").await["destinations"].as_array().cloned().unwrap();
        let open = |l: &Value| l["pending"] != 0 || l["state"] == "under_way";
        let waits = |l: &Value| wanted(l["destination"].as_str().unwrap()) && open(l);
        (!all.is_empty() && !all.iter().any(waits)).then_some(all)
    })
    .await
}

/// Every item of a lane is accounted for, and was acknowledged.
fn adds_up(lane: &Value) {
    let n = |v: &Value| v.as_u64().unwrap();
    let sum = |v: &Value| v.as_object().unwrap().values().map(n).sum::<u64>();
    let ended =
        n(&lane["acknowledged"]) + sum(&lane["refused"]) + sum(&lane["dropped"]) + n(&lane["pending"]);
    assert_eq!(n(&lane["produced"]), ended, "{lane}");
    assert_eq!(lane["difference"], 0, "{lane}");
    assert_eq!(lane["produced"], lane["acknowledged"], "{lane}");
}

/// What the sender heard is acknowledged is there, once each, and nothing else is.
async fn exactly_once(senders: &[Sender], node: &Node, place: &str) {
    for s in senders {
        let stored = s.stored(node).await;
        assert!(s.pending.is_none(), "{} still waits for an answer", s.name);
        let lost: Vec<_> = s.acknowledged.iter().filter(|n| !stored.contains_key(n)).take(10).collect();
        assert!(lost.is_empty(), "{place}: {} lost {lost:?} of {}", s.name, s.acknowledged.len());
        let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).take(10).collect();
        assert!(doubled.is_empty(), "{place}: {} doubled {doubled:?}", s.name);
        assert_eq!(stored.len(), s.acknowledged.len(), "{place}: {} has more than was acknowledged", s.name);
    }
}

/// The value of a metric of a node whose labels contain all of these.
async fn metric(node: &Node, name: &str, labels: &[&str]) -> Option<f64> {
    let text = String::from_utf8(node.get("/metrics").await.body.to_vec()).unwrap();
    let line = text.lines().find(|l| {
        l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|x| l.contains(x))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}
