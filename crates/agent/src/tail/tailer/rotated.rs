//! Files beside a followed one that are what it was: renamed by a rotation, perhaps before they were ever seen under
//! the name they are followed by, perhaps packed since.
//!
//! ```text
//! app.log                 followed
//! app.log.1               known by its inode: read on        not known: new, read from its first byte
//! app.log.2.gz            begins like a file that is gone unread: read on where that ended
//!                         begins like a file that was read: left alone       like none: new
//! ```
//! Such a file is known as long as it exists, so that one that is not known is new. A copy of a followed file
//! (logrotate's `copytruncate`) begins like it; it holds what was read, and is left alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
};

use super::{Cycle, Tailer};
use crate::tail::{
    Source,
    checkpoint::Entry,
    discover::{self, is_rotated},
    follow::{FileId, Followed, begins_like, fingerprint_of, first_bytes, id_of, new_key},
    packed::{self, Packed},
};

/// Entries of one directory that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// Files remembered for each that may be followed. Fewer: rotated ones are left unread where many are kept; more: larger
/// checkpoints.
const REMEMBERED: usize = 4;
const PACKED: &str = ".gz";

/// What becomes of a rotated file that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It was written since files are followed.
    Read,
    /// It may have been read, or is from before the first start.
    LeaveAlone,
}

/// A file under the name that a rotation gave it.
struct Found {
    /// What it was called.
    live: PathBuf,
    place: PathBuf,
    metadata: Metadata,
    packed: bool,
}

/// Where files are that exist.
type Present = HashMap<FileId, PathBuf>;

/// What is to be done with one that is not known.
enum Begin {
    Later,
    LeaveAlone,
    Read,
    /// Where reading of this file ended.
    After(FileId),
}

impl Tailer {
    /// Looks for rotated files beside `paths` and beside all that is followed.
    pub(super) fn look_beside(&mut self, paths: &BTreeSet<PathBuf>, now_ns: i64, out: &mut Cycle) {
        for f in self.files.values_mut() {
            f.rotated = None;
            f.settled = f.finished;
        }
        let found = self.found_beside(paths);
        let live = paths.iter().filter_map(|p| Some((id_of(&std::fs::metadata(p).ok()?), p.clone())));
        let present: Present =
            live.chain(found.iter().map(|f| (id_of(&f.metadata), f.place.clone()))).collect();
        for found in found {
            let id = id_of(&found.metadata);
            if self.is_another(id, &found) {
                // The inode was given to another file.
                self.files.remove(&id);
            }
            if let Some(f) = self.files.get_mut(&id) {
                known(f, found, now_ns);
            } else if self.files.len() >= self.options.max_files.saturating_mul(REMEMBERED) {
                out.problems.push("too_many_files");
            } else if self.begin(id, found, &present, now_ns).is_err() {
                // Moved on meanwhile, most likely.
                out.problems.push("cannot_open");
            }
        }
    }

    fn found_beside(&self, paths: &BTreeSet<PathBuf>) -> Vec<Found> {
        let mut names: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
        for path in paths.iter().chain(self.files.values().map(|f| &f.entry.path)) {
            if let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) {
                names.entry(dir).or_default().insert(name);
            }
        }
        let mut out = Vec::new();
        for (dir, names) in names {
            let Ok(entries) = std::fs::read_dir(dir) else { continue };
            for entry in entries.flatten().take(MAX_ENTRIES) {
                let own = entry.file_name();
                let Some(name) = own.to_str() else { continue };
                let plain = name.strip_suffix(PACKED);
                let of = |live: &&&str| is_rotated(plain.unwrap_or(name), live);
                let Some(live) = names.iter().find(of) else { continue };
                let place = dir.join(name);
                if paths.contains(&place) || discover::is_excluded(&self.options.source, &place) {
                    continue;
                }
                if let Some(metadata) = entry.metadata().ok().filter(Metadata::is_file) {
                    out.push(Found { live: dir.join(live), place, metadata, packed: plain.is_some() });
                }
            }
        }
        out
    }

    /// Whether the inode that is known is another file's by now. What is plain says so by itself when it is read.
    fn is_another(&self, id: FileId, found: &Found) -> bool {
        let Some(f) = self.files.get(&id) else { return false };
        let was_packed = f.entry.packed.is_some();
        if was_packed != found.packed {
            return true;
        }
        let looked_at = (was_packed || f.entry.left_alone) && f.is_changed(&found.metadata);
        looked_at
            && f.entry.fingerprint.bytes > 0
            && first_bytes(&found.place, found.packed).is_ok_and(|b| !begins_like(&b, f.entry.fingerprint))
    }

    fn begin(&mut self, id: FileId, found: Found, present: &Present, now_ns: i64) -> io::Result<()> {
        let first = match first_bytes(&found.place, found.packed) {
            Err(e) if found.packed && e.kind() != io::ErrorKind::NotFound => Vec::new(),
            first => first?,
        };
        let how = self.judge(&found, &first, present);
        // What is too long to be a log is left alone, like what cannot be unpacked.
        let packed = match (&how, found.packed) {
            (Begin::Later, _) => return Ok(()),
            (_, false) => None,
            (Begin::LeaveAlone, true) => Some(0),
            (_, true) => match Packed::new(File::open(&found.place)?)?.length() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(e),
                length => Some(length.ok().flatten().unwrap_or(0)),
            },
        };
        let mut entry = Entry {
            path: found.live.clone(),
            device: id.0,
            inode: id.1,
            fingerprint: fingerprint_of(&first),
            key: new_key(id, now_ns),
            offset: 0,
            planned: None,
            planned_line: None,
            left_alone: matches!(how, Begin::LeaveAlone) || packed == Some(0),
            packed,
        };
        if let Begin::After(before) = how
            && let Some(f) = self.files.remove(&before)
        {
            let Entry { key, offset, planned, planned_line, .. } = f.entry;
            entry = Entry { key, offset, planned, planned_line, ..entry };
        }
        if entry.left_alone {
            entry.offset = packed.unwrap_or(found.metadata.len());
        }
        let stream = discover::stream(&self.options.source, &entry.path, &self.host_name);
        let mut f = Followed::new(entry, stream, now_ns);
        f.place = found.place;
        f.listed(&found.metadata, now_ns);
        f.suspect = false;
        f.gone_ns = Some(now_ns);
        f.finished = f.entry.left_alone;
        f.rotated = Some(found.live);
        self.files.insert(id, f);
        self.dirty = true;
        Ok(())
    }

    fn judge(&self, found: &Found, first: &[u8], present: &Present) -> Begin {
        if self.unknown == Unknown::LeaveAlone {
            return Begin::LeaveAlone;
        }
        if found.packed && found.place.with_extension("").exists() {
            // It is being packed; what it is made of is read.
            return Begin::Later;
        }
        let like = self.files.values().filter(|f| f.entry.path == found.live);
        let mut like = like.filter(|f| begins_like(first, f.entry.fingerprint));
        if !found.packed {
            // The kubelet renames and makes no copies.
            let copied = matches!(self.options.source, Source::Files { .. })
                && like.any(|f| found.metadata.len() >= f.entry.offset);
            return if copied { Begin::LeaveAlone } else { Begin::Read };
        }
        let length = packed::said_length(&found.place).ok();
        let mut like = like.filter(|f| !f.finished || length == Some(f.entry.offset as u32));
        match like.next() {
            None => Begin::Read,
            Some(f) if f.finished || is_present(f, present) => Begin::LeaveAlone,
            // Deleted, and still read to its end.
            Some(f) if f.is_open() => Begin::Later,
            Some(f) => Begin::After(f.id()),
        }
    }
}

/// Whether a file exists, and not another one under its inode.
fn is_present(f: &Followed, present: &Present) -> bool {
    let Some(place) = present.get(&f.id()) else { return false };
    // While it is open its inode is nobody else's.
    f.is_open() || first_bytes(place, false).is_ok_and(|b| begins_like(&b, f.entry.fingerprint))
}

/// Takes note of a known file. One that was written to since it was read to its end is read on.
fn known(f: &mut Followed, found: Found, now_ns: i64) {
    f.rotated = Some(found.live);
    f.place = found.place;
    f.listed(&found.metadata, now_ns);
    let whole = f.entry.packed.unwrap_or(found.metadata.len());
    if f.entry.left_alone {
        f.suspect = false;
    } else if f.finished && (f.suspect || whole != f.entry.offset) {
        f.finished = false;
        f.gone_ns = Some(now_ns);
    }
}
