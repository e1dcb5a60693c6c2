//! The directory of a demo: that it is one, that nobody else uses it, certificates, configurations, and the
//! processes that run.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, Error, Result, anyhow, bail};
use base::Clock;
use net::certs::{self, Leaf};
use parking_lot::Mutex;

use super::plan::{NODES, Plan};

/// Says that a directory is a demo's; locked while one runs.
const MARK: &str = ".orrery-demo";
/// Names and ids of the processes that were started.
const PROCESSES: &str = "processes";
/// The demo's authority and certificates are for play, and last as long as anybody plays.
const CA_DAYS: u32 = 3650;
const LEAF_DAYS: u32 = 365;

pub struct Home {
    dir: PathBuf,
    binary: PathBuf,
    /// Kept open: closing it gives the directory free.
    _mark: File,
    /// What ran here before, where it did not say that it ended.
    left: Vec<(String, u32)>,
    running: Mutex<BTreeMap<String, u32>>,
}

impl Home {
    /// Takes the directory, makes what is missing and writes the configurations.
    pub fn prepare(plan: &Plan, clock: &Clock) -> Result<Home> {
        let dir = plan.dir.clone();
        let binary = binary()?;
        let mark = take(&dir)?;
        let left = left_behind(&dir);
        certificates(plan, clock)?;
        for node in &NODES {
            let (home, file) = (plan.home(node), plan.config(node));
            fs::create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
            fs::write(&file, plan.yaml(node)).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(Home { dir, binary, _mark: mark, left, running: Mutex::default() })
    }

    /// The program that the nodes and services are.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Adds to an error about a port who may hold it.
    pub fn blame(&self, error: Error) -> Error {
        if self.left.is_empty() {
            return anyhow!("{error}; choose others with --ports BASE, for example --ports 19500");
        }
        let names: Vec<String> = self.left.iter().map(|(name, pid)| format!("{name} is {pid}")).collect();
        let ids: Vec<String> = self.left.iter().map(|(_, pid)| pid.to_string()).collect();
        anyhow!(
            "{error}; an earlier demo left processes behind ({}), end them with: kill {}",
            names.join(", "),
            ids.join(" ")
        )
    }

    /// Notes a process that was started.
    pub fn remember(&self, name: &str, pid: u32) -> Result<()> {
        let mut running = self.running.lock();
        running.insert(name.to_owned(), pid);
        let text: String = running.iter().map(|(name, pid)| format!("{name} {pid}\n")).collect();
        let file = self.dir.join(PROCESSES);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// Everything has ended.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.dir.join(PROCESSES));
    }
}

/// This program's file.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe().context("finding the program's own file")?;
    if !path.is_file() {
        // A program that was built anew while it runs is told as "… (deleted)".
        bail!(
            "the program's file {} is gone, it may have been built anew: start the demo again",
            path.display()
        );
    }
    Ok(path)
}

/// Makes the directory or takes one that an earlier demo made.
fn take(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let mark = dir.join(MARK);
    let mut entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    if !mark.exists() && entries.next().is_some() {
        bail!(
            "{} has files in it that are not a demo's; choose another directory with --dir, or empty it",
            dir.display()
        );
    }
    let file = File::options()
        .create(true)
        .append(true)
        .open(&mark)
        .with_context(|| format!("opening {}", mark.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "a demo runs in {} already; stop it, or choose another directory with --dir and other ports with --ports",
                dir.display()
            )
        }
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("locking {}", mark.display())),
    }
}

/// Processes an earlier demo started and that still run, told by the path of this directory, or the program, in
/// their command lines: ids are given again to others.
fn left_behind(dir: &Path) -> Vec<(String, u32)> {
    let text = fs::read_to_string(dir.join(PROCESSES)).unwrap_or_default();
    let entries = text.lines().filter_map(|l| {
        let (name, pid) = l.rsplit_once(' ')?;
        Some((name.to_owned(), pid.parse().ok()?))
    });
    let ours = |pid: u32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains(&*dir.to_string_lossy()) || command.contains(" bench shop --service ")
    };
    entries.filter(|(_, pid)| ours(*pid)).collect()
}

/// An authority, kept from one demo to the next, and a certificate for each cluster.
fn certificates(plan: &Plan, clock: &Clock) -> Result<()> {
    let (dir, now_s) = (plan.certs(), clock.now_ns().div_euclid(1_000_000_000));
    let advice = || format!("making certificates in {0}; removing {0} makes all of them anew", dir.display());
    if !dir.join(certs::CA_CERT).exists() {
        certs::init(&dir, "Orrery demo", CA_DAYS, now_s).with_context(advice)?;
    }
    let mut clusters: Vec<&str> = NODES.iter().map(|n| n.cluster).collect();
    clusters.dedup();
    for cluster in clusters {
        let leaf = Leaf {
            cluster: cluster.to_owned(),
            dns: vec!["localhost".to_owned()],
            ips: vec![std::net::Ipv4Addr::LOCALHOST.into()],
            days: LEAF_DAYS,
        };
        certs::issue(&dir, &leaf, now_s).with_context(advice)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_others_is_left_alone_and_one_of_a_demo_is_taken_once() {
        let root = tempfile::tempdir().unwrap();
        let (foreign, own) = (root.path().join("foreign"), root.path().join("own"));
        fs::create_dir_all(&foreign).unwrap();
        fs::write(foreign.join("letter.txt"), "x").unwrap();
        assert!(take(&foreign).unwrap_err().to_string().contains("not a demo's"));
        assert!(!foreign.join(MARK).exists());
        let held = take(&own).unwrap();
        fs::write(own.join("ops-01.log"), "x").unwrap();
        assert!(take(&own).unwrap_err().to_string().contains("runs in"));
        drop(held);
        assert!(take(&own).is_ok());
    }

    #[test]
    fn a_process_id_that_is_somebody_elses_now_is_not_blamed() {
        let dir = tempfile::tempdir().unwrap();
        let mine = std::process::id();
        fs::write(dir.path().join(PROCESSES), format!("ops-01 {mine}\nnonsense\nx y\n")).unwrap();
        assert!(left_behind(dir.path()).is_empty());
    }

    #[test]
    fn certificates_are_made_once_and_issued_again() {
        let root = tempfile::tempdir().unwrap();
        let plan = Plan::new(root.path(), 9500, 1.0).unwrap();
        let clock = Clock::system();
        certificates(&plan, &clock).unwrap();
        let ca = fs::read(plan.certs().join(certs::CA_CERT)).unwrap();
        certificates(&plan, &clock).unwrap();
        assert_eq!(fs::read(plan.certs().join(certs::CA_CERT)).unwrap(), ca);
        assert!(plan.certs().join("prod-01.crt").exists() && plan.certs().join("prod-01.key").exists());
    }
}
