//! Threads of the store's own. What the committer, the flusher and the others do is milliseconds to seconds
//! of work at a stretch; on the runtime of the listeners it would keep every request waiting, `/-/healthy`
//! among them. So each has a thread with a small runtime.
//!
//! Work that ends by a panic: the committer is the one writer of heads, and nobody knows in which state it
//! left them, so the store takes nothing more until the process starts again and replays the log. The others
//! keep no state between two turns and begin anew, later each time it happens again.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base::Shutdown;
use futures::FutureExt;
use tokio::sync::oneshot;

use crate::{Error, Result, core::Core};

/// Waits before work that panicked begins anew: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Resolves when the thread's work is over, however it ended.
pub(crate) struct Ended(oneshot::Receiver<()>);

impl Future for Ended {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_unpin(cx).map(drop)
    }
}

/// Runs what `work` makes on a thread of its own.
pub(crate) fn spawn<F: Future<Output = ()>>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<Ended> {
    let failed = |e: std::io::Error| Error::Internal(format!("starting the thread {name}: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name(format!("{name}-blocking"))
        .build()
        .map_err(failed)?;
    let (alive, ended) = oneshot::channel::<()>();
    let body = move || {
        let _alive = alive;
        runtime.block_on(async move { work().await });
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(failed)?;
    Ok(Ended(ended))
}

/// Runs work that must not be run again after a panic: the store is broken then and says so.
pub(crate) async fn once(core: Arc<Core>, task: &'static str, work: impl Future<Output = ()>) {
    if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
        let said = note(&core, task, &*panic);
        let why =
            format!("the store's {task} ended by a panic ({said}): restart the process, it replays the log");
        *core.broken.lock() = Some(why);
    }
}

/// Runs work until it returns or `stop` begins; after a panic it is made and run again.
pub(crate) async fn again<F: Future<Output = ()>>(
    core: Arc<Core>,
    task: &'static str,
    stop: Shutdown,
    mut work: impl FnMut() -> F,
) {
    let mut wait = FIRST_WAIT;
    while let Err(panic) = AssertUnwindSafe(work()).catch_unwind().await {
        note(&core, task, &*panic);
        tokio::select! {
            () = stop.started() => return,
            () = core.clock.sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn note(core: &Core, task: &'static str, panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(task, panic = said, "a task of the store ended by a panic");
    core.counts.panicked(task);
    said.to_owned()
}
