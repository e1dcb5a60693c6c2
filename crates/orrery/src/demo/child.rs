//! A process of the demo.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use base::{Clock, Shutdown};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::{TICK, Teller};

/// A process that ended by itself stays away this long, so that its absence can be looked at.
const AWAY: Duration = Duration::from_secs(20);
/// A node promises to stop within 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Of a log that is shown.
const TAIL_BYTES: u64 = 2048;
const TAIL_LINES: usize = 4;

/// What to start.
pub struct Program {
    /// As it is called in lines and on the page.
    pub name: String,
    pub args: Vec<OsString>,
    /// Where everything it prints goes.
    pub log: PathBuf,
    /// Answers 200 once it is ready.
    pub ready: String,
}

pub struct Process {
    program: Program,
    binary: PathBuf,
    child: Child,
    pid: u32,
    /// Set while it is away: when it is started again.
    again: Option<Instant>,
}

impl Process {
    pub fn start(program: Program, binary: &Path) -> Result<Self> {
        let (child, pid) = spawn(&program, binary)?;
        Ok(Process { program, binary: binary.to_owned(), child, pid, again: None })
    }

    pub fn name(&self) -> &str {
        &self.program.name
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn ready_url(&self) -> &str {
        &self.program.ready
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<String>> {
        let status = self.child.try_wait().with_context(|| format!("looking after {}", self.program.name))?;
        Ok(status.map(how))
    }

    /// Notices that it ended, and starts it again after a while. What to tell, if anything happened.
    pub fn tend(&mut self, clock: &Clock) -> Result<Option<String>> {
        let (name, now) = (self.program.name.clone(), clock.monotonic());
        match self.again {
            None => Ok(self.ended()?.map(|how| {
                self.again = Some(now + AWAY);
                let log = self.program.log.display();
                format!("{name} {how}; it is started again in {} s (log: {log})", AWAY.as_secs())
            })),
            Some(at) if now < at => Ok(None),
            Some(_) => {
                (self.child, self.pid) = spawn(&self.program, &self.binary)?;
                self.again = None;
                Ok(Some(format!("{name} is started again, it is process {} now", self.pid)))
            }
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = &self.program.log;
        let said = tail(log).unwrap_or_default();
        match said.is_empty() {
            true => format!("its log {} is empty", log.display()),
            false => format!("its log {} ends with:\n{said}", log.display()),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // One that was waited for has no id any more that could be somebody else's.
        if let (Some(_), Some(pid)) = (self.child.id(), pid) {
            let _ = kill_process(pid, signal);
        }
    }

    async fn wait_until(&mut self, clock: &Clock, deadline: Instant, hurry: &Shutdown) -> bool {
        loop {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            if clock.monotonic() >= deadline || hurry.is_started() {
                return false;
            }
            clock.sleep(TICK / 5).await;
        }
    }
}

/// Stops all, those that were started last first: the shop, then the global node, then those it asks. Whoever
/// stands still (`kill -STOP`) is woken, and killed when it does not end.
pub(super) async fn stop_all(mut all: Vec<Process>, tell: &Teller, hurry: &Shutdown) {
    all.reverse();
    if !all.is_empty() {
        tell.say("stopping, the shop first; a second Ctrl-C kills what is left");
    }
    for process in &mut all {
        process.signal(Signal::TERM);
        process.signal(Signal::CONT);
        let deadline = tell.clock.monotonic() + STOP_WITHIN;
        if process.wait_until(&tell.clock, deadline, hurry).await {
            continue;
        }
        if !hurry.is_started() {
            tell.say(&format!("{} did not stop within {STOP_WITHIN:?} and is killed", process.name()));
        }
        process.signal(Signal::KILL);
        let _ = process.child.wait().await;
    }
    tell.say("everything has stopped");
}

fn spawn(program: &Program, binary: &Path) -> Result<(Child, u32)> {
    let log = &program.log;
    let out = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("opening {}", log.display()))?;
    let err = out.try_clone().with_context(|| format!("opening {}", log.display()))?;
    let starting = || format!("starting {} as {}", program.name, binary.display());
    let child = Command::new(binary)
        .args(&program.args)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        // Ctrl-C in a terminal reaches a whole group; these are stopped one after the other.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(starting)?;
    let pid = child.id().with_context(starting)?;
    Ok((child, pid))
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines.iter().skip(last).map(|l| format!("  {l}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(dir: &Path, script: &str) -> Program {
        Program {
            name: "x".to_owned(),
            args: vec!["-c".into(), script.into()],
            log: dir.join("x.log"),
            ready: String::new(),
        }
    }

    #[tokio::test]
    async fn a_process_that_ends_is_started_again_after_a_while_and_told_about() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let mut p = Process::start(program(dir.path(), "echo gone; exit 3"), Path::new("/bin/sh")).unwrap();
        p.child.wait().await.unwrap();
        let told = p.tend(&clock).unwrap().unwrap();
        assert!(told.contains("ended with code 3") && told.contains("20 s"), "{told}");
        assert!(p.last_words().ends_with("  gone\n"), "{}", p.last_words());
        assert_eq!(p.tend(&clock).unwrap(), None);
        // The time has come.
        p.again = Some(clock.monotonic());
        let before = p.pid();
        assert!(p.tend(&clock).unwrap().unwrap().contains("started again"));
        assert_ne!(p.pid(), before);
    }

    #[tokio::test]
    async fn a_process_that_stands_still_is_stopped_too() {
        let dir = tempfile::tempdir().unwrap();
        let p = Process::start(program(dir.path(), "exec sleep 600"), Path::new("/bin/sh")).unwrap();
        p.signal(Signal::STOP);
        let pid = p.pid();
        stop_all(vec![p], &Teller::new(Clock::system()), &Shutdown::new()).await;
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_binary_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none");
        let told = Process::start(program(dir.path(), ""), &none).err().unwrap();
        assert!(format!("{told:#}").contains("none"), "{told:#}");
    }
}
