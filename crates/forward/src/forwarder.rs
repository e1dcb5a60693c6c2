//! The forwarder: an `Append` around another that queues copies of what the other accepted.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use base::{Clock, Metrics, Shutdown};
use contract::{Append, AppendUnit, Receipt};
use disklog::Disk;
use model::{Batch, Signal, TenantId};

use crate::{
    Account, Class, Error, Result, Selection,
    budget::{Budget, Governor},
    core::Core,
    destination::Destination,
    frame::Part,
    known::Known,
    lane,
    link::{Limits, Link, Seen},
    queue::{self, QueueOptions},
    selection::{Selector, retain_logs, retain_spans},
    stats::Stats,
    writer::{self, Entrance},
};

/// Most destinations of one node; each has a cursor per class.
pub const MAX_DESTINATIONS: usize = 256;

/// Where telemetry goes, and which.
pub struct Target {
    /// What it is counted under, and what its cursors are found by after a restart: 1 to 100 bytes.
    pub name: String,
    pub selection: Selection,
    pub limits: Limits,
    pub destination: Arc<dyn Destination>,
}

/// Queues for its destinations and sends to them. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    groups: Vec<Group>,
    entrance: Entrance,
    links: Vec<Arc<Link>>,
}

/// Destinations with the same selection share their copies.
struct Group {
    selector: Selector,
    names: Vec<String>,
}

impl Forwarder {
    /// Opens the queue in `options.dir` and begins to send what is in it.
    ///
    /// # Errors
    /// A name that is not valid or given twice, a queue that cannot be opened.
    pub async fn open(
        options: QueueOptions,
        targets: Vec<Target>,
        disk: Arc<dyn Disk>,
        metrics: &Metrics,
        clock: Clock,
    ) -> Result<Self> {
        let names = check(&targets)?;
        let ids_every_bytes = options.ids_every_bytes;
        let registry = metrics.clone();
        let stats = Stats::new(metrics);
        let counts = stats.clone();
        let opening = tokio::task::spawn_blocking(move || {
            queue::open(&options, &disk, &names, &registry, counts, &mut rand::random)
        });
        let opened = opening.await.map_err(|e| Error::Internal(format!("opening the queue: {e}")))??;
        let core = Arc::new(Core {
            log: opened.log,
            book: opened.book,
            clock,
            closing: Shutdown::new(),
            ids_every_bytes,
        });
        core.book.save(&core.log).await?;
        let (entrance, writer) = writer::new(core.clone(), opened.known);
        core.closing.spawn(writer.run());
        let mut governors: HashMap<String, Arc<Governor>> = HashMap::new();
        let mut groups: Vec<(Selection, Vec<String>)> = Vec::new();
        let mut links = Vec::new();
        for (i, target) in targets.into_iter().enumerate() {
            let selection = possible(target.selection.clone(), &*target.destination);
            if let Some(selection) = selection {
                match groups.iter_mut().find(|(s, _)| *s == selection) {
                    Some((_, names)) => names.push(target.name.clone()),
                    None => groups.push((selection, vec![target.name.clone()])),
                }
            }
            let governor = governor(&mut governors, &target, &core.clock);
            let Target { name, limits, destination, .. } = target;
            let link = Arc::new(Link::new(core.clone(), name, destination, limits, governor, stats.clone()));
            links.push(link.clone());
            for class in 0..Class::ALL.len() {
                core.closing.spawn(lane::run(link.clone(), i * Class::ALL.len() + class));
            }
        }
        let groups = groups
            .into_iter()
            .map(|(selection, names)| Group { selector: Selector::new(selection), names })
            .collect();
        Ok(Forwarder(Arc::new(Inner { core, groups, entrance, links })))
    }

    /// The ledger as of now; the gauges of the metrics are brought up to date by it.
    pub fn accounts(&self) -> Vec<Account> {
        self.0.core.book.accounts(&self.0.core.clock)
    }

    /// How sending goes, by name of the destination.
    pub fn seen(&self) -> Vec<(String, Seen)> {
        self.0.links.iter().map(|l| (l.name.clone(), l.seen())).collect()
    }

    /// Bytes that the queue holds on the disk.
    pub fn held_bytes(&self) -> u64 {
        self.0.core.log.bytes()
    }

    /// Ends sending and queueing, within `grace` or a little more, and makes durable what was reached. Later appends are
    /// turned away.
    pub async fn close(&self, grace: Duration) {
        let core = &self.0.core;
        core.closing.start();
        if let Err(left) = core.closing.finished(grace).await {
            tracing::warn!(tasks = left, "forwarding did not end in time");
        }
        if let Err(e) = core.book.save(&core.log).await {
            tracing::warn!(error = %e, "the state of forwarding could not be saved; requests are sent again");
        }
        core.log.close().await;
        core.book.close().await;
    }

    fn takes(&self, tenant: &TenantId, batch: &Batch) -> bool {
        let signal = batch.signal();
        self.0.groups.iter().any(|g| g.selector.may_take(tenant, &signal))
    }

    /// Queues what is selected of the accepted items of a unit.
    async fn queue(&self, tenant: &TenantId, unit: AppendUnit, receipt: &Receipt) -> Result<()> {
        // As in the store: of a unit that was not accepted whole, more may be accepted next time.
        let id = unit.batch_id.filter(|_| receipt.refused.is_empty());
        let key = Known::key(tenant, id);
        let mut parts = Vec::new();
        for batch in &unit.batches {
            for group in &self.0.groups {
                for (class, batch) in group.selector.select(tenant, batch) {
                    parts.push(part(tenant, unit.received_ns, key, class, &batch, &group.names)?);
                }
            }
        }
        match parts.is_empty() {
            true => Ok(()),
            false => self.0.entrance.queue(key, receipt.duplicate, parts).await,
        }
    }
}

fn part(
    tenant: &TenantId,
    received_ns: i64,
    unit: u128,
    class: Class,
    batch: &Batch,
    names: &[String],
) -> Result<Part> {
    let bytes = wire::native::encode(tenant, None, received_ns, std::slice::from_ref(batch))
        .map_err(|e| Error::Internal(format!("encoding accepted items of tenant {tenant}: {e}")))?;
    Ok(Part {
        received_ns,
        unit,
        class,
        to: names.iter().map(|n| (n.clone(), 0)).collect(),
        items: batch.item_count() as u32,
        bytes: Part::pack(bytes),
    })
}

fn check(targets: &[Target]) -> Result<Vec<String>> {
    let setting = |destination: &str, name, value: String, wanted| Error::Setting {
        destination: destination.to_owned(),
        name,
        value,
        wanted,
    };
    if targets.len() > MAX_DESTINATIONS {
        return Err(setting("forward", "destinations", targets.len().to_string(), "at most 256"));
    }
    let mut names: Vec<String> = Vec::new();
    for t in targets {
        if t.name.is_empty() || t.name.len() > 100 {
            return Err(setting(&t.name, "name", t.name.clone(), "1 to 100 bytes"));
        }
        if names.contains(&t.name) {
            return Err(setting(&t.name, "name", t.name.clone(), "a name of its own"));
        }
        if t.limits.max_batch_items == 0 || t.limits.max_batch_bytes == 0 {
            return Err(setting(&t.name, "limits", "0".to_owned(), "at least 1"));
        }
        if let Some((name, value, wanted)) = t.limits.budget.as_ref().and_then(Budget::fault) {
            return Err(setting(&t.name, name, value, wanted));
        }
        names.push(t.name.clone());
    }
    let budgets = || targets.iter().filter_map(|t| Some((&t.name, t.limits.budget.as_ref()?)));
    for (name, budget) in budgets().filter(|(_, b)| !b.link.is_empty()) {
        if budgets().any(|(_, b)| b.link == budget.link && b != budget) {
            return Err(setting(
                name,
                "budget link",
                budget.link.clone(),
                "one budget for all of its destinations",
            ));
        }
    }
    Ok(names)
}

/// What lets requests onto the link of a destination: the one of its link's name, or its own.
fn governor(
    known: &mut HashMap<String, Arc<Governor>>,
    target: &Target,
    clock: &Clock,
) -> Option<Arc<Governor>> {
    let budget = target.limits.budget.as_ref()?;
    let new = || Arc::new(Governor::new(budget.clone(), clock.clone()));
    Some(match budget.link.is_empty() {
        true => new(),
        false => known.entry(budget.link.clone()).or_insert_with(new).clone(),
    })
}

/// The selection without signals that the destination does not carry; none if nothing is left.
fn possible(selection: Selection, destination: &dyn Destination) -> Option<Selection> {
    let asked = |s: &Signal| selection.signals.is_empty() || selection.signals.contains(s);
    let signals: Vec<Signal> =
        Signal::KNOWN.into_iter().filter(|s| asked(s) && destination.takes(s)).collect();
    (!signals.is_empty()).then_some(Selection { signals, ..selection })
}

/// Without the items that were refused, where the receipt says which: it does for log records and spans. Metrics stay
/// whole, and each receiver judges them by itself.
fn accepted(unit: &mut AppendUnit, receipt: &Receipt) {
    let refused = |signal: &Signal| {
        let of = receipt.refused.iter().filter(|r| r.signal == *signal);
        let mut all: Vec<u32> = of.flat_map(|r| r.positions.iter().copied()).collect();
        all.sort_unstable();
        all
    };
    let (logs, spans) = (refused(&Signal::LOGS), refused(&Signal::TRACES));
    // Spans are counted through all batches of a unit, records by themselves.
    let mut spans_before = 0;
    for batch in &mut unit.batches {
        match batch {
            Batch::Logs(l) if !logs.is_empty() => {
                *l = retain_logs(l, |i, _| logs.binary_search(&(i as u32)).is_err());
            }
            Batch::Spans(s) => {
                let count = s.spans.len();
                if !spans.is_empty() {
                    *s = retain_spans(s, |i, _| spans.binary_search(&((spans_before + i) as u32)).is_err());
                }
                spans_before += count;
            }
            _ => {}
        }
    }
}

/// Passes units on, and queues copies of what was accepted before it answers.
pub struct Forwarding {
    pub append: Arc<dyn Append>,
    pub forwarder: Forwarder,
}

#[async_trait]
impl Append for Forwarding {
    /// As the inner append, and on `Ok` the copies are durable, too. After an error of the queue the unit may be stored;
    /// the caller sends it again, and what is missing in the queue is queued then.
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        if !unit.batches.iter().any(|b| self.forwarder.takes(tenant, b)) {
            return self.append.append(tenant, unit).await;
        }
        let inner = &self.forwarder.0;
        if inner.entrance.is_refusing(inner.core.clock.now_ns()) {
            return Err(contract::Error::unavailable("the queue of forwarding takes nothing now"));
        }
        let mut copy = AppendUnit {
            batches: unit.batches.iter().filter(|b| self.forwarder.takes(tenant, b)).cloned().collect(),
            ..unit
        };
        let (append, forwarder, tenant) = (self.append.clone(), self.forwarder.clone(), tenant.clone());
        // A task of its own: a sender that goes away must not leave items stored and not queued.
        let task = tokio::spawn(async move {
            let receipt = append.append(&tenant, unit).await?;
            if !receipt.refused.is_empty() {
                accepted(&mut copy, &receipt);
            }
            forwarder.queue(&tenant, copy, &receipt).await?;
            Ok(receipt)
        });
        task.await
            .unwrap_or_else(|e| Err(contract::Error::internal(format!("queueing what was appended: {e}"))))
    }
}

#[cfg(test)]
mod tests;
