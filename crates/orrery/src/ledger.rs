//! The ledger at both ends: what this node sent as it counts it, beside what the receiving nodes say they have of it.
//!
//! A receiver is asked at the addresses that it is sent to, with the same credentials: another node answers
//! `/api/v1/orrery/ledger/received` at every door, systems of others do not know it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base::{
    Clock, Metrics, Shutdown,
    metrics::{Gauges, Single},
};
use config::forward::{Destination, Protocol};
use forward::Account;
use futures::future::join_all;
use ingest::{Lag, PipelineLag, Received, SourceAccount};
use net::{Client, Request};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::forwarding::Onward;

/// Where a receiving node tells what it counted; also named in the API's routes.
const RECEIVED: &str = "/api/v1/orrery/ledger/received";
/// How long one receiver may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often receivers are asked for the metrics.
const ASKED_EVERY: Duration = Duration::from_secs(60);
/// Who does not know the question is asked again after this.
const FOREIGN_FOR: Duration = Duration::from_secs(3600);

/// Both ends.
pub struct Ledger {
    onward: Arc<Onward>,
    received: Option<Arc<Received>>,
    lag: PipelineLag,
    /// The cluster of this node, `local` without a name.
    cluster: String,
    /// Until when a destination is not asked, nanoseconds since 1970.
    foreign: Mutex<HashMap<String, i64>>,
    difference: Gauges,
    mismatches: Gauges,
    asked: Single,
    clock: Clock,
}

/// How the two ends compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same items, and none is under way.
    Equal,
    /// What differs may be under way.
    UnderWay,
    /// Something was lost, doubled, or counted wrongly.
    Mismatch,
    /// The receiver keeps no ledger, or did not answer.
    Unknown,
}

/// What receivers say of one source, added up over the addresses of a destination.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Receiver {
    pub requests: u64,
    pub taken: u64,
    pub refused: u64,
    pub repeated_items: u64,
    /// Addresses that did not answer: what they have is not among these.
    #[serde(skip_serializing_if = "is_zero")]
    pub unanswered: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// One lane with what its receiver says.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    #[serde(flatten)]
    pub account: Account,
    /// Produced less everything that became of it; 0 unless this node counts wrongly.
    pub difference: i64,
    pub receiver: Option<Receiver>,
    /// Acknowledged less what the receiver has; none where it does not say.
    pub receiver_difference: Option<i64>,
    pub state: Verdict,
}

impl Ledger {
    pub fn new(
        onward: Arc<Onward>,
        received: Option<Arc<Received>>,
        lag: PipelineLag,
        cluster: String,
        metrics: &Metrics,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Ledger {
            onward,
            received,
            lag,
            cluster,
            foreign: Mutex::default(),
            difference: metrics.gauges(
                "ledger_difference_items",
                "Items acknowledged less those the receiving node says it has, by destination, signal and class; what may be under way is left out.",
            ),
            mismatches: metrics.gauges(
                "ledger_mismatches",
                "Destinations and classes whose two ends differ by more than what is under way, by destination.",
            ),
            asked: metrics.counter("ledger_comparisons", "Times that receiving nodes were asked what they have."),
            clock,
        })
    }

    /// Asks now and then, so that a mismatch is a metric, and keeps the lag of what is queued up to date.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) {
        let (ledger, stop) = (self.clone(), shutdown.clone());
        shutdown.spawn(async move {
            let mut asked_ns = 0;
            loop {
                tokio::select! {
                    () = stop.started() => return,
                    () = ledger.clock.sleep(Duration::from_secs(5)) => {}
                }
                ledger.observe_lag().await;
                let now = ledger.clock.now_ns();
                if now.saturating_sub(asked_ns) >= ASKED_EVERY.as_nanos() as i64 {
                    asked_ns = now;
                    tokio::select! {
                        () = stop.started() => return,
                        _ = ledger.compare(false) => {}
                    }
                }
            }
        });
    }

    async fn observe_lag(&self) {
        let mut worst: HashMap<String, f64> = HashMap::new();
        for a in self.onward.accounts().await.into_iter().filter(|a| !a.removed) {
            let lag = worst.entry(a.signal).or_default();
            *lag = lag.max(a.lag_seconds);
        }
        for (signal, seconds) in worst {
            self.lag.observe(&self.cluster, &signal, Lag::Queued, (seconds * 1e9) as i64);
        }
    }

    /// What other nodes sent here.
    pub fn sources(&self) -> Vec<SourceAccount> {
        self.received.as_ref().map(|r| r.sources()).unwrap_or_default()
    }

    /// Every lane with its receiver's view. `all` asks those too that did not know the question lately.
    pub async fn compare(&self, all: bool) -> Vec<Compared> {
        let before = self.onward.accounts().await;
        let destinations = self.onward.destinations().await;
        let asked = destinations.iter().filter(|d| all || self.may_know(d)).map(|d| self.ask(d, &before));
        let said: HashMap<u64, Receiver> = join_all(asked).await.into_iter().flatten().flatten().collect();
        self.asked.inc();
        let after = self.onward.accounts().await;
        let compared: Vec<Compared> = after
            .into_iter()
            .map(|a| {
                let earlier = before.iter().find(|b| b.source == a.source);
                let acknowledged = earlier.map_or(0, |b| b.acknowledged);
                compare(a.clone(), acknowledged, said.get(&a.source).cloned())
            })
            .collect();
        self.expose(&compared);
        compared
    }

    fn may_know(&self, d: &Destination) -> bool {
        let until = self.foreign.lock().get(&d.name).copied().unwrap_or(0);
        until <= self.clock.now_ns()
    }

    /// What the addresses of a destination say of its sources; none where nobody answers.
    async fn ask(&self, d: &Destination, accounts: &[Account]) -> Option<Vec<(u64, Receiver)>> {
        let sources: Vec<u64> =
            accounts.iter().filter(|a| a.destination == d.name && !a.removed).map(|a| a.source).collect();
        // Documents are told apart by their own ids there, not by the numbers of requests.
        if sources.is_empty() || matches!(d.protocol, Protocol::Elasticsearch(_)) {
            return None;
        }
        let client = Client::with(d.http.settings.clone());
        let answers = join_all(d.http.urls.iter().map(|url| one(&client, url, &sources))).await;
        let mut sum: HashMap<u64, Receiver> = sources.iter().map(|s| (*s, Receiver::default())).collect();
        let mut unanswered = 0;
        for answer in answers {
            match answer {
                Ok(found) => found.into_iter().for_each(|(source, r)| {
                    if let Some(all) = sum.get_mut(&source) {
                        all.requests += r.requests;
                        all.taken += r.taken;
                        all.refused += r.refused;
                        all.repeated_items += r.repeated_items;
                    }
                }),
                Err(NoAnswer::Foreign) => {
                    let until = self.clock.now_ns().saturating_add(FOREIGN_FOR.as_nanos() as i64);
                    self.foreign.lock().insert(d.name.clone(), until);
                    return None;
                }
                Err(NoAnswer::Down) => unanswered += 1,
            }
        }
        sum.values_mut().for_each(|r| r.unanswered = unanswered);
        (d.http.urls.len() > unanswered as usize).then(|| sum.into_iter().collect())
    }

    fn expose(&self, compared: &[Compared]) {
        let mut mismatches: HashMap<&str, i64> = HashMap::new();
        for c in compared.iter().filter(|c| !c.account.removed) {
            let a = &c.account;
            let is_mismatch = c.state == Verdict::Mismatch;
            *mismatches.entry(&a.destination).or_default() += i64::from(is_mismatch);
            let pairs = vec![
                ("destination", a.destination.clone()),
                ("signal", a.signal.clone()),
                ("class", a.class.as_str().to_owned()),
            ];
            let beyond = c.receiver_difference.filter(|_| is_mismatch).unwrap_or(0) + c.difference;
            self.difference.get_or_create(&pairs).set(beyond);
        }
        for (destination, n) in mismatches {
            self.mismatches.get_or_create(&vec![("destination", destination.to_owned())]).set(n);
        }
    }
}

/// `acknowledged` is from before the receiver was asked, `account` from after.
fn compare(account: Account, acknowledged: u64, receiver: Option<Receiver>) -> Compared {
    let difference = account.difference();
    let is_whole = |r: &&Receiver| r.unanswered == 0 || r.taken >= account.acknowledged;
    let of_receiver = |r: &Receiver| signed(account.acknowledged) - signed(r.taken);
    let receiver_difference = receiver.as_ref().filter(is_whole).map(of_receiver);
    let state = match &receiver {
        _ if difference != 0 => Verdict::Mismatch,
        None => Verdict::Unknown,
        // What is missing here may be with one that did not answer.
        Some(r) if r.unanswered > 0 && r.taken < account.acknowledged => Verdict::Unknown,
        // It has less than it said it has, or more than it could have been sent.
        Some(r) if r.taken < acknowledged || r.taken > account.acknowledged + account.pending => {
            Verdict::Mismatch
        }
        Some(r) if r.taken == account.acknowledged && account.pending == 0 => Verdict::Equal,
        Some(_) => Verdict::UnderWay,
    };
    Compared { account, difference, receiver, receiver_difference, state }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

enum NoAnswer {
    /// It is there and does not know the question.
    Foreign,
    Down,
}

async fn one(client: &Client, url: &str, sources: &[u64]) -> Result<Vec<(u64, Receiver)>, NoAnswer> {
    let mut at = url::Url::parse(url).map_err(|_| NoAnswer::Foreign)?;
    at.set_path(RECEIVED);
    at.set_fragment(None);
    let query: Vec<String> = sources.iter().map(|s| format!("source={s:016x}")).collect();
    at.set_query(Some(&query.join("&")));
    let request = Request { timeout: PATIENCE, max_answer_bytes: 1 << 20, ..Request::get(at.to_string()) };
    let answer = client.send(request).await.map_err(|_| NoAnswer::Down)?;
    if !answer.status.is_success() {
        let foreign = answer.status.is_client_error();
        return Err(if foreign { NoAnswer::Foreign } else { NoAnswer::Down });
    }
    let value: Value = serde_json::from_slice(&answer.body).map_err(|_| NoAnswer::Foreign)?;
    let sources = value.get("sources").and_then(Value::as_array).ok_or(NoAnswer::Foreign)?;
    Ok(sources.iter().filter_map(read).collect())
}

fn read(v: &Value) -> Option<(u64, Receiver)> {
    let source = u64::from_str_radix(v.get("source")?.as_str()?, 16).ok()?;
    let count = |key: &str| v.get(key).and_then(Value::as_u64).unwrap_or(0);
    let refused = v.get("refused").and_then(Value::as_object);
    let refused = refused.map_or(0, |r| r.values().filter_map(Value::as_u64).sum());
    let receiver = Receiver {
        requests: count("requests"),
        taken: count("taken"),
        refused,
        repeated_items: count("repeated_items"),
        unanswered: 0,
    };
    Some((source, receiver))
}

/// A source as the API shows it.
pub fn shown(a: &SourceAccount) -> Value {
    json!({
        "source": format!("{:016x}", a.source),
        "cluster": a.cluster,
        "signal": a.signal,
        "from": a.from,
        "requests": a.requests,
        "taken": a.taken,
        "refused": a.refused,
        "repeated_requests": a.repeated_requests,
        "repeated_items": a.repeated_items,
        "last_ms": a.last_ns / 1_000_000,
    })
}

#[cfg(test)]
mod tests {
    use forward::Class;

    use super::*;

    fn account(acknowledged: u64, pending: u64) -> Account {
        Account {
            destination: "hub".to_owned(),
            source: 1,
            signal: "logs".to_owned(),
            class: Class::Logs,
            produced: acknowledged + pending,
            acknowledged,
            refused: Default::default(),
            dropped: Default::default(),
            pending,
            deferred: 0,
            thinned: 0,
            backlog_bytes: 0,
            lag_seconds: 0.0,
            removed: false,
        }
    }

    #[test]
    fn two_ends_are_equal_under_way_or_a_mismatch() {
        let taken = |taken| Some(Receiver { taken, ..Receiver::default() });
        for (acknowledged, pending, before, receiver, state) in [
            (10, 0, 10, taken(10), Verdict::Equal),
            (10, 5, 10, taken(10), Verdict::UnderWay),
            (10, 5, 8, taken(9), Verdict::UnderWay),
            (10, 5, 10, taken(15), Verdict::UnderWay),
            (10, 5, 10, taken(16), Verdict::Mismatch),
            (10, 0, 10, taken(9), Verdict::Mismatch),
            (10, 0, 10, taken(11), Verdict::Mismatch),
            (10, 0, 10, None, Verdict::Unknown),
        ] {
            let c = compare(account(acknowledged, pending), before, receiver.clone());
            assert_eq!(c.state, state, "{acknowledged} {pending} {before} {receiver:?}");
            assert_eq!(c.difference, 0);
        }
        // After a failover the address that is gone may have the rest.
        let part = |taken| Some(Receiver { taken, unanswered: 1, ..Receiver::default() });
        for (receiver, state, difference) in [
            (part(10), Verdict::Equal, Some(0)),
            (part(7), Verdict::Unknown, None),
            (part(11), Verdict::Mismatch, Some(-1)),
        ] {
            let c = compare(account(10, 0), 10, receiver.clone());
            assert_eq!((c.state, c.receiver_difference), (state, difference), "{receiver:?}");
        }
        let wrong = Account { produced: 12, ..account(10, 0) };
        let c = compare(wrong, 10, taken(10));
        assert_eq!((c.state, c.difference), (Verdict::Mismatch, 2));
    }
}
