//! Material that follows its files. Nothing is swapped until all of it was read and fits together; what is
//! broken is said once and leaves the old in use.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use base::{Clock, metrics::pair};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    TlsMetrics,
    files::{Contents, Material, Paths},
};
use crate::Error;

/// How often files are looked at. They are small and few; a changed certificate is in use a second later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Watched<T> {
    /// In logs and metrics: what the material is for.
    name: String,
    paths: Paths,
    build: fn(&Options, Material) -> Result<T, Error>,
    options: Options,
    current: ArcSwap<T>,
    /// Of what was looked at last, whether it could be used or not.
    seen: Mutex<Seen>,
    metrics: TlsMetrics,
    told: Notify,
}

/// What besides files decides how material is used.
pub(super) struct Options {
    pub clock: Clock,
    pub min_version: super::MinVersion,
    pub require_cluster: bool,
    pub deny_name: String,
}

#[derive(PartialEq, Eq)]
enum Seen {
    Contents(u64),
    Unreadable(String),
}

impl<T> Watched<T> {
    /// Reads the files for the first time.
    pub(super) fn open(
        name: String,
        paths: Paths,
        options: Options,
        build: fn(&Options, Material) -> Result<T, Error>,
        metrics: TlsMetrics,
    ) -> Result<Self, Error> {
        let contents = Contents::read(&paths)?;
        let material = Material::build(&paths, &contents)?;
        let not_after = material.facts.not_after;
        let current = ArcSwap::from_pointee(build(&options, material)?);
        metrics.expires.get_or_create(&pair("for", name.as_str())).set(not_after);
        // So that both are there before the first of them happens.
        let _ = metrics.reloads.get_or_create(&pair("for", name.as_str()));
        let _ = metrics.reload_failures.get_or_create(&pair("for", name.as_str()));
        let seen = Mutex::new(Seen::Contents(contents.digest()));
        Ok(Watched { name, paths, build, options, current, seen, metrics, told: Notify::new() })
    }

    pub(super) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn metrics(&self) -> &TlsMetrics {
        &self.metrics
    }

    /// Looks at the files and takes over what changed. `Ok(true)` when something was taken over; an error is
    /// returned once for each state of the files.
    pub(super) fn look(&self) -> Result<bool, Error> {
        // Held throughout, so that two looks cannot swap in the wrong order.
        let mut seen = self.seen.lock();
        let taken = match Contents::read(&self.paths) {
            Ok(contents) => {
                let found = Seen::Contents(contents.digest());
                if *seen == found {
                    return Ok(false);
                }
                *seen = found;
                self.take(&contents)
            }
            Err(e) => {
                let found = Seen::Unreadable(e.to_string());
                if *seen == found {
                    return Ok(false);
                }
                *seen = found;
                Err(e)
            }
        };
        let label = pair("for", self.name.as_str());
        match &taken {
            Ok(()) => {
                self.metrics.reloads.get_or_create(&label).inc();
                tracing::info!(tls = self.name, cert = %self.paths.cert.display(), "changed certificates are in use");
            }
            Err(e) => {
                self.metrics.reload_failures.get_or_create(&label).inc();
                tracing::error!(tls = self.name, error = %e, "changed certificates are not in use, the old ones stay");
            }
        }
        taken.map(|()| true)
    }

    fn take(&self, contents: &Contents) -> Result<(), Error> {
        let material = Material::build(&self.paths, contents)?;
        let not_after = material.facts.not_after;
        self.current.store(Arc::new((self.build)(&self.options, material)?));
        self.metrics.expires.get_or_create(&pair("for", self.name.as_str())).set(not_after);
        Ok(())
    }

    /// Looks now, or soon where a look is under way.
    pub(super) fn tell(&self) {
        self.told.notify_one();
    }

    /// Looks every second, and when told, until `ended` is done.
    pub(super) async fn watch(self: Arc<Self>, ended: impl Future<Output = ()> + Send)
    where
        T: Send + Sync + 'static,
    {
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => return,
                () = self.options.clock.sleep(LOOK_EVERY) => {}
                () = self.told.notified() => {}
            }
            let this = self.clone();
            // What it found was counted and logged.
            let _ = tokio::task::spawn_blocking(move || this.look()).await;
        }
    }
}
