//! Backups on a real directory: taken while the store works, brought back, damaged in every way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use base::{Clock, MemoryBudget, Metrics};
use contract::{Append, Direction, LogsRequest, Scope, Select, Tenants};
use disklog::{RealDisk, fault::FaultDisk};
use model::{Batch, LogBatch, LogRecord, LogStream, TenantId, TimeRange};
use object_store::memory::InMemory;
use store::{
    LocalObjects, Options, Store,
    backup::{self, MARKER, Place, Taken, Verified},
};
use testkit::{
    conformance::{self as suite, NOW_NS},
    objects::{Call, Failure, FaultObjects},
};

async fn open(dir: &FsPath) -> store::Result<Arc<Store>> {
    let objects = LocalObjects::open(dir.join("objects")).unwrap();
    let clock = Clock::manual(NOW_NS);
    let (budget, metrics) = (MemoryBudget::unlimited(), Metrics::default());
    let options = Options::new(dir);
    let opened = Store::open(options, Arc::new(objects), Arc::new(RealDisk), clock, budget, &metrics).await;
    opened.map(|(store, _)| store)
}

fn lines(from: i64, count: i64) -> Batch {
    Batch::Logs(LogBatch {
        streams: vec![LogStream::default()],
        records: (from..from + count)
            .map(|i| LogRecord {
                timestamp_ns: NOW_NS - 3_600_000_000_000 + i,
                body: i.to_string().into(),
                ..LogRecord::default()
            })
            .collect(),
    })
}

async fn append(store: &Store, from: i64, count: i64) {
    let receipt = store.append(&TenantId::default(), suite::unit(vec![lines(from, count)])).await.unwrap();
    assert_eq!(receipt.accepted_items(), count as u64);
}

/// How often each line is stored.
async fn stored(store: &Store) -> BTreeMap<i64, u32> {
    let request = LogsRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: Vec::new(),
        line_filters: Vec::new(),
        direction: Direction::OldestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let (pieces, _) = store.logs(request).await.unwrap().collect().await.unwrap();
    let mut found = BTreeMap::new();
    for r in pieces.into_iter().flat_map(|p| p.records) {
        *found.entry(r.body.to_string().parse().unwrap()).or_insert(0) += 1;
    }
    found
}

async fn take(data: &FsPath, to: &FsPath, at_ns: i64) -> store::Result<Taken> {
    backup::take(data, &Place::writing(to)?, &Clock::manual(at_ns), |_| {}).await
}

async fn restore(from: &FsPath, id: Option<&str>, to: &FsPath) -> store::Result<String> {
    let done = backup::restore(&Place::reading(from)?, id, to, &RealDisk, |_| {}).await?;
    Ok(done.id)
}

async fn verify(from: &FsPath) -> Verified {
    backup::verify(&Place::reading(from).unwrap(), None, &Clock::manual(0), |_| {}).await.unwrap()
}

struct Dirs {
    _root: tempfile::TempDir,
    data: PathBuf,
    kept: PathBuf,
    back: PathBuf,
}

fn dirs() -> Dirs {
    let root = tempfile::tempdir().unwrap();
    let at = |n: &str| root.path().join(n);
    Dirs { data: at("data"), kept: at("kept"), back: at("back"), _root: root }
}

/// A store with flushed and unflushed lines, closed as by a crash, and its backup.
async fn backed_up(d: &Dirs) -> Taken {
    let store = open(&d.data).await.unwrap();
    append(&store, 0, 100).await;
    store.flush_all().await.unwrap();
    append(&store, 100, 50).await;
    let taken = take(&d.data, &d.kept, NOW_NS).await.unwrap();
    store.halt().await;
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_taken_while_the_store_works_hold_exactly_what_was_acknowledged() {
    let d = dirs();
    let store = open(&d.data).await.unwrap();
    let done = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let writing = {
        let (store, done) = (store.clone(), done.clone());
        tokio::spawn(async move {
            for unit in 0..120 {
                append(&store, unit * 10, 10).await;
                done.store((unit + 1) * 10, std::sync::atomic::Ordering::SeqCst);
                if unit % 7 == 3 {
                    store.flush_all().await.unwrap();
                }
                if unit % 40 == 39 {
                    store.maintain().await.unwrap();
                }
            }
        })
    };
    let mut backups = Vec::new();
    let mut n = 0;
    while !writing.is_finished() || n < 3 {
        let before = done.load(std::sync::atomic::Ordering::SeqCst);
        let taken = take(&d.data, &d.kept, NOW_NS + n * 1_000_000_000).await.unwrap();
        backups.push((before, taken.summary.id));
        n += 1;
    }
    writing.await.unwrap();
    store.halt().await;
    assert_eq!(verify(&d.kept).await.problems, []);
    for (acknowledged, id) in backups {
        let back = d.back.join(&id);
        assert_eq!(restore(&d.kept, Some(&id), &back).await.unwrap(), id);
        let store = open(&back).await.unwrap();
        let found = stored(&store).await;
        assert!(found.values().all(|n| *n == 1), "{id}: a line is doubled");
        let held = found.len() as i64;
        assert!(held >= acknowledged && held % 10 == 0, "{id}: {held} lines of {acknowledged}");
        assert!(found.keys().copied().eq(0..held), "{id}: not a prefix of what was sent");
        // It goes on from there.
        append(&store, held, 10).await;
        store.halt().await;
        drop(store);
        assert_eq!(stored(&open(&back).await.unwrap()).await.len() as i64, held + 10, "{id}");
    }
}

#[tokio::test]
async fn a_further_backup_stores_what_is_new() {
    let d = dirs();
    let first = backed_up(&d).await;
    let store = open(&d.data).await.unwrap();
    let same = take(&d.data, &d.kept, NOW_NS + 1_000_000_000).await.unwrap();
    assert_eq!(same.new_bytes, 0, "{same:?}");
    append(&store, 150, 5).await;
    store.flush_all().await.unwrap();
    let more = take(&d.data, &d.kept, NOW_NS + 2_000_000_000).await.unwrap();
    assert!(more.new_bytes > 0 && more.new_bytes < first.summary.bytes + more.summary.bytes / 2, "{more:?}");
    store.halt().await;
    let listed: Vec<_> =
        Place::reading(&d.kept).unwrap().list().await.unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(listed, [first.summary.id.clone(), same.summary.id, more.summary.id]);
    // The oldest is as whole as the newest.
    restore(&d.kept, Some(&first.summary.id), &d.back).await.unwrap();
    assert_eq!(stored(&open(&d.back).await.unwrap()).await.len(), 150);
}

fn blobs(kept: &FsPath) -> Vec<PathBuf> {
    let dirs = fs::read_dir(kept.join("blobs")).unwrap().map(|e| e.unwrap().path());
    dirs.flat_map(|d| fs::read_dir(d).unwrap().map(|e| e.unwrap().path())).collect()
}

/// The blob of the first file whose path contains `part`.
fn blob_of(kept: &FsPath, id: &str, part: &str) -> PathBuf {
    let text = fs::read_to_string(kept.join(format!("backups/{id}.backup"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
    let file = json["files"].as_array().unwrap().iter().find(|f| f["path"].as_str().unwrap().contains(part));
    let hash = file.unwrap()["pieces"][0].as_str().unwrap().to_owned();
    kept.join("blobs").join(&hash[..2]).join(hash)
}

#[tokio::test]
async fn truncated_flipped_and_missing_pieces_are_named_and_never_restored() {
    let d = dirs();
    let id = backed_up(&d).await.summary.id;
    type Harm = fn(&FsPath);
    let harm: [(&str, Harm); 3] = [
        ("instead of", |p| {
            let bytes = fs::read(p).unwrap();
            fs::write(p, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("other contents", |p| {
            let mut bytes = fs::read(p).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 0x10;
            fs::write(p, bytes).unwrap();
        }),
        ("missing", |p| fs::remove_file(p).unwrap()),
    ];
    for (n, (what, harm)) in harm.into_iter().enumerate() {
        for part in [".parquet", "wal/log", "catalog"] {
            let blob = blob_of(&d.kept, &id, part);
            let good = fs::read(&blob).unwrap();
            harm(&blob);
            let found = verify(&d.kept).await;
            let hit = found.problems.iter().find(|p| p.file.contains(part));
            assert!(hit.is_some_and(|p| p.what.contains(what)), "{part} {what}: {:?}", found.problems);
            let back = d.back.join(format!("{n}{}", part.replace('/', "")));
            let e = restore(&d.kept, None, &back).await.unwrap_err();
            assert_eq!(e.kind(), base::Kind::Corrupt);
            assert!(e.to_string().contains(what) && e.to_string().contains(part), "{e}");
            let e = open(&back).await.err().unwrap().to_string();
            assert!(e.contains("was not finished"), "{e}");
            fs::write(&blob, good).unwrap();
            // Run again it finishes.
            restore(&d.kept, None, &back).await.unwrap();
            assert_eq!(stored(&open(&back).await.unwrap()).await.len(), 150);
        }
    }
    assert_eq!(verify(&d.kept).await.problems, []);
}

#[tokio::test]
async fn a_damaged_manifest_is_named_and_a_missing_piece_is_stored_again() {
    let d = dirs();
    let id = backed_up(&d).await.summary.id;
    fs::remove_file(blob_of(&d.kept, &id, ".parquet")).unwrap();
    take(&d.data, &d.kept, NOW_NS + 1_000_000_000).await.unwrap();
    assert_eq!(verify(&d.kept).await.problems, []);
    let path = d.kept.join(format!("backups/{id}.backup"));
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let found = verify(&d.kept).await;
    assert!(found.problems.len() == 1 && found.problems[0].what.contains(&id), "{:?}", found.problems);
    let e = restore(&d.kept, Some(&id), &d.back).await.unwrap_err().to_string();
    assert!(e.contains("hash does not match"), "{e}");
    restore(&d.kept, None, &d.back).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_while_copying_leaves_no_backup_and_the_next_one_goes_on() {
    let d = dirs();
    backed_up(&d).await;
    let objects = FaultObjects::new(Arc::new(InMemory::new()));
    let place = Place::of(Arc::new(objects.clone()));
    for n in 0..3 {
        objects.fail_in(Call::Put, n, Failure::Before);
        let e = backup::take(&d.data, &place, &Clock::manual(NOW_NS), |_| {}).await.unwrap_err();
        assert!(e.to_string().contains("blobs/") || e.to_string().contains("backups/"), "{e}");
        assert_eq!(place.list().await.unwrap(), []);
    }
    backup::take(&d.data, &place, &Clock::manual(NOW_NS), |_| {}).await.unwrap();
    let found = backup::verify(&place, None, &Clock::manual(0), |_| {}).await.unwrap();
    assert_eq!((found.problems.len(), found.backups.len()), (0, 1));
}

#[tokio::test]
async fn a_full_disk_while_restoring_is_named_and_leaves_nothing_that_opens() {
    let d = dirs();
    backed_up(&d).await;
    let place = Place::reading(&d.kept).unwrap();
    let to = FsPath::new("/simulated/back");
    let disk = FaultDisk::new();
    disk.set_free_bytes(100);
    let e = backup::restore(&place, None, to, &disk, |_| {}).await.unwrap_err();
    assert!(e.to_string().contains("100 are free at /simulated/back"), "{e}");
    let disk = FaultDisk::new();
    disk.fail_write_in(2, 7);
    let e = backup::restore(&place, None, to, &disk, |_| {}).await.unwrap_err();
    assert_eq!(e.kind(), base::Kind::Unavailable);
    assert!(e.to_string().contains("writing /simulated/back/"), "{e}");
    assert!(disk.contents(&to.join(MARKER)).is_some());
    disk.heal();
    backup::restore(&place, None, to, &disk, |_| {}).await.unwrap();
    assert!(disk.contents(&to.join(MARKER)).is_none());
}

#[tokio::test]
async fn a_damaged_segment_is_noticed_before_it_is_kept_and_a_full_directory_is_left_alone() {
    let d = dirs();
    backed_up(&d).await;
    let e = restore(&d.kept, None, &d.data).await.unwrap_err().to_string();
    assert!(e.contains("holds a store already"), "{e}");
    let mut found = Vec::new();
    walk(&d.data.join("objects"), &mut found);
    let segment = found.into_iter().find(|p| p.extension().is_some_and(|e| e == "parquet")).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[20] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let e = take(&d.data, &d.kept.join("another"), NOW_NS).await.unwrap_err().to_string();
    assert!(e.contains("does not hold what its name says") && e.contains(".parquet"), "{e}");
    let e = take(&d.kept, &d.back, NOW_NS).await.unwrap_err().to_string();
    assert!(e.contains("is not the data directory of a node"), "{e}");
    assert!(!blobs(&d.kept).is_empty());
}

fn walk(dir: &FsPath, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

#[tokio::test]
async fn two_backups_to_one_directory_at_once_are_refused() {
    let d = dirs();
    let _held = Place::writing(&d.kept).unwrap();
    let e = Place::writing(&d.kept).err().unwrap();
    assert_eq!(e.kind(), base::Kind::Conflict);
}

#[tokio::test]
async fn old_backups_go_with_the_pieces_that_only_they_had() {
    let d = dirs();
    let first = backed_up(&d).await.summary.id;
    let store = open(&d.data).await.unwrap();
    append(&store, 150, 50).await;
    store.flush_all().await.unwrap();
    let second = take(&d.data, &d.kept, NOW_NS + 1_000_000_000).await.unwrap().summary.id;
    store.halt().await;
    let before = blobs(&d.kept).len();
    let pruned = backup::prune(&Place::writing(&d.kept).unwrap(), 1).await.unwrap();
    assert_eq!(pruned.backups, [first]);
    assert_eq!(blobs(&d.kept).len() as u64 + pruned.pieces, before as u64);
    assert!(pruned.pieces > 0 && pruned.bytes > 0);
    assert_eq!(verify(&d.kept).await.problems, []);
    assert_eq!(restore(&d.kept, None, &d.back).await.unwrap(), second);
    assert_eq!(stored(&open(&d.back).await.unwrap()).await.len(), 200);
    // Of a backup that cannot be read nobody knows what it needs.
    let manifest = d.kept.join(format!("backups/{second}.backup"));
    fs::write(&manifest, b"x").unwrap();
    assert!(backup::prune(&Place::writing(&d.kept).unwrap(), 1).await.is_err());
    assert!(!blobs(&d.kept).is_empty());
}

#[tokio::test]
async fn a_wrong_directory_or_name_is_told_and_nothing_in_it_is_touched() {
    let d = dirs();
    backed_up(&d).await;
    let e = restore(&d.kept, Some("20200101T000000000Z"), &d.back).await.unwrap_err();
    assert_eq!(e.kind(), base::Kind::NotFound);
    assert!(e.to_string().contains("there is no backup 20200101T000000000Z"), "{e}");
    let place = Place::reading(&d.kept).unwrap();
    assert!(backup::verify(&place, Some("20200101T000000000Z"), &Clock::manual(0), |_| {}).await.is_err());
    // A directory with blobs of somebody else, and one that is not empty.
    let other = d.back.join("other");
    let theirs = other.join("blobs/aa/theirs");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let e = backup::prune(&Place::writing(&other).unwrap(), 1).await.unwrap_err().to_string();
    assert!(e.contains("no backup is kept there"), "{e}");
    let e = restore(&d.kept, None, &other).await.unwrap_err().to_string();
    assert!(e.contains("is not empty"), "{e}");
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    for absent in [d.back.join("absent"), theirs] {
        let e = Place::reading(&absent).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(e.contains("name the directory that backups were written to"), "{e}");
    }
    assert!(backup::check(&other).is_err() && backup::check(&d.data).is_ok());
}
