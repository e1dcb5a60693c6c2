//! A program that is measured: started, watched through `/proc`, ended.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base::Clock;
use net::{Client, Request};
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use crate::{Error, Result};

/// Longest start, and longest stop: replaying or flushing everything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// How a program is started and known to be there.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// As in messages.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<String>,
    /// Where it runs, and its file `out` collects what it writes.
    pub(crate) dir: PathBuf,
    /// `http://host:port`
    pub(crate) url: String,
    /// Below it what answers 200 once the program is ready.
    pub(crate) ready_path: &'static str,
}

pub(crate) struct Process {
    launch: Launch,
    child: Child,
    client: Client,
}

impl Process {
    /// Starts the program and waits until it is ready.
    pub(crate) async fn start(launch: Launch, clock: &Clock) -> Result<Process> {
        let child = spawn(&launch)?;
        let mut process = Process { launch, child, client: Client::new()? };
        process.wait_ready(clock).await?;
        Ok(process)
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    async fn wait_ready(&mut self, clock: &Clock) -> Result<()> {
        let began = clock.monotonic();
        loop {
            let request = Request::get(format!("{}{}", self.launch.url, self.launch.ready_path));
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
        let text = std::fs::read_to_string(self.launch.dir.join("out")).unwrap_or_default();
        text.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> Error {
        Error::Program { doing, path: self.launch.path.clone(), source }
    }

    /// An error about what it answers.
    pub(crate) fn strange(&self, reason: String) -> Error {
        Error::Ask { url: format!("{} at {}", self.launch.name, self.launch.url), reason }
    }

    fn proc(&self, file: &str) -> Result<String> {
        let pid = self.child.id().ok_or_else(|| self.strange(format!("it has ended: {}", self.said())))?;
        std::fs::read_to_string(format!("/proc/{pid}/{file}")).map_err(|e| self.failed("reading /proc of", e))
    }

    /// User and system time since it was started.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        let ticks = cpu_ticks(&stat).ok_or_else(|| self.strange(format!("its stat is {stat:?}")))?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64)
    }

    pub(crate) fn peak_rss_bytes(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let kib = peak_kib(&status).ok_or_else(|| self.strange("its status has no VmHWM".to_owned()))?;
        Ok(kib * 1024)
    }

    pub(crate) async fn post(&self, path: &str) -> Result<()> {
        let request =
            Request { timeout: PATIENCE, ..Request::post(format!("{}{path}", self.launch.url), "") };
        let answer = self.client.send(request).await.map_err(|e| self.strange(e.to_string()))?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(self.strange(format!("{path} answers {} {}", answer.status, answer.excerpt()))),
        }
    }

    /// Ends the program orderly; its CPU time with what ending took.
    pub(crate) async fn end(&mut self, clock: &Clock) -> Result<f64> {
        let mut cpu = self.cpu_seconds()?;
        let pid = self.child.id().and_then(|p| i32::try_from(p).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, Signal::TERM)
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

    /// Starts it again after [`Process::end`].
    pub(crate) async fn again(&mut self, clock: &Clock) -> Result<()> {
        self.child = spawn(&self.launch)?;
        self.wait_ready(clock).await
    }
}

/// What the binary says when asked for its version: the first line.
pub(crate) async fn version(path: &Path, flag: &str) -> Result<String> {
    let run = Command::new(path).arg(flag).stdin(Stdio::null()).output().await;
    let out = run.map_err(|source| Error::Program { doing: "starting", path: path.to_owned(), source })?;
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim().to_owned())
}

fn spawn(launch: &Launch) -> Result<Child> {
    let fail = |doing| {
        let path = launch.path.clone();
        move |source| Error::Program { doing, path, source }
    };
    let out = std::fs::File::create(launch.dir.join("out")).map_err(fail("making the output file of"))?;
    let err = out.try_clone().map_err(fail("making the output file of"))?;
    Command::new(&launch.path)
        .args(&launch.args)
        .current_dir(&launch.dir)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .kill_on_drop(true)
        .spawn()
        .map_err(fail("starting"))
}

/// A port of this machine that nobody listens on just now.
pub(crate) fn free_port(path: &Path) -> Result<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map(|a| a.port())
        .map_err(|source| Error::Program { doing: "finding a port for", path: path.to_owned(), source })
}

/// User and system time of a process that somebody else has started.
pub(crate) fn cpu_seconds_of(pid: u32) -> std::io::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = cpu_ticks(&stat).ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64)
}

/// Time that this thread was given, to a tick of the kernel.
pub(crate) fn cpu_of_thread() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split_whitespace().next().and_then(|ns| ns.parse().ok());
    std::time::Duration::from_nanos(ns.unwrap_or(0))
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
pub(crate) fn bytes_in(dir: &Path) -> u64 {
    files_in(dir).iter().filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}

/// All files below, sixteen directories deep at most.
pub(crate) fn files_in(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![(dir.to_owned(), 0)]);
    while let Some((dir, depth)) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(t) if t.is_dir() && depth < 16 => waiting.push((entry.path(), depth + 1)),
                Ok(t) if t.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

/// Reads URLs as what a program answers, large answers included.
pub(crate) async fn get(client: &Client, url: &str) -> Result<Vec<u8>> {
    let request = Request { timeout: PATIENCE, max_answer_bytes: 1 << 30, ..Request::get(url) };
    let fail = |reason| Error::Ask { url: url.to_owned(), reason };
    let answer = client.send(request).await.map_err(|e| fail(e.to_string()))?;
    match answer.status.is_success() {
        true => Ok(answer.body.to_vec()),
        false => Err(fail(format!("it answers {} {}", answer.status, answer.excerpt()))),
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

    #[test]
    fn files_are_found_and_measured_however_deep_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/x"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("y"), [0; 5]).unwrap();
        assert_eq!((files_in(dir.path()).len(), bytes_in(dir.path())), (2, 15));
    }
}
