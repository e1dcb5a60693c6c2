//! One member's stream, read ahead by a task of its own into a bounded queue.
//!
//! ```text
//! member ──► task: waits (charged to the member), checks, counts bytes ──► queue ──► merge
//!                  waits for room in the queue (charged to nobody)
//! ```
//! So a slow member keeps nobody else from being read, and a slow reader makes no member look slow. A full queue
//! stops the member. Dropping the feed stops the task and with it the member's stream.

use std::{future::Future, sync::Arc, time::Duration};

use base::memory::{MemoryBudget, Reservation, Use};
use contract::{Coverage, Selection};
use futures::{StreamExt, future::BoxFuture, stream};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{Error, Result, rules::Rule};

/// Bytes of one member's answer that wait to be merged. Larger: the reader waits less for members that come in
/// bursts; smaller: less memory for each query and member.
const READ_AHEAD_BYTES: u32 = 8 << 20;
/// The same in pieces of up to [`PIECE`] items.
const READ_AHEAD_PIECES: usize = 32;
/// Items that pass the queue together, as far as they are there at once.
const PIECE: usize = 32;

/// How long a member has been waited for in all, whoever of the query's tasks did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waited(Arc<Mutex<(Duration, Option<Instant>)>>);

impl Waited {
    pub(crate) fn so_far(&self) -> Duration {
        let (past, since) = *self.0.lock();
        past + since.map(|s| s.elapsed()).unwrap_or_default()
    }

    async fn count<F: Future>(&self, what: F) -> F::Output {
        self.0.lock().1 = Some(Instant::now());
        let output = what.await;
        let (past, since) = &mut *self.0.lock();
        *past += since.take().map(|s| s.elapsed()).unwrap_or_default();
        output
    }
}

/// How long a member may still be waited for.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    /// What it had at first, for the message.
    allowed: Duration,
    left: Duration,
    /// When waiting ends in any case.
    until: Option<Instant>,
    heard: bool,
    waited: Waited,
}

impl Patience {
    pub(crate) fn new(allowed: Duration, until: Option<Instant>, waited: Waited) -> Self {
        Patience { allowed, left: allowed, until, heard: false, waited }
    }

    /// Waits for a member, at most for the time it has left.
    pub(crate) async fn wait<F: Future>(&mut self, what: F) -> Result<F::Output> {
        let began = Instant::now();
        let by = [began.checked_add(self.left), self.until].into_iter().flatten().min();
        let Some(by) = by else { return Ok(self.waited.count(what).await) };
        let outcome = self.waited.count(timeout_at(by, what)).await;
        self.left = self.left.saturating_sub(began.elapsed());
        outcome.map_err(|_| match self.heard {
            true => Error::Stopped { allowed: self.allowed },
            false => Error::Silent { allowed: self.allowed },
        })
    }

    pub(crate) fn hear(&mut self) {
        self.heard = true;
    }

    /// The error that says so where a member itself found that its time had passed.
    fn read(&self, told: contract::Error) -> Error {
        match (told.limit, self.heard) {
            (Some(crate::error::QUERY_TIMEOUT), true) => Error::Stopped { allowed: self.allowed },
            (Some(crate::error::QUERY_TIMEOUT), false) => Error::Silent { allowed: self.allowed },
            _ => Error::Told(told),
        }
    }

    /// [`Patience::wait`] for what may itself be an error of the member.
    pub(crate) async fn ask<T>(&mut self, what: impl Future<Output = contract::Result<T>>) -> Result<T> {
        self.wait(what).await?.map_err(|told| self.read(told))
    }
}

/// Room in the queue and in memory, given back once the items are merged.
struct Held {
    _room: OwnedSemaphorePermit,
    _memory: Reservation,
}

enum Message<T> {
    Items(Vec<T>, Held),
    End(Result<()>, Patience),
}

pub(crate) enum Next<T> {
    Item(T),
    End,
    Failed(Error),
}

pub(crate) struct Feed<T> {
    queue: mpsc::Receiver<Message<T>>,
    items: std::vec::IntoIter<T>,
    held: Option<Held>,
    said: Arc<Mutex<Coverage>>,
    patience: Option<Patience>,
    ended: watch::Receiver<Option<Instant>>,
    task: JoinHandle<()>,
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Send + 'static> Feed<T> {
    /// Begins to read. `call` is the question to the member.
    pub(crate) fn start<R: Rule<Item = T>>(
        call: BoxFuture<'static, contract::Result<Selection<T>>>,
        rule: R,
        patience: Patience,
        memory: MemoryBudget,
    ) -> Self {
        let (sender, queue) = mpsc::channel(READ_AHEAD_PIECES);
        let said = Arc::new(Mutex::new(Coverage::default()));
        let room = Arc::new(Semaphore::new(READ_AHEAD_BYTES as usize));
        let (end, ended) = watch::channel(None);
        let mut reader = Reader { rule, patience, memory, room, queue: sender, said: said.clone() };
        let task = tokio::spawn(async move {
            let outcome = reader.read(call).await;
            if outcome.is_ok() && reader.said.lock().is_complete() {
                end.send_replace(Some(Instant::now()));
            }
            // Nobody listens any more where this fails.
            let _ = reader.queue.send(Message::End(outcome, reader.patience)).await;
        });
        Feed { queue, items: Vec::new().into_iter(), held: None, said, patience: None, ended, task }
    }

    /// The next item, where it is here already.
    pub(crate) fn ready(&mut self) -> Option<T> {
        self.items.next()
    }

    /// When the member has given all there is and said that it is whole, whether or not it has been taken.
    pub(crate) fn ended(&self) -> watch::Receiver<Option<Instant>> {
        self.ended.clone()
    }

    pub(crate) async fn next(&mut self) -> Next<T> {
        loop {
            if let Some(item) = self.items.next() {
                return Next::Item(item);
            }
            self.held = None;
            match self.queue.recv().await {
                Some(Message::Items(items, held)) => {
                    self.items = items.into_iter();
                    self.held = Some(held);
                }
                Some(Message::End(outcome, patience)) => {
                    self.patience = Some(patience);
                    return match outcome {
                        Ok(()) => Next::End,
                        Err(e) => Next::Failed(e),
                    };
                }
                None => return Next::Failed(Error::Lost),
            }
        }
    }

    /// What the member has said so far about how complete it is.
    pub(crate) fn said(&self) -> Coverage {
        self.said.lock().clone()
    }

    /// What is left of the member's time once the feed has ended.
    pub(crate) fn patience(&self) -> Option<Patience> {
        self.patience.clone()
    }
}

/// The task's side.
struct Reader<R: Rule> {
    rule: R,
    patience: Patience,
    memory: MemoryBudget,
    room: Arc<Semaphore>,
    queue: mpsc::Sender<Message<R::Item>>,
    said: Arc<Mutex<Coverage>>,
}

impl<R: Rule> Reader<R> {
    async fn read(&mut self, call: BoxFuture<'static, contract::Result<Selection<R::Item>>>) -> Result<()> {
        let mut selection = self.patience.ask(call).await?;
        let items = std::mem::replace(&mut selection.items, stream::empty().boxed());
        let mut pieces = items.ready_chunks(PIECE);
        loop {
            let piece = self.patience.wait(pieces.next()).await;
            *self.said.lock() = selection.coverage();
            let Some(piece) = piece? else { return Ok(()) };
            let (good, end) = self.check(piece);
            if !good.is_empty() && !self.pass(good).await? {
                return Ok(());
            }
            end?;
        }
    }

    /// The items up to the first that is an error or not as it must be.
    fn check(&mut self, piece: Vec<contract::Result<R::Item>>) -> (Vec<R::Item>, Result<()>) {
        let mut good = Vec::with_capacity(piece.len());
        for item in piece {
            let checked = item
                .map_err(|told| self.patience.read(told))
                .and_then(|item| self.rule.check(&item).map(|()| item));
            match checked {
                Ok(item) => good.push(item),
                Err(e) => return (good, Err(e)),
            }
            self.patience.hear();
        }
        (good, Ok(()))
    }

    /// Puts items in the queue once there is room; false when nobody wants them any more.
    async fn pass(&mut self, items: Vec<R::Item>) -> Result<bool> {
        let bytes: u64 = items.iter().map(|i| self.rule.bytes(i)).sum();
        let memory = self.memory.reserve(Use::Query, bytes)?;
        // What is larger than the whole room goes alone.
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(READ_AHEAD_BYTES);
        let Ok(room) = self.room.clone().acquire_many_owned(wanted).await else { return Ok(false) };
        let held = Held { _room: room, _memory: memory };
        Ok(self.queue.send(Message::Items(items, held)).await.is_ok())
    }
}
