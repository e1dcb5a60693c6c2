//! Requests that another node numbered: each number is stored and counted once, and answered the same whenever it comes.

use base::memory::Reservation;
use contract::Receipt;
use model::BatchId;

use super::{Admitted, Ingest, Plain, Request, Resolved, Written};
use crate::{
    Result,
    received::{Noted, Outcome},
};

impl Ingest {
    /// The last steps, with the number of the request in place of what its content makes of it.
    pub(super) async fn append_numbered(
        &self,
        request: &Request<'_>,
        unit: Plain,
        content: Option<BatchId>,
        (received_ns, at): (i64, &Resolved),
        held: Reservation,
    ) -> Result<Admitted> {
        // Documents of a bulk have ids of their own, and of those turned away a part comes again under the same number.
        let number = request.sender.batch.filter(|_| unit.bulk.is_none());
        let refused = unit.decoded.refused.total();
        let noted =
            number.and_then(|n| Noted::new(n, &unit.decoded.batch, refused, request.sender, received_ns));
        let (Some(received), Some(noted)) = (&self.received, noted) else {
            return self.append(request, unit, content, (received_ns, at), held).await;
        };
        // Nobody else with this number is between here and the answer.
        let _alone = received.enter(&noted).await;
        if let Some(outcome) = received.known(&noted) {
            received.again(&noted).await?;
            return Ok(repeated(unit, &outcome));
        }
        let admitted = self.append(request, unit, number, (received_ns, at), held).await?;
        received.note(&noted, &admitted.receipt).await?;
        Ok(admitted)
    }
}

/// The answer of the first time.
fn repeated(unit: Plain, outcome: &Outcome) -> Admitted {
    let receipt: Receipt = outcome.receipt(&unit.decoded.batch.signal());
    let written = Written {
        samples: outcome.taken.saturating_sub(outcome.histograms),
        histograms: outcome.histograms,
        exemplars: outcome.exemplars,
    };
    // A number that was known to the store alone has no more detail than its items.
    let written = if outcome.refused.is_empty() { Written::of(&unit.decoded.batch) } else { written };
    Admitted { receipt, written, bulk: unit.bulk }
}
