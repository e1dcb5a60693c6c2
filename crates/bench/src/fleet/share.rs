//! A fixed share of the cores for a process, by a control group of its own: what a cluster on one machine has to be given
//! so that it is as fast beside others as alone. Linux with groups that may be made, which is root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

const ROOT: &str = "/sys/fs/cgroup";
/// The kernel shares out anew so often. Longer: a question shorter than this sees no limit.
const PERIOD_US: u64 = 10_000;

/// A control group; it goes away with this, once its process has ended.
pub(super) struct Share {
    dir: PathBuf,
}

impl Share {
    pub(super) fn make(name: &str, cores: f64) -> Result<Share> {
        let root = Path::new(ROOT);
        let quota = ((cores * PERIOD_US as f64) as u64).max(1_000);
        // The unified hierarchy has a file of what it can share; before it each had a directory.
        if root.join("cgroup.controllers").exists() {
            // Where it is shared already this changes nothing, and where it cannot be the next write says so.
            let _ = fs::write(root.join("cgroup.subtree_control"), "+cpu");
            let dir = make(root.join(name))?;
            write(&dir.join("cpu.max"), &format!("{quota} {PERIOD_US}"))?;
            return Ok(Share { dir });
        }
        let dir = make(root.join("cpu").join(name))?;
        write(&dir.join("cpu.cfs_period_us"), &PERIOD_US.to_string())?;
        write(&dir.join("cpu.cfs_quota_us"), &quota.to_string())?;
        Ok(Share { dir })
    }

    /// Puts a process into it, with all its threads.
    pub(super) fn give(&self, pid: u32) -> Result<()> {
        write(&self.dir.join("cgroup.procs"), &pid.to_string())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

fn make(dir: PathBuf) -> Result<PathBuf> {
    match fs::create_dir(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::Program { doing: "making the control group", path: dir, source: e })
        }
        _ => Ok(dir),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|source| Error::Program { doing: "writing", path: path.to_owned(), source })
}
