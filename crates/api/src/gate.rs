//! Bounds the queries that run at once, and those that wait.
//!
//! Running ones hold memory and a core each, so more than a few make all of them slow. A bounded queue takes
//! the bursts a dashboard makes when it opens; past it a client is refused at once instead of timing out.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use base::{
    Kind, Metrics,
    metrics::{Counters, Gauges, pair},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tracing::Instrument;

use crate::Error;

pub struct Gate {
    running: Arc<Semaphore>,
    max_running: usize,
    max_queued: usize,
    queued: AtomicUsize,
    queries: Gauges,
    refused: Counters,
}

impl Gate {
    pub fn new(max_running: usize, max_queued: usize, metrics: &Metrics) -> Self {
        let max_running = max_running.clamp(1, Semaphore::MAX_PERMITS);
        Gate {
            running: Arc::new(Semaphore::new(max_running)),
            max_running,
            max_queued,
            queued: AtomicUsize::new(0),
            queries: metrics.gauges("http_queries", "Queries by state: running or queued."),
            refused: metrics.counters("http_queries_refused", "Queries refused before they ran, by reason."),
        }
    }

    /// Waits for a turn until `deadline`.
    pub async fn enter(&self, deadline: Option<Instant>) -> Result<Pass, Error> {
        let permit = match self.running.clone().try_acquire_owned() {
            Ok(p) => p,
            Err(_) => self.wait(deadline).await?,
        };
        self.queries.get_or_create(&pair("state", "running")).inc();
        Ok(Pass { queries: self.queries.clone(), _permit: permit })
    }

    async fn wait(&self, deadline: Option<Instant>) -> Result<OwnedSemaphorePermit, Error> {
        if self.queued.fetch_add(1, Relaxed) >= self.max_queued {
            self.queued.fetch_sub(1, Relaxed);
            self.refused.get_or_create(&pair("reason", "queue_full")).inc();
            return Err(Error::QueueFull { running: self.max_running, queued: self.max_queued });
        }
        self.queries.get_or_create(&pair("state", "queued")).inc();
        // Given back on every way out, the client's going away included.
        let _waiting = Waiting(self);
        let turn = self.running.clone().acquire_owned();
        let turn = match deadline {
            Some(d) => tokio::time::timeout_at(d.into(), turn).await,
            None => Ok(turn.await),
        };
        match turn {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(Error::unavailable("this node is shutting down")),
            Err(_elapsed) => {
                self.refused.get_or_create(&pair("reason", "timeout")).inc();
                Err(Error::new(
                    Kind::Timeout,
                    format!(
                        "query.timeout passed while {} other queries ran (query.max_concurrent)",
                        self.max_running
                    ),
                ))
            }
        }
    }
}

struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Relaxed);
        self.0.queries.get_or_create(&pair("state", "queued")).dec();
    }
}

/// The right to run one query; given back on drop.
pub struct Pass {
    queries: Gauges,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.queries.get_or_create(&pair("state", "running")).dec();
    }
}

/// The threads queries run on, so that long evaluations never hold up those that serve connections.
pub struct Pool(Option<Runtime>);

impl Pool {
    /// `threads` of 0 means no pool of its own. So does a system that gives none, after a line in the log.
    pub fn new(threads: usize) -> Self {
        if threads == 0 {
            return Pool(None);
        }
        let built = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("orrery-query")
            .enable_all()
            .build();
        match built {
            Ok(runtime) => Pool(Some(runtime)),
            Err(e) => {
                tracing::error!(error = %e, threads, "no threads for queries, they run beside the connections");
                Pool(None)
            }
        }
    }

    /// Runs `work`, which is cancelled when the caller goes away.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let Some(runtime) = &self.0 else { return work.await };
        let mut task = AbortOnDrop(runtime.spawn(work.in_current_span()));
        match (&mut task.0).await {
            Ok(done) => done,
            Err(e) => match e.try_into_panic() {
                // Goes on as if it had happened here; the outermost layer counts it.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(Error::unavailable("this node is shutting down")),
            },
        }
    }
}

impl Drop for Pool {
    /// A runtime may not be waited for inside another one, and the last handle may go away there.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn past_the_queue_a_query_is_refused_naming_both_limits() {
        let gate = Gate::new(1, 1, &Metrics::default());
        let running = gate.enter(None).await.unwrap();
        let mut second = Box::pin(gate.enter(None));
        assert!(futures::poll!(&mut second).is_pending());
        let refused = gate.enter(None).await.err().unwrap();
        assert!(refused.to_string().contains("query.max_concurrent 1"), "{refused}");
        assert!(refused.to_string().contains("query.max_queued 1"), "{refused}");
        assert_eq!(refused.kind(), Kind::Unavailable);
        drop(running);
        second.await.unwrap();
    }

    #[tokio::test]
    async fn a_waiter_that_goes_away_leaves_its_place() {
        let gate = Gate::new(1, 1, &Metrics::default());
        let _running = gate.enter(None).await.unwrap();
        let mut waiter = Box::pin(gate.enter(None));
        assert!(futures::poll!(&mut waiter).is_pending());
        drop(waiter);
        assert_eq!(gate.queued.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn work_runs_apart_from_the_caller_and_ends_with_it() {
        let pool = Pool::new(1);
        let name = pool.run(async { Ok(std::thread::current().name().unwrap_or_default().to_owned()) });
        assert_eq!(name.await.unwrap(), "orrery-query");
        let (alive, ended) = tokio::sync::oneshot::channel::<()>();
        let mut endless = Box::pin(pool.run(async move {
            let _alive = alive;
            std::future::pending::<Result<(), Error>>().await
        }));
        assert!(futures::poll!(&mut endless).is_pending());
        drop(endless);
        assert!(ended.await.is_err());
    }

    #[tokio::test]
    async fn a_query_that_waits_past_its_deadline_is_told_so() {
        let gate = Gate::new(1, 1, &Metrics::default());
        let _running = gate.enter(None).await.unwrap();
        let late = gate.enter(Some(Instant::now())).await.err().unwrap();
        assert_eq!(late.kind(), Kind::Timeout);
    }
}
