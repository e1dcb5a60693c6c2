//! All followed files of one source: scanning, planning what to append next, remembering what was acknowledged.
//! Blocking and without tasks; [`super::runner`] drives it.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    path::{Path, PathBuf},
};

use contract::AppendUnit;
use model::{AnyValue, Attributes, Batch, BatchId, LogBatch, LogRecord};

use super::{
    Options, checkpoint,
    checkpoint::{Entry, Fingerprint, Loaded},
    discover,
    follow::{FileId, Followed, Look, find_in, first_fingerprint, id_of, new_key},
    lines,
    records::{Format, Limits, Raw, cut},
};

mod rotated;

/// Bytes read in one cycle over all files. Larger: more memory; smaller: more checkpoints.
const CYCLE_BYTES: usize = 16 << 20;
/// A file that has not grown for this long is closed and found again by its path.
const CLOSE_IDLE_NS: i64 = 60_000_000_000;

/// How long the rest of a container's record is waited for. Longer: the last words of a container that died come later;
/// shorter: a runtime that writes slowly has its records torn.
const PARTS_NS: i64 = 10_000_000_000;

pub(super) struct Tailer {
    options: Options,
    host_name: String,
    files: HashMap<FileId, Followed>,
    /// Files are planned in turns, so that a busy one does not starve the others.
    turn: usize,
    first_scan: bool,
    /// What to do with rotated files that are not known.
    unknown: rotated::Unknown,
    /// There is something in memory that the checkpoint on disk does not say.
    dirty: bool,
}

/// A range about to be appended.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) file: FileId,
    pub(super) key: u64,
    pub(super) end: u64,
    pub(super) unit: AppendUnit,
}

/// What one cycle found.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    pub(super) planned: Vec<Planned>,
    /// Reasons and counts, for the metrics.
    pub(super) problems: Vec<&'static str>,
    pub(super) split_lines: u64,
    pub(super) following: usize,
    /// The checkpoint could not be written, so nothing may be appended.
    pub(super) blocked: Option<String>,
}

impl Tailer {
    /// Reads the checkpoint. A broken one is set aside and said.
    pub(super) fn open(options: Options, host_name: &str, now_ns: i64) -> io::Result<(Self, Option<String>)> {
        std::fs::create_dir_all(&options.state_dir)?;
        let mut t = Tailer {
            host_name: host_name.to_owned(),
            files: HashMap::new(),
            turn: 0,
            first_scan: false,
            unknown: rotated::Unknown::Read,
            dirty: false,
            options,
        };
        let mut said = None;
        match checkpoint::load(&t.checkpoint_path())? {
            Loaded::Absent => t.first_scan = true,
            Loaded::Broken(reason) => {
                said = Some(reason);
                t.first_scan = true;
            }
            Loaded::Found(document) => {
                if !document.rotated {
                    t.unknown = rotated::Unknown::LeaveAlone;
                }
                for entry in document.files {
                    let stream = discover::stream(&t.options.source, &entry.path, &t.host_name);
                    let mut followed = Followed::new(entry, stream, now_ns);
                    followed.finished = followed.entry.left_alone;
                    t.files.insert(followed.id(), followed);
                }
            }
        }
        if t.first_scan {
            t.unknown = rotated::Unknown::LeaveAlone;
        }
        Ok((t, said))
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.options.state_dir.join(format!("tail-{}.json", self.options.name))
    }

    /// Directories worth watching: those of followed files and those where new ones can appear.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let of_files = self.files.values().filter_map(|f| f.place.parent()).map(Path::to_owned);
        discover::bases(&self.options.source).into_iter().chain(of_files).collect()
    }

    /// Looks at everything, plans what to append, and makes the plan durable.
    pub(super) fn cycle(&mut self, now_ns: i64) -> Cycle {
        let mut out = Cycle::default();
        self.scan(now_ns, &mut out);
        self.plan(now_ns, &mut out);
        self.forget(now_ns);
        out.following = self.files.values().filter(|f| !f.finished).count();
        if self.dirty {
            match self.save() {
                Ok(()) => self.dirty = false,
                Err(e) => {
                    out.planned.clear();
                    out.blocked = Some(format!("writing {}: {e}", self.checkpoint_path().display()));
                }
            }
        }
        out
    }

    pub(super) fn save(&self) -> io::Result<()> {
        let mut entries: Vec<Entry> = self.files.values().map(|f| f.entry.clone()).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path).then(a.key.cmp(&b.key)));
        checkpoint::save(&self.checkpoint_path(), entries)
    }

    /// The store has the range, or has refused it for good.
    pub(super) fn acknowledged(&mut self, p: &Planned) {
        if let Some(f) = self.files.get_mut(&p.file).filter(|f| f.entry.key == p.key) {
            f.entry.offset = p.end;
            f.entry.planned = None;
            f.entry.planned_line = None;
            self.dirty = true;
        }
    }

    fn scan(&mut self, now_ns: i64, out: &mut Cycle) {
        let mut seen = BTreeSet::new();
        let paths = discover::files(&self.options.source);
        // Before what was cut short is noticed: a copy of it is known by what it began with.
        self.look_beside(&paths, now_ns, out);
        let mut following = self.files.values().filter(|f| !f.finished).count();
        for path in paths {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let id = id_of(&metadata);
            // Two names of one file are one file.
            if !seen.insert(id) {
                continue;
            }
            let full = following >= self.options.max_files;
            match self.files.get_mut(&id) {
                Some(f) => {
                    f.gone_ns = None;
                    f.finished = false;
                    f.entry.left_alone = false;
                    f.place = path;
                    f.listed(&metadata, now_ns);
                    if metadata.len() < f.entry.offset {
                        f.grown_ns = now_ns;
                        look(f, &self.options, &self.host_name, now_ns, out);
                        self.dirty = true;
                    }
                }
                None if full => out.problems.push("too_many_files"),
                None => match self.follow(&path, id, metadata.len(), now_ns) {
                    Ok(f) => {
                        self.files.insert(id, f);
                        self.dirty = true;
                        following += 1;
                    }
                    Err(_) => out.problems.push("cannot_open"),
                },
            }
        }
        self.first_scan = false;
        self.unknown = rotated::Unknown::Read;
        for (id, f) in &mut self.files {
            if seen.contains(id) || f.gone_ns.is_some() {
                continue;
            }
            f.gone_ns = Some(now_ns);
            // Rotated by renaming, most likely; what it still holds is read from where it is now.
            if !f.is_open()
                && f.rotated.is_none()
                && let Some(found) = f.entry.path.parent().and_then(|dir| find_in(dir, *id))
            {
                f.place = found;
                f.len = f.len.max(std::fs::metadata(&f.place).map_or(0, |m| m.len()));
            }
        }
    }

    fn follow(&self, path: &Path, id: FileId, len: u64, now_ns: i64) -> io::Result<Followed> {
        let skip = self.first_scan && !self.options.from_beginning;
        let entry = Entry {
            path: path.to_owned(),
            device: id.0,
            inode: id.1,
            fingerprint: if len > 0 { first_fingerprint(path)? } else { Fingerprint::default() },
            key: new_key(id, now_ns),
            offset: if skip { len } else { 0 },
            planned: None,
            planned_line: None,
            left_alone: false,
            packed: None,
        };
        let stream = discover::stream(&self.options.source, path, &self.host_name);
        let mut f = Followed::new(entry, stream, now_ns);
        f.len = len;
        Ok(f)
    }

    fn plan(&mut self, now_ns: i64, out: &mut Cycle) {
        let mut order: Vec<FileId> = self.files.keys().copied().collect();
        order.sort_unstable();
        let n = order.len().max(1);
        self.turn = self.turn.wrapping_add(1) % n;
        order.rotate_left(self.turn);
        let mut budget = CYCLE_BYTES;
        for id in order {
            if budget == 0 {
                return;
            }
            let Some(f) = self.files.get_mut(&id) else { continue };
            let late = f.gone_ns.is_some_and(|t| now_ns - t >= self.options.rotated_grace.as_nanos() as i64);
            let idle = f.unread() == 0 && f.entry.planned.is_none() && !f.is_open() && !f.suspect;
            if (idle && !late) || f.finished {
                continue;
            }
            let key = f.entry.key;
            let readable = look(f, &self.options, &self.host_name, now_ns, out);
            self.dirty |= f.entry.key != key;
            if !readable {
                continue;
            }
            if f.unread() == 0 {
                f.finished |= late;
                if now_ns - f.grown_ns > CLOSE_IDLE_NS && f.gone_ns.is_none() {
                    f.close();
                }
                continue;
            }
            match plan_file(f, &self.options, late, now_ns, &mut budget) {
                Ok(Some((planned, split))) => {
                    out.split_lines += split;
                    out.planned.extend(planned);
                    self.dirty = true;
                }
                // Incomplete, and nothing more will come once it is late.
                Ok(None) => f.finished |= late,
                Err(_) => out.problems.push("cannot_read"),
            }
        }
    }

    fn forget(&mut self, now_ns: i64) {
        let grace = self.options.rotated_grace.as_nanos() as i64;
        let before = self.files.len();
        self.files.retain(|_, f| {
            let gone_long = f.gone_ns.is_some_and(|t| now_ns - t >= grace);
            let done = gone_long && f.settled && f.finished && f.entry.planned.is_none();
            if done {
                // What is deleted while it is open keeps its space.
                f.close();
            }
            !done || f.rotated.is_some()
        });
        self.dirty |= self.files.len() != before;
    }
}

/// Returns whether the file can be read now.
fn look(f: &mut Followed, options: &Options, host_name: &str, now_ns: i64, out: &mut Cycle) -> bool {
    match f.look(now_ns) {
        Ok(Look::Same) => true,
        Ok(Look::Replaced) => {
            let lost_plan = f.entry.planned.is_some();
            out.problems.push(if lost_plan { "replaced_while_appending" } else { "truncated" });
            let name = f.rotated.as_ref().unwrap_or(&f.place);
            if f.entry.path != *name {
                // The inode was given to a file of another name, which must not carry the old one's labels.
                f.entry.path = name.clone();
                f.stream = discover::stream(&options.source, &f.entry.path, host_name);
            }
            f.begin_again(now_ns).is_ok()
        }
        Err(_) if f.gone_ns.is_some() => {
            // Deleted while it was closed: nothing is left to read.
            f.finished = true;
            false
        }
        Err(_) => {
            out.problems.push("cannot_open");
            false
        }
    }
}

/// The next range of a file. `Ok(None)`: nothing complete is there. A range without records (blank lines) is
/// taken as read without an append.
fn plan_file(
    f: &mut Followed,
    options: &Options,
    finish: bool,
    now_ns: i64,
    budget: &mut usize,
) -> io::Result<Option<(Option<Planned>, u64)>> {
    let format = discover::format(&options.source);
    let (bytes, cut) = match f.entry.planned {
        // Planned before a crash or a refusal: exactly this range again.
        Some(end) => {
            let bytes = f.read(usize::try_from(end.saturating_sub(f.entry.offset)).unwrap_or(usize::MAX))?;
            let max_line_bytes = f.entry.planned_line.unwrap_or(options.max_line_bytes);
            let limits = Limits { max_line_bytes, max_lines: usize::MAX };
            let cut = cut(&bytes, format, limits, true);
            (bytes, cut)
        }
        None => {
            // Room for one record in parts around its limit.
            let want = options.max_batch_bytes.max(options.max_line_bytes.saturating_mul(2)) + 4096;
            let bytes = f.read(want)?;
            let limits =
                Limits { max_line_bytes: options.max_line_bytes, max_lines: options.max_batch_lines };
            let at_end = f.entry.offset + bytes.len() as u64 == f.len;
            // Who wrote the first parts of a record and then nothing has ended.
            let given_up =
                format == Format::Container && now_ns - f.grown_ns >= PARTS_NS && bytes.ends_with(b"\n");
            let cut = cut(&bytes, format, limits, (finish || given_up) && at_end);
            (bytes, cut)
        }
    };
    *budget = budget.saturating_sub(bytes.len());
    if cut.consumed == 0 {
        return Ok(None);
    }
    let start = f.entry.offset;
    let end = f.entry.planned.unwrap_or(start + cut.consumed as u64);
    if cut.records.is_empty() {
        f.entry.offset = end;
        f.entry.planned = None;
        f.entry.planned_line = None;
        return Ok(Some((None, 0)));
    }
    if f.entry.planned.is_none() {
        f.entry.planned_line = Some(options.max_line_bytes);
    }
    f.entry.planned = Some(end);
    let records = cut.records.into_iter().map(|r| record(r, now_ns)).collect();
    let batch = LogBatch { streams: vec![f.stream.clone()], records };
    let unit = AppendUnit {
        batch_id: Some(BatchId::Numbered { source: f.entry.key, epoch: start, sequence: end }),
        received_ns: now_ns,
        batches: vec![Batch::Logs(batch)],
    };
    Ok(Some((Some(Planned { file: f.id(), key: f.entry.key, end, unit }), cut.split)))
}

fn record(raw: Raw, now_ns: i64) -> LogRecord {
    let timestamp_ns = raw.time_ns.or_else(|| lines::timestamp(&raw.body, now_ns)).unwrap_or(now_ns);
    let severity = lines::severity(&raw.body);
    let mut attributes = Attributes::default();
    if let Some(stream) = raw.stream {
        attributes.push("log.iostream", stream);
    }
    LogRecord {
        timestamp_ns,
        observed_ns: now_ns,
        severity_number: severity.map_or(0, |s| s.number),
        severity_text: severity.map_or_else(String::new, |s| s.text.to_owned()),
        body: AnyValue::String(raw.body),
        attributes,
        ..LogRecord::default()
    }
}

#[cfg(test)]
mod tests;
