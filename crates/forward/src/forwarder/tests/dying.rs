//! A disk that dies in the middle of a chosen write: half of it is done, and nothing after it.

use std::{io, path::Path};

use disklog::DiskFile;

use super::*;

#[derive(Clone)]
pub(super) struct Dying {
    pub(super) disk: FaultDisk,
    left: Arc<AtomicU64>,
    dead: Arc<AtomicBool>,
}

impl Dying {
    pub(super) fn after(disk: &FaultDisk, writes: u64) -> Self {
        Dying { disk: disk.clone(), left: Arc::new(AtomicU64::new(writes)), dead: Arc::default() }
    }

    /// Never by itself.
    pub(super) fn never(disk: &FaultDisk) -> Self {
        Dying::after(disk, u64::MAX)
    }

    /// Now: nobody of this life may touch the disk of the next.
    pub(super) fn kill(&self) {
        self.dead.store(true, SeqCst);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    fn alive(&self) -> io::Result<()> {
        if self.is_dead() { Err(io::Error::other("the machine is dead")) } else { Ok(()) }
    }
}

struct DyingFile(Dying, Box<dyn DiskFile>);

impl Disk for Dying {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.alive()?;
        self.disk.create_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.alive()?;
        self.disk.lock(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.alive()?;
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.alive()?;
        Ok(Box::new(DyingFile(self.clone(), self.disk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.alive()?;
        Ok(Box::new(DyingFile(self.clone(), self.disk.open(path)?)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.alive()?;
        self.disk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }
}

impl DiskFile for DyingFile {
    fn len(&self) -> io::Result<u64> {
        self.1.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.alive()?;
        self.1.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.alive()?;
        let left = self.0.left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
        if left.is_err() {
            self.0.dead.store(true, SeqCst);
            self.1.write_at(&buf[..buf.len() / 2], offset)?;
            return self.0.alive();
        }
        self.1.write_at(buf, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.alive()?;
        self.1.sync()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.alive()?;
        self.1.truncate(len)
    }
}
