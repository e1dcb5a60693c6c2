//! A program under measurement: started, watched through `/proc`, stopped.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base::Clock;
use net::{Client, Request};
use tokio::process::{Child, Command};

use super::{
    PeersOptions,
    program::{Binary, Settling},
};
use crate::{Error, Result};

/// Longest start, and longest stop: replaying or flushing everything.
const PATIENCE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Running {
    binary: Binary,
    dir: tempdir::Dir,
    child: Child,
    client: Client,
    port: u16,
    pub(super) url: String,
    /// Of processes of this program that ended meanwhile.
    cpu_before: f64,
    peak_before: u64,
}

/// What is known once everything is on the disk.
pub(super) struct Settled {
    pub(super) cpu_seconds: f64,
    pub(super) peak_rss_bytes: u64,
    pub(super) disk_bytes: u64,
}

/// What the binary says when asked for its version: the first line.
pub(super) async fn version(b: &Binary) -> Result<String> {
    let run = Command::new(&b.path).arg(b.program.version_flag()).stdin(Stdio::null()).output().await;
    let out = run.map_err(|source| Error::Program { doing: "starting", path: b.path.clone(), source })?;
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim().to_owned())
}

impl Running {
    pub(super) async fn start(b: &Binary, work_dir: &Path, clock: &Clock) -> Result<Running> {
        let dir = tempdir::Dir::make(work_dir, b.program.as_str(), clock.now_ns())?;
        let port = free_port(&b.path)?;
        let child = spawn(b, dir.path(), port)?;
        let url = format!("http://127.0.0.1:{port}");
        let mut running = Running {
            binary: b.clone(),
            dir,
            child,
            client: Client::new()?,
            port,
            url,
            cpu_before: 0.0,
            peak_before: 0,
        };
        running.wait_ready(clock).await?;
        Ok(running)
    }

    async fn wait_ready(&mut self, clock: &Clock) -> Result<()> {
        let began = clock.monotonic();
        loop {
            let request = Request::get(format!("{}{}", self.url, self.binary.program.ready_path()));
            if self.client.send(request).await.is_ok_and(|a| a.status.is_success()) {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(|e| self.failed("waiting for", e))?;
            if let Some(status) = ended {
                return Err(self.strange(format!("it ended with {status}: {}", self.said())));
            }
            if clock.monotonic().duration_since(began) > PATIENCE {
                return Err(self.strange(format!("it is not ready after {PATIENCE:?}: {}", self.said())));
            }
            clock.sleep(TICK).await;
        }
    }

    /// The end of what it wrote.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("out")).unwrap_or_default();
        text.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> Error {
        Error::Program { doing, path: self.binary.path.clone(), source }
    }

    fn strange(&self, reason: String) -> Error {
        Error::Ask { url: format!("{} at {}", self.binary.program.as_str(), self.url), reason }
    }

    fn proc(&self, file: &str) -> Result<String> {
        let pid = self.child.id().ok_or_else(|| self.strange(format!("it has ended: {}", self.said())))?;
        std::fs::read_to_string(format!("/proc/{pid}/{file}")).map_err(|e| self.failed("reading /proc of", e))
    }

    /// User and system time since the program was first started.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        let ticks = cpu_ticks(&stat).ok_or_else(|| self.strange(format!("its stat is {stat:?}")))?;
        Ok(self.cpu_before + ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64)
    }

    fn peak_rss_bytes(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let kib = peak_kib(&status).ok_or_else(|| self.strange("its status has no VmHWM".to_owned()))?;
        Ok(self.peak_before.max(kib * 1024))
    }

    /// Has everything written as it stays.
    pub(super) async fn settle(&mut self, o: &PeersOptions, clock: &Clock) -> Result<Settled> {
        let cpu = self.cpu_seconds()?;
        let peak_rss_bytes = self.peak_rss_bytes()?;
        match self.binary.program.settling() {
            Settling::Restart => {
                // Stopping flushes what can be flushed in seconds; a large load cannot.
                self.snapshot_bytes().await?;
                self.restart(clock).await?;
            }
            Settling::Snapshot => self.post("/api/v1/admin/tsdb/snapshot").await?,
            Settling::Merge => {
                self.post("/internal/force_flush").await?;
                self.post("/internal/force_merge").await?;
            }
        }
        let stored = self.binary.program.stored_in(self.dir.path());
        let length = || stored.iter().map(|d| bytes_in(d, 0)).sum::<u64>();
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
        if self.binary.program.settling() == Settling::Restart {
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
        self.post("/api/v1/admin/tsdb/snapshot").await?;
        Ok(bytes_in(&dir, 0))
    }

    async fn post(&self, path: &str) -> Result<()> {
        let request = Request { timeout: PATIENCE, ..Request::post(format!("{}{path}", self.url), "") };
        let answer = self.client.send(request).await.map_err(|e| self.strange(e.to_string()))?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(self.strange(format!("{path} answers {} {}", answer.status, answer.excerpt()))),
        }
    }

    async fn restart(&mut self, clock: &Clock) -> Result<()> {
        self.peak_before = self.peak_rss_bytes()?;
        self.cpu_before = self.end(clock).await?;
        self.child = spawn(&self.binary, self.dir.path(), self.port)?;
        self.wait_ready(clock).await
    }

    /// Ends the program orderly; its CPU time with what ending took.
    async fn end(&mut self, clock: &Clock) -> Result<f64> {
        let mut cpu = self.cpu_seconds()?;
        let pid =
            self.child.id().and_then(|p| i32::try_from(p).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .map_err(|e| self.failed("stopping", e.into()))?;
        }
        let began = clock.monotonic();
        while self.child.try_wait().map_err(|e| self.failed("waiting for", e))?.is_none() {
            if let Ok(now) = self.cpu_seconds() {
                cpu = now;
            }
            if clock.monotonic().duration_since(began) > PATIENCE {
                return Err(self.strange(format!("it does not end within {PATIENCE:?}")));
            }
            clock.sleep(TICK / 5).await;
        }
        Ok(cpu)
    }

    /// Leaves the directory behind.
    pub(super) fn keep(&mut self) {
        self.dir.keep();
    }

    pub(super) async fn stop(mut self, clock: &Clock) -> Result<()> {
        self.end(clock).await.map(drop)
    }
}

fn spawn(b: &Binary, dir: &Path, port: u16) -> Result<Child> {
    let fail = |doing| {
        let path = b.path.clone();
        move |source| Error::Program { doing, path, source }
    };
    let (args, file) = b.program.start(dir, port);
    if let Some((path, text)) = file {
        std::fs::write(&path, text).map_err(fail("writing the configuration of"))?;
    }
    let out = std::fs::File::create(dir.join("out")).map_err(fail("making the output file of"))?;
    let err = out.try_clone().map_err(fail("making the output file of"))?;
    Command::new(&b.path)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .kill_on_drop(true)
        .spawn()
        .map_err(fail("starting"))
}

fn free_port(path: &Path) -> Result<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map(|a| a.port())
        .map_err(|source| Error::Program { doing: "finding a port for", path: path.to_owned(), source })
}

/// utime and stime of `/proc/<pid>/stat`; the command before them may hold anything but its last parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn peak_kib(status: &str) -> Option<u64> {
    status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// Lengths of all files below. What goes away meanwhile counts nothing.
fn bytes_in(dir: &Path, depth: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let len = |e: std::fs::DirEntry| match e.metadata() {
        Ok(m) if m.is_dir() && depth < 16 => bytes_in(&e.path(), depth + 1),
        Ok(m) if m.is_file() => m.len(),
        _ => 0,
    };
    entries.flatten().map(len).sum()
}

/// A directory that goes away with its owner, unless it is to stay.
mod tempdir {
    use super::{Error, Path, PathBuf, Result};

    pub(super) struct Dir {
        path: PathBuf,
        stays: bool,
    }

    impl Dir {
        pub(super) fn make(root: &Path, name: &str, now_ns: i64) -> Result<Dir> {
            let path = root.join(format!("{name}-{now_ns:x}"));
            std::fs::create_dir_all(&path).map_err(|source| Error::Program {
                doing: "making a directory for",
                path: path.clone(),
                source,
            })?;
            Ok(Dir { path, stays: false })
        }

        pub(super) fn path(&self) -> &Path {
            &self.path
        }

        pub(super) fn keep(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_process_are_read_whatever_its_name_is() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 700 30 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(730));
        assert_eq!(cpu_ticks("nonsense"), None);
        assert_eq!(peak_kib("VmPeak:\t 9 kB\nVmHWM:\t  1234 kB\n"), Some(1234));
    }
}
