//! Opening: identity of the log, catalogs, batch ids, then the log itself, flushing as it goes.
//!
//! ```text
//! <data_dir>/wal/identity   "orrery wal 1\n<16 hex digits>\n", written once, before the first frame
//! <data_dir>/wal/log/       the log's segments
//! ```
//! The identity makes positions in catalogs meaningful: when the log is lost or replaced, its identity is
//! too, and nothing of the new log counts as covered by what the old one had.

use std::{
    hash::{BuildHasher, Hasher},
    path::Path as FsPath,
    sync::Arc,
};

use base::{Clock, MemoryBudget, Metrics, memory::OverLimit};
use disklog::{Disk, Log, Position, Recovery};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Batch, Signal};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use tokio::sync::mpsc;
use wire::native::apart::SeriesByNumber;

use crate::{
    Error, Options, RecoveryReport, Result, catalog::Catalog, commit::insert_unit, core::Core,
    counts::Counts, dedup, flush, frame, shelf::Shelf,
};

const MAGIC: &str = "orrery wal 1\n";
/// Entries of the log that are read ahead of being inserted.
const READ_AHEAD: usize = 4;
/// Catalogs read at once.
const CATALOGS_AT_ONCE: usize = 16;

/// Everything up to a store that takes appends.
pub(crate) async fn open(
    options: Options,
    objects: Arc<dyn ObjectStore>,
    disk: Arc<dyn Disk>,
    clock: Clock,
    budget: MemoryBudget,
    metrics: &Metrics,
) -> Result<(Arc<Core>, RecoveryReport)> {
    let started = clock.monotonic();
    let (log, log_id, recovery) = {
        let (dir, metrics) = (options.data_dir.clone(), metrics.clone());
        tokio::task::spawn_blocking(move || open_log(&dir, disk, &metrics))
            .await
            .map_err(|e| Error::Internal(format!("opening the log: {e}")))??
    };
    let core = Arc::new(Core::new(options, objects, clock, budget, log, log_id, Counts::new(metrics)));
    open_catalogs(&core).await?;
    let mut report = replay(&core).await?;
    report.torn_tail = torn(&core.options.data_dir, &recovery);
    report.segments = core.shelves().iter().map(|s| s.live().segments.len() as u64).sum();
    report.elapsed = started.elapsed();
    Ok((core, report))
}

fn torn(data_dir: &FsPath, recovery: &Recovery) -> Option<String> {
    let t = recovery.torn.as_ref()?;
    let message = format!(
        "cut {} bytes that were never acknowledged off segment {} of the log in {}, at byte {}: {}",
        t.lost_bytes,
        t.segment,
        data_dir.join("wal/log").display(),
        t.offset,
        t.reason
    );
    tracing::warn!("{message}");
    Some(message)
}

fn open_log(data_dir: &FsPath, disk: Arc<dyn Disk>, metrics: &Metrics) -> Result<(Log, String, Recovery)> {
    let wal = data_dir.join("wal");
    for dir in [data_dir, &wal, &wal.join("log")] {
        disk.create_dir(dir).map_err(|e| Error::file("making directory", dir, e))?;
    }
    refuse_unfinished_restore(data_dir, &*disk)?;
    let identity = identity(&wal, &*disk)?;
    let mut options = disklog::Options::new(wal.join("log"));
    // The committer gathers groups itself.
    options.commit_interval = std::time::Duration::ZERO;
    options.segment_bytes = 32 << 20;
    options.max_frame_bytes = 96 << 20;
    let (log, recovery) = Log::open(options, disk, metrics).map_err(|e| damaged(&wal, e))?;
    Ok((log, identity, recovery))
}

/// Half a restored store would open as a smaller one.
fn refuse_unfinished_restore(data_dir: &FsPath, disk: &dyn Disk) -> Result<()> {
    let names = disk.list(data_dir).map_err(|e| Error::file("listing", data_dir, e))?;
    match names.iter().any(|n| n == crate::backup::MARKER) {
        true => Err(Error::Corrupt(format!(
            "a restore into {} was not finished: run it again, or empty the directory",
            data_dir.display()
        ))),
        false => Ok(()),
    }
}

/// Says what to do about a log that cannot be read.
fn damaged(wal: &FsPath, e: disklog::Error) -> Error {
    match e {
        disklog::Error::Corrupt { .. } | disklog::Error::Gone { .. } => Error::Corrupt(format!(
            "{e}. The log holds acknowledged data that is in no segment yet. Restore the file from a backup, or move {} away to start without what was not flushed",
            wal.display()
        )),
        other => Error::Log(other),
    }
}

/// Reads the identity, or writes a new one where there is none.
fn identity(wal: &FsPath, disk: &dyn Disk) -> Result<String> {
    let path = wal.join("identity");
    let failed = |action| {
        let path = path.clone();
        move |e| Error::file(action, &path, e)
    };
    let names = disk.list(wal).map_err(failed("listing the directory of"))?;
    if names.iter().any(|n| n == "identity") {
        let file = disk.open(&path).map_err(failed("opening"))?;
        let mut bytes = vec![0; MAGIC.len() + 17];
        let read = file.read_at(&mut bytes, 0).map_err(failed("reading"))?;
        bytes.truncate(read);
        let text = String::from_utf8_lossy(&bytes);
        if let Some(id) = text.strip_prefix(MAGIC).map(str::trim_end)
            && id.len() == 16
            && id.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Ok(id.to_owned());
        }
        // Written before the first frame: without frames it may be made anew.
        let log_is_empty = disk
            .list(&wal.join("log"))
            .map_err(failed("listing the log beside"))?
            .iter()
            .all(|n| n == "lock");
        if !log_is_empty {
            return Err(Error::Corrupt(format!(
                "{} does not say which log this is: restore it from a backup, or move {} away to start without what was not flushed",
                path.display(),
                wal.display()
            )));
        }
    }
    let random = std::hash::RandomState::new().build_hasher().finish();
    let id = format!("{random:016x}");
    let file = disk.create(&path).map_err(failed("creating"))?;
    file.write_at(format!("{MAGIC}{id}\n").as_bytes(), 0).map_err(failed("writing"))?;
    file.sync().map_err(failed("syncing"))?;
    disk.sync_dir(wal).map_err(failed("syncing the directory of"))?;
    Ok(id)
}

async fn open_catalogs(core: &Arc<Core>) -> Result<()> {
    let found = Catalog::find_all(&core.objects).await?;
    let known: Vec<_> = found.into_iter().filter(|(_, s)| Signal::KNOWN.contains(s)).collect();
    let shelves: Vec<Arc<Shelf>> = stream::iter(known)
        .map(|(tenant, signal)| async move { core.shelf_or_new(&tenant, &signal, false).await })
        .buffered(CATALOGS_AT_ONCE)
        .try_collect()
        .await?;
    for shelf in shelves {
        load_ids(core, &shelf).await?;
    }
    Ok(())
}

async fn load_ids(core: &Core, shelf: &Shelf) -> Result<()> {
    let now = core.clock.now_ns();
    let since = now.saturating_sub(crate::core::ns(core.options.dedup_horizon));
    for ids in shelf.live().ids.iter().filter(|i| i.newest_ns >= since) {
        let path = Path::from(ids.path.as_str());
        let got = core.objects.get(&path).await.map_err(|e| Error::object(&path, e))?;
        let bytes = got.bytes().await.map_err(|e| Error::object(&path, e))?;
        let mut known = core.known.lock();
        for (id, received_ns) in dedup::decode(&bytes, &ids.path)? {
            known.insert(&shelf.tenant, id, received_ns, now);
        }
    }
    Ok(())
}

/// An entry of the log as read back.
struct Replayed {
    start: Position,
    end: Position,
    /// It uses no series that was defined before it.
    begins: bool,
    units: Vec<wire::native::apart::Apart>,
}

/// Brings what the log has and the catalogs do not cover back into heads. Applies no policy: the log holds
/// exactly what was acknowledged. Flushes when heads get large, so that memory stays bounded.
async fn replay(core: &Arc<Core>) -> Result<RecoveryReport> {
    let mut report = RecoveryReport::default();
    let (send, mut units) = mpsc::channel::<Result<Replayed>>(READ_AHEAD);
    let reading = {
        let core = core.clone();
        tokio::task::spawn_blocking(move || read_log(&core, &send))
    };
    let now = core.clock.now_ns();
    while let Some(entry) = units.recv().await {
        let Replayed { start, end, begins, units } = entry?;
        if begins {
            core.epochs.begun(start);
        }
        for unit in units {
            replay_unit(core, unit, start, now, &mut report).await?;
        }
        *core.end.lock() = end;
        if !make_room(core) {
            for shelf in core.shelves() {
                shelf.freeze(end);
                shelf.reserve_registry(&core.budget);
            }
            flush::flush_frozen(core).await?;
        }
    }
    reading.await.map_err(|e| Error::Internal(format!("reading the log: {e}")))?;
    *core.end.lock() = core.log.end();
    Ok(report)
}

/// Heads smaller than this are not flushed to make room: many tiny segments would help nobody.
const WORTH_FLUSHING: u64 = 4 << 20;

/// Accounts for what was replayed. `false` when heads must be flushed first.
fn make_room(core: &Core) -> bool {
    let reserved = core.shelves().iter().try_for_each(|s| -> std::result::Result<(), OverLimit> {
        s.reserve(&core.budget, 0)?;
        s.settle();
        Ok(())
    });
    let held = core.head_bytes();
    held <= WORTH_FLUSHING || reserved.is_ok() && held <= core.max_head_bytes()
}

fn read_log(core: &Core, send: &mpsc::Sender<Result<Replayed>>) {
    let wal = core.options.data_dir.join("wal");
    let entries = match core.log.read_from(Position::default()) {
        Ok(entries) => entries,
        Err(e) => {
            let _ = send.blocking_send(Err(damaged(&wal, e)));
            return;
        }
    };
    let mut known = SeriesByNumber::default();
    for entry in entries {
        let decoded = entry.map_err(|e| damaged(&wal, e)).and_then(|e| decode(&wal, e, &mut known));
        let failed = decoded.is_err();
        if send.blocking_send(decoded).is_err() || failed {
            return;
        }
    }
}

fn decode(wal: &FsPath, entry: disklog::reader::Entry, known: &mut SeriesByNumber) -> Result<Replayed> {
    let place = format!("{}, position {}", wal.join("log").display(), entry.start);
    let frame::Units { begins, units } = frame::units(entry.kind, &entry.payload, &place)?;
    if begins {
        known.forget();
    }
    let decode = |(table, unit): (&[u8], &[u8])| {
        wire::native::decode_apart(unit, table, known).map_err(|e| match e {
            wire::native::NativeError::Version { .. } | wire::native::NativeError::UnknownBatch { .. } => {
                Error::FutureVersion(format!("{place}: {e}: start the newer version that wrote it"))
            }
            other => Error::Corrupt(format!(
                "{place}: {other} although its checksum is right: this is a defect, keep the file"
            )),
        })
    };
    let units = units.into_iter().map(decode).collect::<Result<_>>()?;
    Ok(Replayed { start: entry.start, end: entry.end, begins, units })
}

async fn replay_unit(
    core: &Arc<Core>,
    unit: wire::native::apart::Apart,
    start: Position,
    now_ns: i64,
    report: &mut RecoveryReport,
) -> Result<()> {
    let missing = unit.missing;
    let (tenant, id, received_ns, batches) = unit.unit;
    if let Some(witness) = &core.options.witness {
        witness.replayed(&tenant, id, received_ns, &batches);
        core.uncounted.note(&tenant, id, &batches, (start, now_ns));
    }
    let mut shelves = Vec::new();
    let mut wanted: Vec<Batch> = Vec::with_capacity(batches.len());
    for batch in batches {
        let shelf = core.shelf_or_new(&tenant, &batch.signal(), false).await?;
        if start < shelf.live().covered_upto(&core.log_id) {
            // Its series may have been defined in a part of the log that is gone already.
            continue;
        }
        if let (Batch::Metrics(_), Some(number)) = (&batch, missing) {
            return Err(Error::Corrupt(format!(
                "{}, position {start}: series {number} of tenant {tenant} is used and was not defined: this is a defect, keep the files",
                core.options.data_dir.join("wal/log").display()
            )));
        }
        wanted.push(batch);
        if !shelves.iter().any(|s| Arc::ptr_eq(s, &shelf)) {
            shelves.push(shelf);
        }
    }
    if let Some(id) = id {
        core.known.lock().insert(&tenant, id, received_ns, now_ns);
    }
    if wanted.is_empty() {
        report.skipped += 1;
        return Ok(());
    }
    report.units += 1;
    report.items += wanted.iter().map(|b| b.item_count() as u64).sum::<u64>();
    insert_unit(&shelves, wanted, None, start, (id.map(|id| (id, received_ns)), received_ns));
    Ok(())
}
