use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use contract::{Error, fake::Fake};
use model::{Batch, LogBatch, LogRecord, LogStream};
use parking_lot::Mutex;

use super::*;

/// Appends to a fake and keeps a copy; errors can be queued.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) fake: Fake,
    pub(crate) units: Mutex<Vec<AppendUnit>>,
    pub(crate) errors: Mutex<VecDeque<Error>>,
}

#[async_trait]
impl Append for Recorder {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        if let Some(e) = self.errors.lock().pop_front() {
            return Err(e);
        }
        let receipt = self.fake.append(tenant, unit.clone()).await?;
        if !receipt.duplicate {
            self.units.lock().push(unit);
        }
        Ok(receipt)
    }
}

impl Recorder {
    /// Every log line stored, in the order of the appends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let units = self.units.lock();
        let batches = units.iter().flat_map(|u| &u.batches);
        let records = batches.flat_map(|b| match b {
            Batch::Logs(l) => l.records.as_slice(),
            _ => &[],
        });
        records.map(|r| r.body.to_string()).collect()
    }
}

pub(crate) fn context(clock: Clock) -> (Context, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let tenant = TenantId::default();
    let c = Context::new(recorder.clone(), tenant, clock, Shutdown::new(), &Metrics::default(), "box");
    (c, recorder)
}

fn unit() -> AppendUnit {
    let batch = LogBatch { streams: vec![LogStream::default()], records: vec![LogRecord::default()] };
    AppendUnit { batch_id: None, received_ns: 0, batches: vec![Batch::Logs(batch)] }
}

#[tokio::test]
async fn a_refusal_that_may_pass_is_tried_again() {
    let clock = Clock::manual(0);
    let (c, recorder) = context(clock.clone());
    recorder.errors.lock().extend([Error::unavailable("disk reserve"), Error::unavailable("disk reserve")]);
    let delivery = tokio::spawn(async move { c.deliver("test", unit(), None).await });
    while !delivery.is_finished() {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_millis(50));
    }
    assert!(matches!(delivery.await.unwrap(), Delivery::Stored(_)));
    assert_eq!(recorder.units.lock().len(), 1);
}

#[tokio::test]
async fn what_can_never_work_is_dropped_and_counted() {
    let (c, recorder) = context(Clock::manual(0));
    recorder.errors.lock().push_back(Error::invalid("no"));
    assert_eq!(c.deliver("test", unit(), None).await, Delivery::Dropped(Kind::Invalid));
    let pairs = vec![("source", "test".to_owned()), ("reason", "invalid".to_owned())];
    assert_eq!(c.counts.dropped.get_or_create(&pairs).get(), 1);
}

#[tokio::test]
async fn patience_ends_and_shutdown_stops_waiting() {
    let (c, recorder) = context(Clock::manual(0));
    recorder.errors.lock().extend((0..2).map(|_| Error::unavailable("full")));
    assert_eq!(c.deliver("test", unit(), Some(Duration::ZERO)).await, Delivery::Dropped(Kind::Unavailable));
    c.shutdown.start();
    assert_eq!(c.deliver("test", unit(), None).await, Delivery::Stopped);
}
