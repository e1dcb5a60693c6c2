//! One followed file: who it is, how far it was read, and reading on.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use model::LogStream;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    checkpoint::{Entry, Fingerprint},
    packed::Packed,
};

/// First bytes that make a fingerprint. Log files tell themselves apart by their first timestamp.
const FINGERPRINT_BYTES: u64 = 256;

/// Device and inode.
pub(super) type FileId = (u64, u64);

pub(super) fn id_of(m: &Metadata) -> FileId {
    (m.dev(), m.ino())
}

pub(super) struct Followed {
    pub(super) entry: Entry,
    pub(super) stream: LogStream,
    /// Where the file is now, which differs from `entry.path` after a rename.
    pub(super) place: PathBuf,
    handle: Option<Handle>,
    /// Length when last looked at.
    pub(super) len: u64,
    pub(super) grown_ns: i64,
    /// Modification time when last listed. A new file can get the inode and the length of the one before.
    modified: Option<(i64, i64)>,
    /// Modified since it was last looked at.
    pub(super) suspect: bool,
    /// Since when no path leads to it.
    pub(super) gone_ns: Option<i64>,
    pub(super) finished: bool,
    /// It was finished before directories were last looked at, so that what a rotation made of it since is known.
    pub(super) settled: bool,
    /// What it was called, where it stands beside that under the name a rotation gave it.
    pub(super) rotated: Option<PathBuf>,
}

enum Handle {
    Plain(File),
    Packed(Box<Packed>),
}

/// What looking at a file found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    Same,
    /// Cut short or written anew in place (copytruncate, or an inode used again): another file.
    Replaced,
}

impl Followed {
    pub(super) fn new(entry: Entry, stream: LogStream, now_ns: i64) -> Self {
        Followed {
            place: entry.path.clone(),
            len: entry.packed.unwrap_or(entry.offset),
            entry,
            stream,
            handle: None,
            grown_ns: now_ns,
            modified: None,
            suspect: false,
            gone_ns: None,
            finished: false,
            settled: false,
            rotated: None,
        }
    }

    pub(super) fn id(&self) -> FileId {
        (self.entry.device, self.entry.inode)
    }

    /// Bytes there are and were not read. A planned range counts too.
    pub(super) fn unread(&self) -> u64 {
        self.len.saturating_sub(self.entry.offset)
    }

    /// Whether a listing says something else than the last one did.
    pub(super) fn is_changed(&self, m: &Metadata) -> bool {
        self.modified != Some((m.mtime(), m.mtime_nsec()))
    }

    /// Takes note of what a listing says.
    pub(super) fn listed(&mut self, m: &Metadata, now_ns: i64) {
        self.suspect |= self.is_changed(m);
        self.modified = Some((m.mtime(), m.mtime_nsec()));
        if m.len() != self.len && self.handle.is_none() && self.entry.packed.is_none() {
            // Whether it grew or was replaced is seen when it is opened.
            self.len = self.len.max(m.len());
            self.grown_ns = now_ns;
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.handle.is_some()
    }

    /// Keeps the number of open files down; the file is found again by its path.
    pub(super) fn close(&mut self) {
        self.handle = None;
    }

    /// Opens the file if necessary and checks that it is still the one it was. `NotFound` when its path
    /// leads to another file.
    pub(super) fn look(&mut self, now_ns: i64) -> io::Result<Look> {
        self.suspect = false;
        if self.handle.is_none() {
            let file = File::open(&self.place)?;
            if id_of(&file.metadata()?) != self.id() {
                return Err(io::ErrorKind::NotFound.into());
            }
            self.handle = Some(match self.entry.packed {
                Some(_) => Handle::Packed(Box::new(Packed::new(file)?)),
                None => Handle::Plain(file),
            });
        }
        let file = match &self.handle {
            Some(Handle::Plain(file)) => file,
            // Packed files are finished ones.
            Some(Handle::Packed(_)) => return Ok(Look::Same),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let len = file.metadata()?.len();
        if len > self.len {
            self.grown_ns = now_ns;
        }
        self.len = len;
        let known = self.entry.fingerprint;
        if len < self.entry.offset || len < known.bytes || fingerprint(file, known.bytes)? != known {
            return Ok(Look::Replaced);
        }
        if known.bytes < FINGERPRINT_BYTES && len > known.bytes {
            self.entry.fingerprint = fingerprint(file, len.min(FINGERPRINT_BYTES))?;
        }
        Ok(Look::Same)
    }

    /// Begins again at the first byte under another key.
    pub(super) fn begin_again(&mut self, now_ns: i64) -> io::Result<()> {
        self.entry.key = new_key(self.id(), now_ns ^ self.entry.key as i64);
        self.entry.offset = 0;
        self.entry.planned = None;
        self.entry.planned_line = None;
        self.entry.fingerprint = match &self.handle {
            Some(Handle::Plain(file)) => fingerprint(file, self.len.min(FINGERPRINT_BYTES))?,
            _ => Fingerprint::default(),
        };
        Ok(())
    }

    /// Up to `max` bytes from the offset on.
    pub(super) fn read(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let want = self.unread().min(max as u64) as usize;
        let offset = self.entry.offset;
        match &mut self.handle {
            Some(Handle::Plain(file)) => read_at(file, offset, want),
            Some(Handle::Packed(packed)) => packed.read(offset, want),
            None => Ok(Vec::new()),
        }
    }
}

fn read_at(file: &File, offset: u64, want: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; want];
    let mut done = 0;
    while let Some(room) = bytes.get_mut(done..).filter(|r| !r.is_empty()) {
        match file.read_at(room, offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Identifies a file for batch ids; no two files get the same, not even under one inode.
pub(super) fn new_key((device, inode): FileId, salt: i64) -> u64 {
    let mut bytes = [0u8; 24];
    bytes[..8].copy_from_slice(&device.to_le_bytes());
    bytes[8..16].copy_from_slice(&inode.to_le_bytes());
    bytes[16..].copy_from_slice(&salt.to_le_bytes());
    xxh3_64(&bytes)
}

/// Of the bytes that a file begins with, unpacked where it is packed.
pub(super) fn fingerprint_of(first: &[u8]) -> Fingerprint {
    let first = first.get(..FINGERPRINT_BYTES as usize).unwrap_or(first);
    Fingerprint { bytes: first.len() as u64, hash: xxh3_64(first) }
}

pub(super) fn first_fingerprint(path: &Path) -> io::Result<Fingerprint> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    fingerprint(&file, len.min(FINGERPRINT_BYTES))
}

/// The bytes a file begins with, as many as a fingerprint takes.
pub(super) fn first_bytes(path: &Path, packed: bool) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    match packed {
        true => Packed::new(file)?.read(0, FINGERPRINT_BYTES as usize),
        false => read_at(&file, 0, FINGERPRINT_BYTES as usize),
    }
}

/// Whether a file that begins with `first` can be the one that the fingerprint is of. Nothing tells an empty one.
pub(super) fn begins_like(first: &[u8], known: Fingerprint) -> bool {
    known.bytes > 0 && first.get(..known.bytes as usize).is_some_and(|f| fingerprint_of(f) == known)
}

fn fingerprint(file: &File, bytes: u64) -> io::Result<Fingerprint> {
    let mut first = [0u8; FINGERPRINT_BYTES as usize];
    let want = bytes.min(FINGERPRINT_BYTES) as usize;
    file.read_exact_at(&mut first[..want], 0)?;
    Ok(fingerprint_of(&first[..want]))
}

/// The file with this identity in `dir`, where a rotation has probably left it.
pub(super) fn find_in(dir: &Path, id: FileId) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?;
    entries
        .flatten()
        .take(10_000)
        .find(|e| e.metadata().is_ok_and(|m| m.is_file() && id_of(&m) == id))
        .map(|e| e.path())
}
