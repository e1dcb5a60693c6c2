//! How far each file was read, on disk. One JSON document, replaced as a whole: written beside, synced, renamed.
//!
//! ```text
//! {"version":1,"files":[{"path":"…","device":1,"inode":2,"fingerprint":{"bytes":256,"hash":3},
//!   "key":4,"offset":100,"planned":180,"planned_line":1048576}],"rotated":true}
//! ```
//! `offset` was acknowledged by the store; `planned` is the end of the range that was being appended, absent
//! where none was, and `planned_line` the longest line it was cut with. Where `rotated`
//! is absent, files that were rotated away and read to their end are not listed; `left_alone` marks those that are known
//! and not read, `packed` those that are packed, with their length before that: offsets and fingerprint are those of
//! what was packed. Version rule: another version is refused, not guessed at.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// A checkpoint of many more files than anyone follows.
const MAX_BYTES: usize = 64 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    version: u32,
    pub(super) files: Vec<Entry>,
    /// Whether rotated files are listed for as long as they exist.
    #[serde(default)]
    pub(super) rotated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where the file was first seen; its labels are made from it.
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) fingerprint: Fingerprint,
    /// Identifies the file in batch ids.
    pub(super) key: u64,
    pub(super) offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) planned: Option<u64>,
    /// The longest line the planned range was cut with: cut otherwise, its records would be others under the
    /// same batch id. Absent in a checkpoint of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) planned_line: Option<usize>,
    /// A rotated file that is not to be read: a copy of what was, or from before the first start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) left_alone: bool,
    /// Length of what a rotation has packed with gzip; absent for plain files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) packed: Option<u64>,
}

/// What a file begins with, so that another file under the same inode is noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// How many first bytes `hash` covers.
    pub(super) bytes: u64,
    pub(super) hash: u64,
}

pub(super) enum Loaded {
    /// There was none: the very first start.
    Absent,
    Found(Document),
    /// Not usable; it was set aside under the path given.
    Broken(String),
}

pub(super) fn load(path: &Path) -> io::Result<Loaded> {
    let file = match File::open(path) {
        Ok(f) => f,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Absent),
        Err(e) => return Err(e),
    };
    let read = base::cap::read_capped(file, MAX_BYTES, "checkpoint").map_err(|e| e.to_string());
    let document = read.and_then(|b| serde_json::from_slice::<Document>(&b).map_err(|e| e.to_string()));
    let reason = match document {
        Ok(d) if d.version == VERSION => return Ok(Loaded::Found(d)),
        Ok(d) => format!("version {} is not known", d.version),
        Err(e) => e,
    };
    let aside = path.with_extension("broken");
    fs::rename(path, &aside)?;
    Ok(Loaded::Broken(format!("{reason}; it was kept as {}", aside.display())))
}

/// On return the document is durable and whole, or the one before it still is.
pub(super) fn save(path: &Path, files: Vec<Entry>) -> io::Result<()> {
    let document = Document { version: VERSION, files, rotated: true };
    let bytes = serde_json::to_vec(&document).map_err(io::Error::other)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_and_a_broken_one_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("files.json");
        assert!(matches!(load(&path).unwrap(), Loaded::Absent));
        let entry = Entry {
            path: "/var/log/x".into(),
            device: 1,
            inode: 2,
            fingerprint: Fingerprint { bytes: 3, hash: u64::MAX },
            key: 4,
            offset: 5,
            planned: Some(6),
            planned_line: Some(64),
            left_alone: false,
            packed: Some(7),
        };
        save(&path, vec![entry.clone()]).unwrap();
        let Loaded::Found(d) = load(&path).unwrap() else { panic!("found") };
        assert_eq!((d.files, d.rotated), (vec![entry], true));
        fs::write(&path, "{\"version\":2,\"files\":[]}").unwrap();
        let Loaded::Broken(reason) = load(&path).unwrap() else { panic!("broken") };
        assert!(reason.contains("version 2 is not known"), "{reason}");
        assert!(matches!(load(&path).unwrap(), Loaded::Absent));
    }
}
