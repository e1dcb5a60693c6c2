//! What is sent. Each worker has a generator of its own, so that what it sends depends on the seed and its
//! number alone.

mod count;
mod logs;
mod metrics;
mod traces;

use model::Batch;

pub use self::count::{COUNT_METRIC, COUNT_SERVICE, trace_id};
use crate::{Signal, options::WriteOptions};

/// A batch with what a journal needs to know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    pub batch: Batch,
    pub items: u64,
    /// Counting mode: number of the first item; they follow one another.
    pub first: u64,
    /// Times of the first and the last item, ns.
    pub from_ns: i64,
    pub to_ns: i64,
}

/// Generates one worker's batches.
pub struct Generator(Kind);

enum Kind {
    Metrics(metrics::Fleet),
    Logs(logs::Services),
    Traces(traces::Shop),
    Counting(count::Counter),
}

impl Generator {
    /// Generator of worker `worker` of `options.concurrency`.
    pub fn new(options: &WriteOptions, worker: usize) -> Self {
        Generator(match options.signal {
            Signal::Metrics => Kind::Metrics(metrics::Fleet::new(options, worker)),
            Signal::Logs => Kind::Logs(logs::Services::new(options, worker)),
            Signal::Traces => Kind::Traces(traces::Shop::new(options, worker)),
        })
    }

    /// A generator of numbered items of run `run`.
    pub fn counting(options: &WriteOptions, run: &str, worker: usize) -> Self {
        Generator(Kind::Counting(count::Counter::new(options, run, worker)))
    }

    /// The next batch of about `items` items (whole scrapes, whole traces), stamped around `now_ns`.
    pub fn next(&mut self, items: usize, now_ns: i64) -> Numbered {
        let items = items.max(1);
        match &mut self.0 {
            Kind::Metrics(g) => plain(Batch::Metrics(g.next(items, now_ns))),
            Kind::Logs(g) => plain(Batch::Logs(g.next(items, now_ns))),
            Kind::Traces(g) => plain(Batch::Spans(g.next(items, now_ns))),
            Kind::Counting(g) => g.next(items, now_ns),
        }
    }
}

fn plain(batch: Batch) -> Numbered {
    Numbered { items: batch.item_count() as u64, batch, first: 0, from_ns: 0, to_ns: 0 }
}

#[cfg(test)]
mod tests;
