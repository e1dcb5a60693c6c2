//! A disk in memory that misbehaves on command, and forgets like a real one when it crashes.
//!
//! What is modelled: contents and names are durable separately; unsynced writes survive a crash in any
//! combination, torn at any byte; a failed sync leaves pages that later syncs skip (so whoever repeats a
//! failed sync and believes it loses data here as on Linux); a full disk writes what fits and heals.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{Disk, DiskFile};

/// A cheap handle to one simulated disk.
#[derive(Clone, Default)]
pub struct FaultDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    /// What the running system sees.
    names: BTreeMap<PathBuf, usize>,
    /// What survives a crash for certain.
    durable_names: BTreeMap<PathBuf, usize>,
    locked: BTreeMap<PathBuf, u64>,
    /// Handles of an earlier life fail.
    life: u64,
    plan: Plan,
    counts: Counts,
}

#[derive(Default)]
struct Plan {
    /// Counted down by each write; the write that finds 0 fails after `short` bytes.
    fail_write_in: Option<(u64, usize)>,
    fail_sync_in: Option<u64>,
    failing: [bool; 5],
    free_bytes: Option<u64>,
}

/// Operations that can be made to fail until [`FaultDisk::heal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Write,
    Sync,
    Truncate,
    Create,
    SyncDir,
}

/// How often each operation was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub writes: u64,
    pub syncs: u64,
    pub failures: u64,
}

#[derive(Default, Clone)]
struct Inode {
    durable: Vec<u8>,
    seen: Vec<u8>,
    /// Since the last sync.
    pending: Vec<Change>,
    /// (offset, data) of failed syncs: no later sync writes these, a crash may or may not show them.
    lost: Vec<(u64, Vec<u8>)>,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    Truncate(u64),
}

impl FaultDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// The `n`th write from now (0 is the next) fails after `short` of its bytes, once.
    pub fn fail_write_in(&self, n: u64, short: usize) {
        self.0.lock().plan.fail_write_in = Some((n, short));
    }

    /// The `n`th sync from now (0 is the next) fails, once.
    pub fn fail_sync_in(&self, n: u64) {
        self.0.lock().plan.fail_sync_in = Some(n);
    }

    /// Every such operation fails from now on.
    pub fn fail(&self, operation: Operation) {
        self.0.lock().plan.failing[operation as usize] = true;
    }

    /// From now on the disk takes only this many bytes more; then writes end short with `StorageFull`.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.0.lock().plan.free_bytes = Some(bytes);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.0.lock().plan = Plan::default();
    }

    pub fn counts(&self) -> Counts {
        self.0.lock().counts
    }

    /// The machine loses power and starts again. What was not synced survives in a combination drawn from
    /// `seed`; every open handle and lock is gone.
    pub fn crash(&self, seed: u64) {
        let mut draw = Draw(seed);
        let mut s = self.0.lock();
        s.life += 1;
        s.locked.clear();
        s.plan = Plan::default();
        for inode in &mut s.inodes {
            inode.crash(&mut draw);
        }
        let mut names = s.durable_names.clone();
        let changed: Vec<PathBuf> = s
            .names
            .iter()
            .filter(|(p, i)| s.durable_names.get(*p) != Some(i))
            .map(|(p, _)| p.clone())
            .chain(s.durable_names.keys().filter(|p| !s.names.contains_key(*p)).cloned())
            .collect();
        for path in changed.into_iter().filter(|_| draw.below(2) == 0) {
            match s.names.get(&path) {
                Some(inode) => names.insert(path, *inode),
                None => names.remove(&path),
            };
        }
        s.names = names.clone();
        s.durable_names = names;
    }

    /// Changes one byte at rest, as a failing medium does. `false` if there is no such byte.
    pub fn flip_byte(&self, path: &Path, offset: u64) -> bool {
        let mut s = self.0.lock();
        let Some(inode) = s.names.get(path).copied().and_then(|i| s.inodes.get_mut(i)) else { return false };
        for bytes in [&mut inode.durable, &mut inode.seen] {
            match bytes.get_mut(offset as usize) {
                Some(b) => *b ^= 0x40,
                None => return false,
            }
        }
        true
    }

    /// The contents as the running system sees them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let s = self.0.lock();
        let inode = *s.names.get(path)?;
        s.inodes.get(inode).map(|i| i.seen.clone())
    }
}

impl State {
    fn allow(&mut self, operation: Operation) -> io::Result<()> {
        if self.plan.failing[operation as usize] {
            return Err(self.fault());
        }
        Ok(())
    }

    fn fault(&mut self) -> io::Error {
        self.counts.failures += 1;
        io::Error::other("injected fault")
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        // Freed pages cannot come back, and pages written again are dirty again.
        match &change {
            Change::Truncate(len) => self.forget_lost(*len, u64::MAX),
            Change::Write { offset, data } => self.forget_lost(*offset, offset + data.len() as u64),
        }
        self.pending.push(change);
    }

    /// Takes the bytes `from..to` out of what is lost.
    fn forget_lost(&mut self, from: u64, to: u64) {
        for (offset, mut data) in std::mem::take(&mut self.lost) {
            let cut = |at: u64| at.clamp(offset, offset + data.len() as u64) - offset;
            let (a, b) = (cut(from) as usize, cut(to.max(from)) as usize);
            let after = data.split_off(b);
            data.truncate(a);
            self.lost.extend([(offset, data), (offset + b as u64, after)]);
        }
        self.lost.retain(|(_, data)| !data.is_empty());
    }

    /// The sync failed: what was pending is clean in memory and perhaps not on the disk.
    fn lose_pending(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write { offset, data } => self.lost.push((offset, data)),
                // Metadata is journaled: a later sync of anything commits it.
                Change::Truncate(len) => {
                    self.forget_lost(len, u64::MAX);
                    Change::Truncate(len).apply(&mut self.durable);
                }
            }
        }
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    fn crash(&mut self, draw: &mut Draw) {
        let lost = self.lost.drain(..).map(|(offset, data)| Change::Write { offset, data });
        let unsynced = lost.chain(self.pending.drain(..));
        for change in unsynced {
            match (draw.below(3), change) {
                (0, _) => {}
                (1, Change::Write { offset, data }) => {
                    let from = draw.below(data.len() as u64 + 1) as usize;
                    let to = from + draw.below((data.len() - from) as u64 + 1) as usize;
                    let part = data.get(from..to).unwrap_or_default().to_vec();
                    Change::Write { offset: offset + from as u64, data: part }.apply(&mut self.durable);
                }
                (_, change) => change.apply(&mut self.durable),
            }
        }
        self.seen = self.durable.clone();
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Truncate(len) => bytes.resize(*len as usize, 0),
            Change::Write { data, .. } if data.is_empty() => {}
            Change::Write { offset, data } => {
                let end = *offset as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset as usize..end].copy_from_slice(data);
            }
        }
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut s = self.0.lock();
        if s.locked.contains_key(dir) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = s.life;
        s.locked.insert(dir.to_owned(), life);
        Ok(Box::new(Claim { disk: self.clone(), dir: dir.to_owned(), life }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let s = self.0.lock();
        let inside = s.names.keys().filter(|p| p.parent() == Some(dir));
        Ok(inside.filter_map(|p| p.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut s = self.0.lock();
        s.allow(Operation::Create)?;
        let inode = match s.names.get(path).copied() {
            Some(inode) => {
                s.inodes[inode].change(Change::Truncate(0));
                inode
            }
            None => {
                s.inodes.push(Inode::default());
                let inode = s.inodes.len() - 1;
                s.names.insert(path.to_owned(), inode);
                inode
            }
        };
        Ok(Box::new(FaultFile { disk: self.clone(), inode, life: s.life }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let s = self.0.lock();
        let inode = s.names.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FaultFile { disk: self.clone(), inode, life: s.life }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().names.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut s = self.0.lock();
        s.allow(Operation::SyncDir)?;
        s.durable_names.retain(|p, _| p.parent() != Some(dir));
        let here: Vec<(PathBuf, usize)> =
            s.names.iter().filter(|(p, _)| p.parent() == Some(dir)).map(|(p, i)| (p.clone(), *i)).collect();
        s.durable_names.extend(here);
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.0.lock().plan.free_bytes.unwrap_or(1 << 40))
    }
}

struct Claim {
    disk: FaultDisk,
    dir: PathBuf,
    life: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut s = self.disk.0.lock();
        if s.locked.get(&self.dir) == Some(&self.life) {
            s.locked.remove(&self.dir);
        }
    }
}

struct FaultFile {
    disk: FaultDisk,
    inode: usize,
    life: u64,
}

impl FaultFile {
    fn with<T>(&self, f: impl FnOnce(&mut State, usize) -> io::Result<T>) -> io::Result<T> {
        let mut s = self.disk.0.lock();
        if s.life != self.life {
            return Err(io::Error::other("the machine crashed since this file was opened"));
        }
        f(&mut s, self.inode)
    }
}

impl DiskFile for FaultFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|s, i| Ok(s.inodes[i].seen.len() as u64))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|s, i| {
            let rest = s.inodes[i].seen.get(offset as usize..).unwrap_or_default();
            let n = rest.len().min(buf.len());
            buf[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.with(|s, i| {
            s.counts.writes += 1;
            s.allow(Operation::Write)?;
            let mut takes = buf.len();
            let mut error = None;
            if let Some((left, short)) = s.plan.fail_write_in.take() {
                match left.checked_sub(1) {
                    Some(left) => s.plan.fail_write_in = Some((left, short)),
                    None => {
                        takes = takes.min(short);
                        error = Some(s.fault());
                    }
                }
            }
            if let Some(free) = &mut s.plan.free_bytes {
                if (takes as u64) > *free {
                    takes = *free as usize;
                    error = Some(io::ErrorKind::StorageFull.into());
                }
                *free -= takes as u64;
            }
            s.inodes[i].change(Change::Write { offset, data: buf[..takes].to_vec() });
            error.map_or(Ok(()), Err)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|s, i| {
            s.counts.syncs += 1;
            let due = match s.plan.fail_sync_in.take() {
                Some(0) => true,
                left => {
                    s.plan.fail_sync_in = left.map(|n| n - 1);
                    s.plan.failing[Operation::Sync as usize]
                }
            };
            let inode = &mut s.inodes[i];
            if due {
                inode.lose_pending();
                return Err(s.fault());
            }
            inode.sync();
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|s, i| {
            s.allow(Operation::Truncate)?;
            s.inodes[i].change(Change::Truncate(len));
            Ok(())
        })
    }
}

/// SplitMix64: enough to choose what a crash leaves.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}
