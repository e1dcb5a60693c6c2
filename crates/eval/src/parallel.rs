//! Work cut into blocks, spread over cores, its results taken in order.
//!
//! The thread that asks leads: it takes finished blocks in order and works itself while none is ready. Helpers are
//! threads of the scope, borrowed from a count shared by the process, so that many queries at once never run more
//! helpers than there are cores; without a free one the leader does everything. How far helpers may run ahead of
//! what was taken is bounded, and with it what waits in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::Error;

/// Cells of work below which a thread costs more than it helps.
const CELLS_WORTH_A_THREAD: usize = 1 << 18;

/// Blocks each thread may be ahead of what was taken. With fewer, helpers wait for a slow block; more only hold
/// memory.
const AHEAD: usize = 4;

/// Helpers at work in this process.
static BUSY: AtomicUsize = AtomicUsize::new(0);

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Helpers borrowed, given back on drop.
struct Helpers(usize);

impl Helpers {
    fn borrow(wanted: usize) -> Self {
        let most = cores().saturating_sub(1);
        let mut got = 0;
        let take = |busy: usize| {
            got = wanted.min(most.saturating_sub(busy));
            (got > 0).then_some(busy + got)
        };
        if BUSY.fetch_update(Relaxed, Relaxed, take).is_err() {
            got = 0;
        }
        Helpers(got)
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        BUSY.fetch_sub(self.0, Relaxed);
    }
}

/// Makes blocks `0..blocks` and takes them in that order. `cells` says how much work there is in all. The error
/// returned is that of the first block in order that has one.
pub fn ordered<T: Send, E: From<Error> + Send>(
    blocks: usize,
    cells: usize,
    make: impl Fn(usize) -> Result<T, E> + Sync,
    take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let wanted = (cells / CELLS_WORTH_A_THREAD).min(blocks.saturating_sub(1));
    let helpers = Helpers::borrow(wanted);
    with_helpers(blocks, helpers.0, make, take)
}

fn with_helpers<T: Send, E: From<Error> + Send>(
    blocks: usize,
    helpers: usize,
    make: impl Fn(usize) -> Result<T, E> + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    if helpers == 0 {
        return (0..blocks).try_for_each(|i| take(make(i)?));
    }
    let queue = Queue { next: 0, taken: 0, done: BTreeMap::new(), stop: false };
    let board =
        Board { queue: Mutex::new(queue), changed: Condvar::new(), blocks, ahead: (helpers + 1) * AHEAD };
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|| board.help(&make));
        }
        // Also where the leader panics, helpers must not wait for it.
        let _stop = Stop(&board);
        board.lead(&make, &mut take)
    })
}

struct Queue<T, E> {
    /// The block that is begun next.
    next: usize,
    /// Blocks taken so far.
    taken: usize,
    done: BTreeMap<usize, Result<T, E>>,
    stop: bool,
}

struct Board<T, E> {
    queue: Mutex<Queue<T, E>>,
    changed: Condvar,
    blocks: usize,
    ahead: usize,
}

/// Ends the helpers when dropped.
struct Stop<'a, T, E>(&'a Board<T, E>);

impl<T, E> Drop for Stop<'_, T, E> {
    fn drop(&mut self) {
        self.0.lock().stop = true;
        self.0.changed.notify_all();
    }
}

/// A block at work; says so if it never finishes.
struct Claim<'a, T, E: From<Error>> {
    board: &'a Board<T, E>,
    block: usize,
    result: Option<Result<T, E>>,
}

impl<T, E: From<Error>> Drop for Claim<'_, T, E> {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| Err(Error::Cancelled.into()));
        self.board.lock().done.insert(self.block, result);
        self.board.changed.notify_all();
    }
}

impl<T: Send, E: From<Error> + Send> Board<T, E> {
    fn help(&self, make: &(impl Fn(usize) -> Result<T, E> + Sync)) {
        let mut queue = self.lock();
        loop {
            if queue.stop || queue.next >= self.blocks {
                return;
            }
            let Some(block) = self.begin(&mut queue) else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            self.work(block, make);
            queue = self.lock();
        }
    }

    fn lead(
        &self,
        make: &(impl Fn(usize) -> Result<T, E> + Sync),
        take: &mut impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut queue = self.lock();
        while queue.taken < self.blocks {
            let head = queue.taken;
            if let Some(ready) = queue.done.remove(&head) {
                queue.taken += 1;
                drop(queue);
                self.changed.notify_all();
                take(ready?)?;
                queue = self.lock();
            } else if let Some(block) = self.begin(&mut queue) {
                drop(queue);
                self.work(block, make);
                queue = self.lock();
            } else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
        Ok(())
    }

    fn begin(&self, queue: &mut Queue<T, E>) -> Option<usize> {
        let block = queue.next;
        if block >= self.blocks || block >= queue.taken + self.ahead {
            return None;
        }
        queue.next += 1;
        Some(block)
    }

    fn work(&self, block: usize, make: &(impl Fn(usize) -> Result<T, E> + Sync)) {
        let mut claim = Claim { board: self, block, result: None };
        claim.result = Some(make(block));
    }
}

impl<T, E> Board<T, E> {
    fn lock(&self) -> MutexGuard<'_, Queue<T, E>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
