//! A plan at work: a task that makes rows as they are taken, until there are no more, nobody takes them, a limit is
//! reached or the deadline passes.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use base::Kind;
use contract::SqlEnd;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::SendableRecordBatchStream,
    physical_plan::execute_stream,
};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{Error, asked::Asked, engine::Planned, format::Writer};

/// Pieces that wait for being taken. Each is some megabytes at most.
const WAITING: usize = 2;

/// An answer as record batches.
pub(crate) struct Running {
    pub schema: SchemaRef,
    pub batches: BoxStream<'static, contract::Result<RecordBatch>>,
    pub end: Arc<Mutex<SqlEnd>>,
}

pub(crate) fn batches(planned: Planned) -> Running {
    let schema = planned.plan.schema();
    let (batches, end) = start(planned, |step| match step {
        Step::Batch(batch) => Ok(Some(batch)),
        Step::End => Ok(None),
    });
    Running { schema, batches, end }
}

pub(crate) fn pieces(
    planned: Planned,
    mut writer: Writer,
) -> (BoxStream<'static, contract::Result<Vec<u8>>>, Arc<Mutex<SqlEnd>>) {
    start(planned, move |step| {
        let piece = match step {
            Step::Batch(batch) => writer.batch(&batch)?,
            Step::End => writer.end()?,
        };
        Ok((!piece.is_empty()).then_some(piece))
    })
}

/// What a task has for whoever writes the answer.
enum Step {
    Batch(RecordBatch),
    End,
}

type Pieces<T> = (BoxStream<'static, contract::Result<T>>, Arc<Mutex<SqlEnd>>);

/// Runs the plan where it is called; `write` makes of batches what is sent.
fn start<T: Send + 'static>(
    planned: Planned,
    mut write: impl FnMut(Step) -> Result<Option<T>, Error> + Send + 'static,
) -> Pieces<T> {
    let (give, take) = mpsc::channel(WAITING);
    let end: Arc<Mutex<SqlEnd>> = Arc::default();
    let told = end.clone();
    let task = tokio::spawn(async move {
        let deadline = planned.asked.limits.deadline;
        let work = Work { asked: planned.asked.clone(), give: give.clone(), told };
        let outcome = within(deadline, work.run(planned, &mut write)).await;
        let caught = outcome.unwrap_or_else(|| Err(late()));
        if let Err(e) = caught {
            // Nobody is there to be told where this fails.
            let _ = within(deadline, give.send(Err(e.into()))).await;
        }
    });
    let held = Ends(task);
    let pieces = ReceiverStream::new(take).map(move |piece| {
        let _ = &held;
        piece
    });
    (pieces.boxed(), end)
}

/// The task ends when nobody listens any more.
struct Ends(tokio::task::JoinHandle<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Work<T> {
    asked: Arc<Asked>,
    give: mpsc::Sender<contract::Result<T>>,
    told: Arc<Mutex<SqlEnd>>,
}

impl<T: Send + 'static> Work<T> {
    async fn run(
        &self,
        planned: Planned,
        write: &mut (impl FnMut(Step) -> Result<Option<T>, Error> + Send),
    ) -> Result<(), Error> {
        let mut rows = 0u64;
        let (limit, most) = (planned.limit.unwrap_or(u64::MAX), self.asked.limits.max_rows);
        let mut stream = execute_stream(planned.plan, planned.context)?;
        while let Some(batch) = next(&mut stream).await? {
            let left = limit.saturating_sub(rows);
            let is_cut = batch.num_rows() as u64 > left;
            let batch = if is_cut { batch.slice(0, left as usize) } else { batch };
            rows += batch.num_rows() as u64;
            if rows > most {
                return Err(Error::Select(contract::Error::limited(
                    "query.max_rows",
                    format!("the answer has more than query.max_rows, {most} rows: narrow it or set a limit"),
                )));
            }
            if batch.num_rows() > 0
                && let Some(piece) = write(Step::Batch(batch))?
                && self.give.send(Ok(piece)).await.is_err()
            {
                return Ok(());
            }
            if is_cut {
                self.told.lock().is_cut = true;
                break;
            }
        }
        // Scans say what they covered when they are given up.
        drop(stream);
        let coverage = self.asked.coverage().await?;
        {
            let mut end = self.told.lock();
            end.rows = rows;
            end.coverage = coverage;
        }
        if let Some(piece) = write(Step::End)? {
            let _ = self.give.send(Ok(piece)).await;
        }
        Ok(())
    }
}

async fn next(stream: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>, Error> {
    match AssertUnwindSafe(stream.next()).catch_unwind().await {
        Ok(next) => Ok(next.transpose()?),
        Err(_) => Err(Error::Internal("the engine panicked while it computed rows".to_owned())),
    }
}

/// `None` where the deadline passes first.
async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(at) => tokio::time::timeout_at(at.into(), work).await.ok(),
        None => Some(work.await),
    }
}

fn late() -> Error {
    Error::Select(contract::Error {
        kind: Kind::Timeout,
        message: "the statement was not answered within query.timeout".to_owned(),
        limit: Some("query.timeout"),
    })
}
