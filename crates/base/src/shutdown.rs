//! Shutdown and the tasks that must be waited for. A node holds one [`Shutdown`]; every background task is
//! spawned through it, gets a token to watch, and is awaited within the grace period.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// A shutdown that ends with this one but can be ended alone (a reloaded part of the node).
    pub fn child(&self) -> Self {
        Shutdown { token: self.token.child_token(), tasks: self.tasks.clone() }
    }

    pub fn is_started(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Asks every task to end.
    pub fn start(&self) {
        self.token.cancel();
    }

    pub async fn started(&self) {
        self.token.cancelled().await;
    }

    /// Spawns a task that is waited for at the end. The task must return soon after [`Shutdown::started`].
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// Waits until all tasks have ended, or says how many had not within `grace`.
    pub async fn finished(&self, grace: Duration) -> Result<(), usize> {
        self.tasks.close();
        match tokio::time::timeout(grace, self.tasks.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.tasks.len()),
        }
    }
}
