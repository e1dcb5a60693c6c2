//! Sends simulated scrapes of a fleet over remote write: every series once in each round, rounds in order of
//! time, so that no receiver sees anything out of order.

use std::time::Duration;

use base::Clock;
use futures::{StreamExt, stream};
use model::{Batch, MetricBatch, metric::Samples};

use super::report::Order;
use crate::{
    Error, Protocol, Result, WriteOptions,
    generate::Generator,
    payload::Payload,
    random::Random,
    send::{Outcome, Sender},
};

/// Series of one target of the fleet.
pub(super) const SERIES_EACH: usize = 200;
/// Targets in one request: what Prometheus sends at once.
const TARGETS_A_REQUEST: usize = 10;
/// How often a receiver that asks for it is given time.
const RETRIES: usize = 100;

pub(super) struct Plan {
    pub(super) series: usize,
    pub(super) scrapes: usize,
    pub(super) interval: Duration,
    pub(super) order: Order,
    pub(super) seed: u64,
    pub(super) concurrency: usize,
}

impl Plan {
    pub(super) fn targets(&self) -> usize {
        (self.series / SERIES_EACH).max(1)
    }
}

pub(super) struct Loaded {
    pub(super) samples: u64,
    /// Time of the newest sample.
    pub(super) last_ms: i64,
}

/// Loads; the last scrape lies a minute in the past.
pub(super) async fn run(plan: &Plan, url: &str, clock: &Clock) -> Result<Loaded> {
    let interval_ms = i64::try_from(plan.interval.as_millis()).unwrap_or(15_000);
    let last_ms = (clock.now_ms() - 60_000).div_euclid(interval_ms) * interval_ms;
    let start_ms = last_ms - interval_ms * (plan.scrapes as i64 - 1);
    let options = WriteOptions {
        target: url.to_owned(),
        protocol: Protocol::RemoteWrite,
        targets: plan.targets(),
        concurrency: 1,
        seed: plan.seed,
        simulated: Some((start_ms, interval_ms)),
        ..WriteOptions::default()
    };
    let sender = Sender::new(&options)?;
    let mut generator = Generator::new(&options, 0);
    let mut random = Random::new(plan.seed);
    let mut samples = 0;
    for _ in 0..plan.scrapes {
        let mut left = plan.targets();
        let mut requests = Vec::new();
        while left > 0 {
            let targets = left.min(TARGETS_A_REQUEST);
            left -= targets;
            let Batch::Metrics(mut batch) = generator.next(targets * SERIES_EACH, 0).batch else { continue };
            samples += batch.item_count() as u64;
            if plan.order == Order::Shuffled {
                batch = shuffled(batch, &mut random);
            }
            requests.extend(Payload::encode(Protocol::RemoteWrite, &Batch::Metrics(batch)));
        }
        if plan.order == Order::Shuffled {
            shuffle(&mut requests, &mut random);
        }
        let mut answers = stream::iter(requests)
            .map(|payload| deliver(&sender, payload, url, clock))
            .buffer_unordered(plan.concurrency.max(1));
        while let Some(answer) = answers.next().await {
            answer?;
        }
    }
    Ok(Loaded { samples, last_ms })
}

async fn deliver(sender: &Sender, payload: Payload, url: &str, clock: &Clock) -> Result<()> {
    let mut reason = String::new();
    for _ in 0..RETRIES {
        match sender.send(&payload).await {
            Outcome::Acknowledged { .. } => return Ok(()),
            Outcome::Refused(what) => return Err(Error::Ask { url: url.to_owned(), reason: what }),
            Outcome::Later(what) => reason = what,
        }
        clock.sleep(Duration::from_millis(200)).await;
    }
    Err(Error::Ask { url: url.to_owned(), reason: format!("it took nothing {RETRIES} times: {reason}") })
}

/// Fisher and Yates.
fn shuffle<T>(all: &mut [T], random: &mut Random) {
    for i in (1..all.len()).rev() {
        all.swap(i, random.below(i as u64 + 1) as usize);
    }
}

/// The same samples with the series in another order.
fn shuffled(batch: MetricBatch, random: &mut Random) -> MetricBatch {
    let mut order: Vec<u32> = (0..batch.series.len() as u32).collect();
    shuffle(&mut order, random);
    let mut place = vec![0u32; order.len()];
    for (to, from) in order.iter().enumerate() {
        if let Some(p) = place.get_mut(*from as usize) {
            *p = to as u32;
        }
    }
    let series = order.iter().filter_map(|i| batch.series.get(*i as usize).cloned()).collect();
    let moved = batch.samples.series.iter().filter_map(|s| place.get(*s as usize).copied()).collect();
    MetricBatch { series, samples: Samples { series: moved, ..batch.samples }, ..batch }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::Labels;

    use super::*;

    #[test]
    fn a_shuffled_batch_holds_the_same_samples() {
        let mut batch = MetricBatch::default();
        for i in 0..50 {
            let s = batch.push_series(Labels::from_pairs([("n", i.to_string())]));
            batch.samples.push(s, 1, f64::from(i));
        }
        let found = |b: &MetricBatch| -> BTreeMap<String, f64> {
            let value = |(i, s): (usize, &u32)| (b.series[*s as usize].to_string(), b.samples.value[i]);
            b.samples.series.iter().enumerate().map(value).collect()
        };
        let other = shuffled(batch.clone(), &mut Random::new(3));
        assert_ne!(other.series, batch.series);
        assert_eq!(found(&other), found(&batch));
    }
}
