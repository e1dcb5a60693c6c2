//! Elasticsearch's `_bulk`, which is answered item by item.

use base::cap::Encoding;
use bytes::Bytes;
use contract::{Receipt, RefusalReason};
use model::{Batch, LogBatch, TenantId};
use wire::bulk::{Action, ID, Item, Problem, document};
use xxhash_rust::xxh3::Xxh3;

use super::{Ingest, Plain, Request};
use crate::{Result, Sender, identities::Claims};

/// What a bulk request was decoded to beside its batch.
pub(super) struct Bulked {
    items: Vec<Item>,
    claims: Claims,
}

impl Ingest {
    /// One bulk request; `index` is that of its path. Every item says what became of it: an error's absence means that
    /// its document is durable.
    pub async fn bulk(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        index: Option<String>,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Vec<Item>> {
        let within = index.clone().unwrap_or_default();
        let request =
            Request { protocol: "elasticsearch", endpoint: "bulk", within: &within, tenant, sender };
        let received_ns = self.clock.now_ns();
        let mut claims = self.identities.claims(tenant);
        let admitted = self.admit(request, encoding, body, move |body, at| {
            let mut identify = |index: &str, id: &str| claims.identify(index, id);
            let limits = &at.otlp.limits;
            let bulk = wire::bulk::decode(body, index.as_deref(), received_ns, limits, &mut identify)?;
            let items = bulk.items;
            let identity = Some(identity(&items, &bulk.decoded.batch));
            Ok(Plain {
                identity,
                bulk: Some(Bulked { items, claims }),
                ..bulk.decoded.map(Batch::Logs).into()
            })
        });
        let admitted = admitted.await?;
        let Some(Bulked { mut items, claims }) = admitted.bulk else { return Ok(Vec::new()) };
        answer(&mut items, &admitted.receipt);
        let ids: Vec<bool> = items.iter().filter_map(created).collect();
        claims.keep(|i| ids.get(i).copied().unwrap_or(false), received_ns);
        Ok(items)
    }
}

/// What makes two requests the same one sent again. Their bytes need not be: Beats write the fields of a document in an
/// order of the moment.
fn identity(items: &[Item], batch: &LogBatch) -> u128 {
    let mut all = Xxh3::new();
    for item in items {
        all.update(item.action.as_str().as_bytes());
        let record = item.outcome.as_ref().ok().and_then(|at| batch.records.get(*at as usize));
        // An id that was made is made of the content.
        let made = match record {
            Some(r) if r.attributes.get(ID).is_some() => Some(document::id(&item.index, r)),
            _ => None,
        };
        for part in [&item.index, made.as_ref().or(item.id.as_ref()).unwrap_or(&item.index)] {
            all.update(&(part.len() as u64).to_le_bytes());
            all.update(part.as_bytes());
        }
    }
    all.digest128()
}

/// Of an item whose id was new: whether it is stored.
fn created(item: &Item) -> Option<bool> {
    let new = item.action == Action::Create && item.claimed;
    new.then_some(item.outcome.is_ok())
}

/// Writes into the items what the append refused.
fn answer(items: &mut [Item], receipt: &Receipt) {
    let most = items.len();
    let mut refused: Vec<Option<&contract::Refusal>> = vec![None; most];
    for refusal in &receipt.refused {
        for at in &refusal.positions {
            if let Some(place) = refused.get_mut(*at as usize) {
                *place = Some(refusal);
            }
        }
    }
    for item in items {
        let why = item.outcome.as_ref().ok().and_then(|at| *refused.get(*at as usize)?);
        if let Some(refusal) = why {
            item.outcome = Err(problem(refusal));
        }
    }
}

fn problem(refusal: &contract::Refusal) -> Problem {
    let (status, kind) = match refusal.reason {
        RefusalReason::TooLarge => (413, "circuit_breaking_exception"),
        RefusalReason::OtherCluster => (403, "security_exception"),
        _ => (400, "illegal_argument_exception"),
    };
    Problem::new(status, kind, format!("{}: {}", refusal.reason.as_str(), refusal.detail))
}
