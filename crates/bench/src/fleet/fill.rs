//! What the clusters hold: counters of requests, each cluster with numbers of its own.
//!
//! ```text
//! http_requests_total{instance="i-0000", route="/r-00", code="200"}      instance: 25 routes × 4 codes = 100 series
//! ```
//! Sent by remote write, series by series over two hours at a time: history is filled in, no scrapes are imitated.

use std::{fs, path::PathBuf};

use base::Clock;
use futures::{StreamExt, TryStreamExt, stream};
use model::{Batch, Labels, MetricBatch};
use serde::{Deserialize, Serialize};

use super::{
    FleetOptions,
    clusters::{Fleet, MARK},
};
use crate::{
    Error, Protocol, Result, WriteOptions,
    payload::Payload,
    random::Random,
    send::{Outcome, Sender},
};

const METRIC: &str = "http_requests_total";
/// Series of one instance.
pub(super) const SERIES_EACH: usize = ROUTES * CODES.len();
const ROUTES: usize = 25;
/// With how many requests a minute there are at most.
const CODES: [(&str, u64); 4] = [("200", 600), ("304", 80), ("404", 12), ("500", 3)];
/// Samples of a series in one request: two hours of one a minute.
const SAMPLES_A_REQUEST: usize = 120;
/// Requests under way at once, over all clusters.
const AT_ONCE: usize = 3;
/// How often a receiver that asks for it is given time.
const RETRIES: usize = 600;
/// What the clusters were filled with. The last sample lies at `last_ms`, the first one span before it and one
/// interval later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Filled {
    clusters: usize,
    series: usize,
    scrapes: usize,
    interval_ms: i64,
    seed: u64,
    pub(super) last_ms: i64,
    pub(super) samples: u64,
}

fn instances(o: &FleetOptions) -> usize {
    o.series / SERIES_EACH
}

/// Series of each cluster: whole instances.
pub(super) fn series_of(o: &FleetOptions) -> usize {
    instances(o) * SERIES_EACH
}

impl Filled {
    fn new(o: &FleetOptions, last_ms: i64) -> Self {
        let (series, scrapes) = (series_of(o), o.scrapes());
        Filled {
            clusters: o.clusters,
            series,
            scrapes,
            interval_ms: o.interval_ms(),
            seed: o.seed,
            last_ms,
            samples: (o.clusters * series) as u64 * scrapes as u64,
        }
    }

    pub(super) fn first_ms(&self) -> i64 {
        self.last_ms - self.interval_ms * (self.scrapes as i64 - 1)
    }

    /// What an earlier run left, where it is what is wanted.
    pub(super) fn left(o: &FleetOptions) -> Option<Filled> {
        let left: Filled = serde_json::from_slice(&fs::read(mark(o)).ok()?).ok()?;
        (left == Filled::new(o, left.last_ms)).then_some(left)
    }

    /// Leaves word for a later run.
    pub(super) fn note(&self, o: &FleetOptions) -> Result<()> {
        let (path, text) = (mark(o), serde_json::to_vec(self).unwrap_or_default());
        fs::write(&path, text).map_err(|source| Error::Program { doing: "writing", path, source })
    }
}

fn mark(o: &FleetOptions) -> PathBuf {
    o.dir.join(MARK)
}

pub(super) async fn fill(
    o: &FleetOptions,
    fleet: &Fleet,
    clock: &Clock,
    tell: &mut impl FnMut(String),
) -> Result<Filled> {
    let interval_ms = o.interval_ms();
    let last_ms = (clock.now_ms() - 60_000).div_euclid(interval_ms) * interval_ms;
    let filled = Filled::new(o, last_ms);
    let senders: Vec<Sender> = fleet
        .urls()
        .map(|target| Sender::new(&WriteOptions { target, ..WriteOptions::default() }))
        .collect::<Result<_>>()?;
    let mut counters: Vec<Vec<Instance>> =
        (0..o.clusters).map(|c| (0..instances(o)).map(|i| Instance::new(o.seed, c, i)).collect()).collect();
    let mut from = 0;
    while from < filled.scrapes {
        let to = filled.scrapes.min(from + SAMPLES_A_REQUEST);
        let first_ms = filled.first_ms() + interval_ms * from as i64;
        let all = counters.iter_mut().zip(&senders).flat_map(|(instances, sender)| {
            instances.iter_mut().map(move |i| (i.next(first_ms, interval_ms, to - from), sender))
        });
        // One after the other as they are wanted: the whole is larger than memory.
        stream::iter(all)
            .map(|(batch, sender)| async move {
                let payload = Payload::encode(Protocol::RemoteWrite, &Batch::Metrics(batch));
                deliver(sender, payload, clock).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        from = to;
        tell(format!("{from} of {} samples of every series are there", filled.scrapes));
    }
    Ok(filled)
}

async fn deliver(sender: &Sender, payload: Option<Payload>, clock: &Clock) -> Result<()> {
    let fail = |reason| Err(Error::Ask { url: "a cluster that is filled".to_owned(), reason });
    let Some(payload) = payload else { return fail("a request is too large".to_owned()) };
    let mut reason = String::new();
    for _ in 0..RETRIES {
        match sender.send(&payload).await {
            Outcome::Acknowledged { .. } => return Ok(()),
            Outcome::Refused(what) => return fail(what),
            Outcome::Later(what) => reason = what,
        }
        clock.sleep(crate::process::TICK * 2).await;
    }
    fail(format!("it took nothing {RETRIES} times: {reason}"))
}

/// The counters of one instance, all of which are scraped at once.
struct Instance {
    labels: Vec<Labels>,
    values: Vec<u64>,
    random: Random,
}

impl Instance {
    fn new(seed: u64, cluster: usize, number: usize) -> Self {
        let name = format!("i-{number:04}");
        let routes: Vec<String> = (0..ROUTES).map(|r| format!("/r-{r:02}")).collect();
        let labels = routes.iter().flat_map(|route| {
            CODES.iter().map(|(code, _)| {
                let pairs =
                    [("__name__", METRIC), ("instance", &*name), ("route", &**route), ("code", *code)];
                Labels::from_pairs(pairs)
            })
        });
        let labels: Vec<Labels> = labels.collect();
        let lane = (cluster as u64) << 32 | number as u64;
        Instance { values: vec![0; labels.len()], labels, random: Random::split(seed, lane) }
    }

    /// The next samples of each series.
    fn next(&mut self, first_ms: i64, interval_ms: i64, scrapes: usize) -> MetricBatch {
        let mut batch = MetricBatch::default();
        for (i, (labels, value)) in self.labels.iter().zip(&mut self.values).enumerate() {
            let series = batch.push_series(labels.clone());
            let most = CODES.get(i % CODES.len()).map_or(0, |(_, most)| *most);
            for n in 0..scrapes {
                batch.samples.push(series, first_ms + interval_ms * n as i64, *value as f64);
                *value += self.random.below(most + 1);
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_counts_on_where_it_ended_and_differs_between_clusters() {
        let (mut a, mut b) = (Instance::new(1, 0, 7), Instance::new(1, 1, 7));
        let (first, other) = (a.next(1_000, 60_000, 3), b.next(1_000, 60_000, 3));
        assert_eq!((first.series.len(), first.samples.value.len()), (SERIES_EACH, 3 * SERIES_EACH));
        assert_eq!(first.series, other.series);
        assert_ne!(first.samples.value, other.samples.value);
        let next = a.next(181_000, 60_000, 1);
        assert!(next.samples.value[0] >= first.samples.value[2], "a counter never falls");
        assert_eq!(next.samples.timestamp_ms[0], 181_000);
    }

    #[test]
    fn only_the_same_data_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let o = FleetOptions::smoke("orrery".into(), dir.path().to_owned());
        assert_eq!(Filled::left(&o), None);
        let filled = Filled::new(&o, 1_000_000_000);
        filled.note(&o).unwrap();
        assert_eq!(Filled::left(&o), Some(filled.clone()));
        assert_eq!(filled.samples, 4 * 1_000 * 360);
        assert_eq!(filled.first_ms(), 1_000_000_000 - 359 * 60_000);
        assert_eq!(Filled::left(&FleetOptions { series: 2_000, ..o }), None);
    }
}
