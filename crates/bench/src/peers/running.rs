//! A program under measurement, in a directory of its own.

use std::{path::Path, time::Duration};

use base::Clock;

use super::program::{Binary, Settled as How};
use crate::{
    Error, Result,
    process::{Launch, Process, TICK, bytes_in, free_port},
};

pub(crate) struct Running {
    binary: Binary,
    dir: tempdir::Dir,
    process: Process,
    pub(crate) url: String,
    /// Of processes of this program that ended meanwhile.
    cpu_before: f64,
    peak_before: u64,
}

/// How long a program is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settling {
    /// A directory that has not changed in length for so long is taken for finished.
    pub(crate) quiet: Duration,
    /// And after so long it is measured as it is.
    pub(crate) settle_for: Duration,
}

/// What is known once everything is on the disk.
pub(crate) struct Settled {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) disk_bytes: u64,
}

impl Running {
    pub(crate) async fn start(b: &Binary, work_dir: &Path, clock: &Clock) -> Result<Running> {
        let dir = tempdir::Dir::make(work_dir, b.program.as_str(), clock.now_ns())?;
        let port = free_port(&b.path)?;
        let (args, file) = b.program.start(dir.path(), port);
        if let Some((path, text)) = file {
            std::fs::write(&path, text).map_err(|source| Error::Program {
                doing: "writing the configuration of",
                path: b.path.clone(),
                source,
            })?;
        }
        let url = format!("http://127.0.0.1:{port}");
        let launch = Launch {
            name: b.program.as_str().to_owned(),
            path: b.path.clone(),
            args,
            dir: dir.path().to_owned(),
            url: url.clone(),
            ready_path: b.program.ready_path(),
        };
        let process = Process::start(launch, clock).await?;
        Ok(Running { binary: b.clone(), dir, process, url, cpu_before: 0.0, peak_before: 0 })
    }

    /// User and system time since the program was first started.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        Ok(self.cpu_before + self.process.cpu_seconds()?)
    }

    pub(crate) fn peak_rss_bytes(&self) -> Result<u64> {
        Ok(self.peak_before.max(self.process.peak_rss_bytes()?))
    }

    /// Has everything written as it stays.
    pub(crate) async fn settle(&mut self, o: Settling, clock: &Clock) -> Result<Settled> {
        let cpu = self.cpu_seconds()?;
        let peak_rss_bytes = self.peak_rss_bytes()?;
        match self.binary.program.settling() {
            How::Restart => {
                // Stopping flushes what can be flushed in seconds; a large load cannot.
                self.snapshot_bytes().await?;
                self.restart(clock).await?;
            }
            How::Snapshot => self.process.post("/api/v1/admin/tsdb/snapshot").await?,
            How::Merge => {
                self.process.post("/internal/force_flush").await?;
                self.process.post("/internal/force_merge").await?;
            }
        }
        let stored = self.binary.program.stored_in(self.dir.path());
        let length = || stored.iter().map(|d| bytes_in(d)).sum::<u64>();
        let began = clock.monotonic();
        let (mut last, mut since) = (length(), clock.monotonic());
        loop {
            clock.sleep(TICK * 5).await;
            let (now, at) = (length(), clock.monotonic());
            if now != last {
                (last, since) = (now, at);
            }
            if at.duration_since(since) >= o.quiet || at.duration_since(began) >= o.settle_for {
                break;
            }
        }
        if self.binary.program.settling() == How::Restart {
            last = self.snapshot_bytes().await?;
        }
        Ok(Settled { cpu_seconds: self.cpu_seconds()? - cpu, peak_rss_bytes, disk_bytes: last })
    }

    /// Takes a snapshot, which writes down everything that was only in memory, and says how long it is. Unlike the
    /// data directory it has none of the files that merges replaced and queries may still read.
    async fn snapshot_bytes(&self) -> Result<u64> {
        let dir = self.dir.path().join("data").join("snapshots");
        // Links to what is there already: nothing is lost with an older one.
        let _ = std::fs::remove_dir_all(&dir);
        self.process.post("/api/v1/admin/tsdb/snapshot").await?;
        Ok(bytes_in(&dir))
    }

    async fn restart(&mut self, clock: &Clock) -> Result<()> {
        self.peak_before = self.peak_rss_bytes()?;
        self.cpu_before += self.process.end(clock).await?;
        self.process.again(clock).await
    }

    /// Leaves the directory behind.
    pub(crate) fn keep(&mut self) {
        self.dir.keep();
    }

    pub(crate) async fn stop(mut self, clock: &Clock) -> Result<()> {
        self.process.end(clock).await.map(drop)
    }
}

/// A directory that goes away with its owner, unless it is to stay.
mod tempdir {
    use std::path::{Path, PathBuf};

    use crate::{Error, Result};

    pub(crate) struct Dir {
        path: PathBuf,
        stays: bool,
    }

    impl Dir {
        pub(crate) fn make(root: &Path, name: &str, now_ns: i64) -> Result<Dir> {
            let path = root.join(format!("{name}-{now_ns:x}"));
            std::fs::create_dir_all(&path).map_err(|source| Error::Program {
                doing: "making a directory for",
                path: path.clone(),
                source,
            })?;
            Ok(Dir { path, stays: false })
        }

        pub(crate) fn path(&self) -> &Path {
            &self.path
        }

        pub(crate) fn keep(&mut self) {
            self.stays = true;
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            if !self.stays {
                let _ = std::fs::remove_dir_all(&self.path);
            }
        }
    }
}
