//! Sends one batch until it is acknowledged or refused.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use base::Clock;
use net::{Client, Request};

use super::{Options, batches::Batch};
use crate::{Error, Result, Target};

/// First and longest wait before a request is sent again.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

pub(super) struct Sender {
    client: Client,
    target: Target,
    url: String,
    clock: Clock,
    retry_for: Duration,
    keep_going: bool,
    /// When the receiver last took something, whoever sent it.
    last_taken_ns: AtomicI64,
}

/// An outcome that lets the import go on.
pub(super) struct Sent {
    pub(super) retries: u64,
    /// What the receiver said where it refused some of the batch.
    pub(super) refused: Option<String>,
}

impl Sender {
    pub(super) fn new(o: &Options, clock: &Clock) -> Result<Self> {
        Ok(Sender {
            client: Client::new()?,
            url: o.target.or_at("/api/v1/write"),
            target: o.target.clone(),
            clock: clock.clone(),
            retry_for: o.retry_for,
            keep_going: o.keep_going,
            last_taken_ns: AtomicI64::new(clock.now_ns()),
        })
    }

    pub(super) async fn send(&self, batch: &Batch) -> Result<Sent> {
        let (mut wait, mut retries) = (WAIT.0, 0);
        loop {
            let request =
                Request { timeout: Duration::from_secs(60), ..Request::post(&self.url, batch.body.clone()) }
                    .header("content-type", "application/x-protobuf")
                    .header("content-encoding", "snappy")
                    .header("x-prometheus-remote-write-version", "0.1.0");
            let answer = match self.client.send(self.target.add(request)).await {
                Ok(a) if a.status.is_success() => {
                    self.last_taken_ns.store(self.clock.now_ns(), Relaxed);
                    return Ok(Sent { retries, refused: None });
                }
                Ok(a) => {
                    let said = format!("{} {}", a.status.as_u16(), a.excerpt());
                    if !matches!(a.status.as_u16(), 408 | 425 | 429 | 500..=599) {
                        return self.refused(batch, said, retries);
                    }
                    said
                }
                Err(e) => e.to_string(),
            };
            let since = self.clock.now_ns().saturating_sub(self.last_taken_ns.load(Relaxed));
            if u128::try_from(since).unwrap_or(0) >= self.retry_for.as_nanos() {
                let seconds = self.retry_for.as_secs();
                return Err(Error::GaveUp { url: self.url.clone(), seconds, answer });
            }
            retries += 1;
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(WAIT.1);
        }
    }

    fn refused(&self, batch: &Batch, answer: String, retries: u64) -> Result<Sent> {
        if self.keep_going {
            self.last_taken_ns.store(self.clock.now_ns(), Relaxed);
            return Ok(Sent { retries, refused: Some(answer) });
        }
        Err(Error::Refused { url: self.url.clone(), block: batch.block.clone(), answer })
    }
}
