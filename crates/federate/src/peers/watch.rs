//! The task that watches one peer: asks who it is, over and over, and notes the answer. One that says who it is and
//! was left alone is put a small question when its rest is over, so that it counts again without anybody's asking.

use std::{sync::Arc, time::Duration};

use base::{Shutdown, backoff::Backoff};
use contract::{Error as Told, LabelNamesRequest, Scope, Select, Tenants};
use model::{Signal, TenantId};
use tokio::time::{Instant, sleep, timeout};

use super::{Link, PeerSettings};
use crate::{
    Error, Result,
    peer::{Announcement, Asker, Client},
};

/// Time between two announcements. Longer: what a peer holds, and that it is gone, is known later.
const EVERY: Duration = Duration::from_secs(15);
/// Longest wait for one. A peer that is too busy to say its name within this is too busy to be asked.
const WITHIN: Duration = Duration::from_secs(5);
/// First wait after a failure, at most.
const SOON: Duration = Duration::from_secs(1);

pub(super) async fn watch(
    link: Arc<Link>,
    client: Client,
    asker: Asker,
    shutdown: Shutdown,
    changed: impl Fn() + Send,
) {
    let mut backoff = Backoff::new(SOON, EVERY);
    loop {
        let outcome = tokio::select! {
            outcome = announcement(&link, &client, &asker) => outcome,
            () = shutdown.started() => return,
        };
        let wait = match outcome {
            Ok(said) => {
                backoff.reset();
                if link.heard(said) {
                    changed();
                }
                if link.begin_trial() {
                    let outcome = tokio::select! {
                        outcome = trial(&link, &client) => outcome,
                        () = shutdown.started() => return,
                    };
                    link.tried(outcome);
                }
                link.rest().map_or(EVERY, |rest| rest.clamp(SOON, EVERY))
            }
            Err(e) => {
                link.unheard(&e);
                backoff.next_wait(&mut rand::rng())
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = link.woken() => {}
            () = shutdown.started() => return,
        }
    }
}

async fn announcement(link: &Link, client: &Client, asker: &Asker) -> Result<Announcement> {
    let allowed = WITHIN.min(link.settings().timeout);
    let said = timeout(allowed, client.announce(asker)).await.map_err(|_| Error::Silent { allowed })?;
    expected(said.map_err(Error::Told)?, link.settings(), asker)
}

/// A question that any peer can answer from what it has in memory.
async fn trial(link: &Link, client: &Client) -> Result<()> {
    let allowed = link.settings().timeout;
    let mut scope = Scope::new(Tenants::one(TenantId::default()), link.lately());
    // Whom it asks in turn may be slow.
    scope.limits.deadline = Some(Instant::now().into_std() + allowed / 2);
    let request = LabelNamesRequest { scope, signal: Signal::METRICS, selectors: Vec::new(), limit: Some(1) };
    let answer = timeout(allowed, client.label_names(request)).await;
    answer.map_err(|_| Error::Silent { allowed })?.map(drop).map_err(Error::Told)
}

/// Only the one that was meant.
fn expected(said: Announcement, settings: &PeerSettings, asker: &Asker) -> Result<Announcement> {
    let refuse = |message: String| Err(Error::Told(Told::new(base::Kind::Denied, message)));
    let at = settings.address.as_deref().unwrap_or("the end of the connection it dialled");
    if !asker.node.is_empty() && said.node == asker.node {
        return refuse(format!("the peer at {at} is this node itself"));
    }
    if !said.cluster.is_empty() && said.cluster != settings.name {
        return refuse(format!("the peer at {at} is cluster {}; expected {}", said.cluster, settings.name));
    }
    match (&said.replica, &settings.replica) {
        (Some(is), Some(expected)) if is != expected => {
            refuse(format!("the peer at {at} is replica {is} of {}; expected {expected}", settings.name))
        }
        _ => Ok(said),
    }
}
