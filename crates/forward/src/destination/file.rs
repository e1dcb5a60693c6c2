//! Files of OTLP/JSON, a request a line, as the Collector's file exporter writes them and its `otlpjsonfile` receiver reads
//! them:
//!
//! ```text
//! <dir>/<tenant>/<signal>-<number>.jsonl[.gz|.zst]   the highest number is being written
//! <dir>/state.json                                  what counts: bytes of each file being written, last id of each lane
//! ```
//! Packed, each request is a member (RFC 1952 §2.2) or frame (RFC 8878 §3.1) of its own: whatever reads such files reads
//! one after the other.
//!
//! A request counts once its bytes are synced, and after them the state. What stands in a file behind the bytes that count
//! was never acknowledged; it is cut off before the next request is written. A request whose id the state knows is
//! acknowledged and not written again. So every item stands in the files exactly once.

mod state;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use base::Clock;
use disklog::{Disk, RealDisk};
use model::{Batch, Signal};
use parking_lot::Mutex;

use self::state::{Open, State};
use super::{Delivery, Destination, Outcome, http::gzip};
use crate::{Error, Result};

/// How each request is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileCompression {
    None,
    #[default]
    Gzip,
    Zstd,
}

impl FileCompression {
    fn ending(self) -> &'static str {
        match self {
            FileCompression::None => "jsonl",
            FileCompression::Gzip => "jsonl.gz",
            FileCompression::Zstd => "jsonl.zst",
        }
    }

    fn pack(self, line: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            FileCompression::None => Ok(line),
            FileCompression::Gzip => Ok(gzip(&line).to_vec()),
            FileCompression::Zstd => zstd::stream::encode_all(&line[..], 0),
        }
    }
}

/// Where files are, when the next one begins, and which are removed.
#[derive(Debug, Clone, PartialEq)]
pub struct FileOptions {
    /// Created if absent. Nothing else may write there.
    pub dir: PathBuf,
    pub compression: FileCompression,
    /// A request that would make a file larger goes to the next one.
    pub max_bytes: u64,
    /// A file whose first request is older is not added to.
    pub max_age: Duration,
    /// Finished files kept of each tenant and signal; 0 for all.
    pub keep_files: usize,
    /// Finished files last written longer ago are removed; none for never.
    pub keep_age: Option<Duration>,
}

impl FileOptions {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        FileOptions {
            dir: dir.into(),
            compression: FileCompression::default(),
            max_bytes: 128 << 20,
            max_age: Duration::from_secs(3600),
            keep_files: 0,
            keep_age: None,
        }
    }
}

pub struct Files(Arc<Inner>);

struct Inner {
    options: FileOptions,
    clock: Clock,
    state: Mutex<State>,
    /// Nobody else writes there meanwhile.
    _lock: Box<dyn Send + Sync>,
}

impl Files {
    /// # Errors
    /// The directory cannot be used, another process does, or its state cannot be read.
    pub fn open(name: &str, options: FileOptions, clock: Clock) -> Result<Self> {
        let fail = |wanted: &'static str| {
            let (destination, value) = (name.to_owned(), options.dir.display().to_string());
            move |e: io::Error| Error::Setting {
                destination: destination.clone(),
                name: "dir",
                value: format!("{value} ({e})"),
                wanted,
            }
        };
        if options.max_bytes == 0 {
            let e = io::Error::other("max_bytes is 0");
            return Err(fail("a directory for files of at least a byte")(e));
        }
        fs::create_dir_all(&options.dir).map_err(fail("a directory that can be written"))?;
        let lock = RealDisk.lock(&options.dir).map_err(fail("a directory nobody else writes"))?;
        let state = State::read(&options.dir).map_err(fail("a directory with a state of this version"))?;
        Ok(Files(Arc::new(Inner { options, clock, state: Mutex::new(state), _lock: lock })))
    }
}

#[async_trait]
impl Destination for Files {
    fn takes(&self, signal: &Signal) -> bool {
        Signal::KNOWN.contains(signal)
    }

    fn addresses(&self) -> usize {
        1
    }

    /// Goes on when it is dropped; the id is known then.
    async fn send(&self, _: usize, delivery: &Delivery) -> Outcome {
        let (inner, delivery) = (self.0.clone(), delivery.clone());
        let written = tokio::task::spawn_blocking(move || inner.write(&delivery)).await;
        match written {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(e)) => Outcome::down(format!("writing a file: {e}")),
            Err(e) => Outcome::down(format!("writing a file: {e}")),
        }
    }
}

impl Inner {
    fn write(&self, delivery: &Delivery) -> io::Result<Outcome> {
        let Some(line) = line(&delivery.batch) else {
            return Ok(Outcome::refused("unsupported", "OTLP has no such signal"));
        };
        let packed = self.options.compression.pack(line)?;
        let mut state = self.state.lock();
        if state.knows(delivery.id) {
            return Ok(Outcome::acknowledged());
        }
        let key = format!("{}/{}", delivery.tenant, delivery.batch.signal());
        let (open, is_new) = self.choose(&state, &key, packed.len() as u64);
        let path = self.path(&key, open.number);
        let bytes = self.append(&path, &open, &packed)?;
        let mut next = state.clone();
        next.open.insert(key.clone(), Open { bytes, ..open });
        next.remember(delivery.id);
        next.save(&self.options.dir)?;
        *state = next;
        if is_new && let Err(e) = self.remove_old(&key, open.number) {
            tracing::warn!(error = %e, "old files could not be removed");
        }
        Ok(Outcome::acknowledged())
    }

    /// The file to write to, and whether it is another than before.
    fn choose(&self, state: &State, key: &str, more: u64) -> (Open, bool) {
        let now_ms = self.clock.now_ns().div_euclid(1_000_000);
        let Some(open) = state.open.get(key).copied() else {
            return (Open { number: 1, bytes: 0, since_ms: now_ms }, true);
        };
        let max_age_ms = i64::try_from(self.options.max_age.as_millis()).unwrap_or(i64::MAX);
        let is_old = now_ms.saturating_sub(open.since_ms) >= max_age_ms;
        let is_full = open.bytes.saturating_add(more) > self.options.max_bytes;
        // A file taken away or cut short by somebody else is not added to.
        let held = fs::metadata(self.path(key, open.number)).map_or(0, |m| m.len());
        match open.bytes > 0 && (is_old || is_full || held < open.bytes) {
            true => (Open { number: open.number + 1, bytes: 0, since_ms: now_ms }, true),
            false => (open, false),
        }
    }

    fn path(&self, key: &str, number: u64) -> PathBuf {
        self.options.dir.join(format!("{key}-{number:08}.{}", self.options.compression.ending()))
    }

    /// Returns how long the file is then.
    fn append(&self, path: &Path, open: &Open, packed: &[u8]) -> io::Result<u64> {
        if open.bytes == 0
            && let Some(dir) = path.parent()
        {
            fs::create_dir_all(dir)?;
            File::open(&self.options.dir)?.sync_all()?;
        }
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.set_len(open.bytes)?;
        file.seek(SeekFrom::Start(open.bytes))?;
        file.write_all(packed)?;
        file.sync_all()?;
        if open.bytes == 0
            && let Some(dir) = path.parent()
        {
            File::open(dir)?.sync_all()?;
        }
        Ok(open.bytes + packed.len() as u64)
    }

    fn remove_old(&self, key: &str, current: u64) -> io::Result<()> {
        let o = &self.options;
        let (Some((tenant, signal)), true) = (key.split_once('/'), o.keep_files > 0 || o.keep_age.is_some())
        else {
            return Ok(());
        };
        let mut finished = Vec::new();
        for entry in fs::read_dir(o.dir.join(tenant))? {
            let entry = entry?;
            if let Some(number) = number(&entry.file_name().to_string_lossy(), signal)
                && number < current
            {
                finished.push((number, entry.path(), entry.metadata()?.modified()?));
            }
        }
        finished.sort();
        let surplus = match o.keep_files {
            0 => 0,
            keep => finished.len().saturating_sub(keep),
        };
        let now_ns = u64::try_from(self.clock.now_ns()).unwrap_or(0);
        let now = UNIX_EPOCH + Duration::from_nanos(now_ns);
        let is_old = |at: &SystemTime| {
            o.keep_age.is_some_and(|keep| now.duration_since(*at).is_ok_and(|age| age > keep))
        };
        for (_, path, _) in
            finished.iter().enumerate().filter(|(i, (_, _, at))| *i < surplus || is_old(at)).map(|(_, f)| f)
        {
            fs::remove_file(path)?;
            tracing::info!(path = %path.display(), "a finished file was removed");
        }
        Ok(())
    }
}

/// The number of a file of this signal.
fn number(file: &str, signal: &str) -> Option<u64> {
    let rest = file.strip_prefix(signal)?.strip_prefix('-')?;
    let (number, ending) = rest.split_once('.')?;
    ending.starts_with("jsonl").then(|| number.parse().ok())?
}

/// One request with its line feed.
fn line(batch: &Batch) -> Option<Vec<u8>> {
    let mut line = match batch {
        Batch::Metrics(m) => wire::otlp::metrics::encode_json(m),
        Batch::Logs(l) => wire::otlp::logs::encode_json(l),
        Batch::Spans(s) => wire::otlp::traces::encode_json(s),
        _ => return None,
    };
    line.push(b'\n');
    Some(line)
}

#[cfg(test)]
mod tests;
