use std::{collections::HashMap, path::Path};

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::{
    Entry, RealDisk,
    fault::{FaultDisk, Operation},
    frame,
};

const DIR: &str = "/log";

fn options() -> Options {
    Options { segment_bytes: 400, commit_interval: Duration::ZERO, ..Options::new(DIR) }
}

fn open(disk: &FaultDisk) -> (Log, Recovery) {
    try_open(disk).unwrap()
}

fn try_open(disk: &FaultDisk) -> Result<(Log, Recovery)> {
    Log::open(options(), Arc::new(disk.clone()), &Metrics::default())
}

fn payloads(log: &Log) -> Vec<Vec<u8>> {
    log.read_from(Position::default()).unwrap().map(|e| e.unwrap().payload.to_vec()).collect()
}

fn file(number: u64) -> std::path::PathBuf {
    segment::path(Path::new(DIR), number)
}

#[tokio::test]
async fn frames_come_back_in_order_across_segments_and_restarts() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    let mut ends = Vec::new();
    for i in 0..50u8 {
        ends.push(log.append(i, vec![i; i as usize]).await.unwrap());
    }
    assert!(ends.windows(2).all(|w| w[0] < w[1]));
    assert_eq!(log.end(), ends[49]);
    assert!(log.end().segment > 3, "segments of 400 bytes were closed");
    log.close().await;
    assert!(matches!(log.append(0, vec![]).await, Err(Error::Closed)));

    let (log, recovery) = open(&disk);
    assert_eq!(recovery.torn, None);
    assert_eq!(recovery.bytes, log.bytes());
    let entries: Vec<Entry> = log.read_from(Position::default()).unwrap().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 50);
    for (i, e) in entries.iter().enumerate() {
        assert_eq!((e.kind as usize, e.payload.len(), e.end), (i, i, ends[i]));
    }
    let rest: Vec<u8> = log.read_from(ends[30]).unwrap().map(|e| e.unwrap().kind).collect();
    assert_eq!(rest, (31..50).collect::<Vec<u8>>());
    assert_eq!(log.read_from(log.end()).unwrap().count(), 0);
}

#[tokio::test]
async fn many_waiters_share_one_sync() {
    let disk = FaultDisk::new();
    let options = Options { commit_interval: Duration::from_millis(50), ..Options::new(DIR) };
    let (log, _) = Log::open(options, Arc::new(disk.clone()), &Metrics::default()).unwrap();
    let before = disk.counts().syncs;
    let waiters = (0..100u8).map(|i| {
        let log = log.clone();
        tokio::spawn(async move { log.append(0, vec![i; 100]).await.unwrap() })
    });
    let waiters: Vec<_> = waiters.collect();
    for w in waiters {
        w.await.unwrap();
    }
    assert!(disk.counts().syncs - before < 10, "{} syncs", disk.counts().syncs - before);
}

#[tokio::test]
async fn a_full_disk_refuses_and_takes_again_once_it_has_space() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    log.append(0, b"before".to_vec()).await.unwrap();
    disk.set_free_bytes(25);
    let err = log.append(0, b"does not fit".to_vec()).await.unwrap_err();
    assert!(err.is_disk_full(), "{err}");
    assert_eq!(err.kind(), base::Kind::Unavailable);
    assert_eq!(
        disk.contents(&file(1)).unwrap().len() as u64,
        log.end().offset,
        "the half written frame is cut off"
    );
    disk.heal();
    log.append(0, b"after".to_vec()).await.unwrap();
    log.close().await;
    assert_eq!(payloads(&open(&disk).0), [b"before".to_vec(), b"after".to_vec()]);
}

#[tokio::test]
async fn a_segment_whose_sync_failed_is_never_written_again() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    log.append(0, b"one".to_vec()).await.unwrap();
    disk.fail_sync_in(0);
    assert!(log.append(0, b"lost".to_vec()).await.is_err());
    let end = log.append(0, b"two".to_vec()).await.unwrap();
    assert_eq!(end.segment, 2);
    for seed in 0..20 {
        disk.crash(seed);
        let (log, _) = open(&disk);
        assert_eq!(payloads(&log), [b"one".to_vec(), b"two".to_vec()]);
        log.close().await;
    }
}

#[tokio::test]
async fn a_disk_that_cannot_even_truncate_still_does_not_bring_a_refused_frame_back() {
    for seed in 0..50 {
        let disk = FaultDisk::new();
        let (log, _) = open(&disk);
        log.append(0, b"one".to_vec()).await.unwrap();
        disk.fail(Operation::Truncate);
        disk.fail_sync_in(0);
        let err = log.append(0, b"refused".to_vec()).await.unwrap_err();
        assert!(
            !matches!(err, Error::Undetermined { .. }),
            "the next segment's header closes this one: {err}"
        );
        log.append(0, b"two".to_vec()).await.unwrap();
        disk.crash(seed);
        assert_eq!(payloads(&open(&disk).0), [b"one".to_vec(), b"two".to_vec()]);
    }
}

#[tokio::test]
async fn when_nothing_can_be_undone_the_error_says_so_and_the_log_heals() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    log.append(0, b"one".to_vec()).await.unwrap();
    disk.fail(Operation::Sync);
    let err = log.append(0, b"?".to_vec()).await.unwrap_err();
    assert!(matches!(err, Error::Undetermined { .. }), "{err}");
    let err = log.append(0, b"no".to_vec()).await.unwrap_err();
    assert!(matches!(err, Error::Io { .. }), "nothing was written this time: {err}");
    disk.heal();
    log.append(0, b"two".to_vec()).await.unwrap();
    disk.crash(1);
    assert_eq!(payloads(&open(&disk).0), [b"one".to_vec(), b"two".to_vec()]);
}

#[tokio::test]
async fn damage_before_the_tail_is_an_error_that_names_file_and_offset() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    for i in 0..4u8 {
        log.append(0, vec![i; 50]).await.unwrap();
    }
    log.close().await;
    disk.flip_byte(&file(1), 40 + 70 + 30);
    let err = try_open(&disk).err().unwrap();
    assert_eq!(err.kind(), base::Kind::Corrupt);
    assert!(err.to_string().contains("00000000000000000001.log is damaged at byte 110"), "{err}");
    // Nothing was changed: with the byte repaired all is there.
    disk.flip_byte(&file(1), 40 + 70 + 30);
    assert_eq!(payloads(&open(&disk).0).len(), 4);
}

#[tokio::test]
async fn damage_in_an_older_segment_is_found_when_it_is_read() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    for i in 0..20u8 {
        log.append(0, vec![i; 50]).await.unwrap();
    }
    disk.flip_byte(&file(2), 50);
    let read: Vec<Result<Entry>> = log.read_from(Position::default()).unwrap().collect();
    let err = read.last().unwrap().as_ref().unwrap_err();
    assert!(err.to_string().contains("00000000000000000002.log is damaged at byte 40"), "{err}");
    assert_eq!(read.iter().filter(|r| r.is_err()).count(), 1, "reading ends there");
}

#[tokio::test]
async fn a_missing_or_shortened_older_segment_is_damage() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    for i in 0..30u8 {
        log.append(0, vec![i; 50]).await.unwrap();
    }
    log.close().await;
    let end = disk.contents(&file(2)).unwrap().len() as u64;
    disk.open(&file(2)).unwrap().truncate(end - 1).unwrap();
    let err = try_open(&disk).err().unwrap();
    assert!(err.to_string().contains("its successor says"), "{err}");
    disk.remove(&file(2)).unwrap();
    let err = try_open(&disk).err().unwrap();
    assert!(
        err.to_string().contains("00000000000000000002.log is damaged at byte 0: the segment is missing"),
        "{err}"
    );
}

#[tokio::test]
async fn a_payload_that_looks_like_a_frame_does_not_turn_a_torn_tail_into_damage() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    log.append(0, b"kept".to_vec()).await.unwrap();
    let end = log.end().offset;
    // What an outsider can know: the format and the offset, but not the salt.
    let mut forged = Vec::new();
    frame::encode(&mut forged, 0, end + 20, 0, 0, b"forged");
    log.append(0, forged).await.unwrap();
    log.close().await;
    disk.flip_byte(&file(1), end + 2);
    let (log, recovery) = open(&disk);
    assert_eq!(recovery.torn.unwrap().offset, end);
    assert_eq!(payloads(&log), [b"kept".to_vec()]);
}

#[tokio::test]
async fn truncation_removes_whole_segments_only_and_survives_a_crash() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    let mut ends = Vec::new();
    for i in 0..30u8 {
        ends.push(log.append(i, vec![i; 50]).await.unwrap());
    }
    let cut = ends[12];
    let removed = log.truncate_before(cut).await.unwrap();
    assert_eq!(removed as u64, cut.segment - 1);
    assert!(matches!(log.read_from(ends[0]), Err(Error::Gone { .. })));
    assert_eq!(log.read_from(cut).unwrap().count(), 17);
    disk.crash(7);
    let (log, _) = open(&disk);
    assert_eq!(log.first().segment, cut.segment);
    assert_eq!(log.read_from(cut).unwrap().count(), 17);
    let next = log.rotate().await.unwrap();
    log.truncate_before(next).await.unwrap();
    assert_eq!((log.bytes(), log.read_from(Position::default()).unwrap().count()), (segment::HEADER, 0));
    assert_eq!(log.rotate().await.unwrap(), next, "an empty segment is not closed");
}

#[tokio::test]
async fn a_cancelled_append_harms_nobody() {
    let disk = FaultDisk::new();
    let (log, _) = open(&disk);
    for i in 0..20u8 {
        let cancelled = log.append(0, vec![255; 10]);
        // Polled once, so that it may stand in the queue, then dropped.
        let _ = tokio::time::timeout(Duration::ZERO, cancelled).await;
        log.append(0, vec![i]).await.unwrap();
    }
    let kept: Vec<Vec<u8>> = payloads(&log).into_iter().filter(|p| p.len() == 1).collect();
    assert_eq!(kept, (0..20u8).map(|i| vec![i]).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_processes_cannot_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Log::open(Options::new(dir.path()), Arc::new(RealDisk), &Metrics::default());
    let (log, _) = open().unwrap();
    assert!(matches!(open().err().unwrap(), Error::Locked { .. }));
    let end = log.append(1, b"real".to_vec()).await.unwrap();
    assert!(log.free_bytes().unwrap() > 0);
    log.close().await;
    let (log, recovery) = open().unwrap();
    assert_eq!((recovery.last_segment_frames, log.end()), (1, end));
    assert_eq!(payloads(&log), [b"real".to_vec()]);
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_by_name() {
    let disk = FaultDisk::new();
    let options = Options { max_frame_bytes: 10, ..options() };
    let (log, _) = Log::open(options, Arc::new(disk), &Metrics::default()).unwrap();
    let err = log.append(0, vec![0; 11]).await.unwrap_err();
    assert_eq!(err.to_string(), "frame of 11 bytes is larger than the limit of 10 bytes");
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// Several at once, so that groups form.
    Burst(usize),
    Rotate,
    Truncate(usize),
    FailWrite(u64, usize),
    FailSync(u64),
    Fail(Operation),
    Full(u64),
    Heal,
    Crash(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..200).prop_map(Step::Append),
        4 => (2usize..12).prop_map(Step::Burst),
        1 => Just(Step::Rotate),
        1 => (0usize..40).prop_map(Step::Truncate),
        1 => (0u64..3, 0usize..100).prop_map(|(n, s)| Step::FailWrite(n, s)),
        1 => (0u64..3).prop_map(Step::FailSync),
        1 => prop_oneof![
            Just(Operation::Write), Just(Operation::Sync), Just(Operation::Truncate),
            Just(Operation::Create), Just(Operation::SyncDir)
        ].prop_map(Step::Fail),
        1 => (0u64..300).prop_map(Step::Full),
        3 => Just(Step::Heal),
        3 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Reopen),
    ]
}

/// What must be in the log, and what may be.
#[derive(Default)]
struct Oracle {
    next: u32,
    acknowledged: Vec<(u32, Position)>,
    undetermined: Vec<u32>,
    sizes: HashMap<u32, usize>,
}

impl Oracle {
    fn payload(&mut self, extra: usize) -> Vec<u8> {
        let id = self.next;
        self.next += 1;
        self.sizes.insert(id, extra);
        let mut p = id.to_le_bytes().to_vec();
        p.resize(4 + extra, id as u8);
        p
    }

    fn answered(&mut self, id: u32, answer: Result<Position>) {
        match answer {
            Ok(end) => self.acknowledged.push((id, end)),
            Err(Error::Undetermined { .. }) => self.undetermined.push(id),
            Err(_) => {}
        }
    }

    fn check(&mut self, log: &Log) {
        let first = log.first();
        self.acknowledged.retain(|(_, end)| *end > first);
        let mut found = Vec::new();
        for entry in log.read_from(Position::default()).unwrap() {
            let entry = entry.unwrap();
            let id = u32::from_le_bytes(entry.payload[..4].try_into().unwrap());
            assert_eq!(entry.payload.len(), 4 + self.sizes[&id]);
            if !self.undetermined.contains(&id) {
                found.push((id, entry.end));
            }
        }
        let missing: Vec<_> = self.acknowledged.iter().filter(|a| !found.contains(a)).collect();
        let surplus: Vec<_> = found.iter().filter(|f| !self.acknowledged.contains(f)).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
        assert_eq!(found, self.acknowledged, "each once and in order");
    }
}

async fn run(steps: Vec<Step>) {
    let disk = FaultDisk::new();
    let mut oracle = Oracle::default();
    let (mut log, _) = open(&disk);
    for step in steps {
        match step {
            Step::Append(n) => {
                let id = oracle.next;
                let answer = log.append(0, oracle.payload(n)).await;
                oracle.answered(id, answer);
            }
            Step::Burst(n) => {
                let first = oracle.next;
                let waits: Vec<_> = (0..n)
                    .map(|_| {
                        let (log, p) = (log.clone(), oracle.payload(20));
                        tokio::spawn(async move { log.append(0, p).await })
                    })
                    .collect();
                let mut answers = Vec::new();
                for (i, w) in waits.into_iter().enumerate() {
                    answers.push((first + i as u32, w.await.unwrap()));
                }
                answers.sort_by_key(|(_, a)| a.as_ref().ok().copied());
                answers.into_iter().for_each(|(id, a)| oracle.answered(id, a));
            }
            Step::Rotate => drop(log.rotate().await),
            Step::Truncate(back) => {
                let at = oracle.acknowledged.len().saturating_sub(back);
                if let Some((_, end)) = oracle.acknowledged.get(at) {
                    let _ = log.truncate_before(*end).await;
                }
            }
            Step::FailWrite(n, short) => disk.fail_write_in(n, short),
            Step::FailSync(n) => disk.fail_sync_in(n),
            Step::Fail(operation) => disk.fail(operation),
            Step::Full(bytes) => disk.set_free_bytes(bytes),
            Step::Heal => disk.heal(),
            Step::Crash(seed) => {
                disk.crash(seed);
                log.close().await;
                log = open(&disk).0;
                oracle.check(&log);
            }
            Step::Reopen => {
                log.close().await;
                disk.heal();
                log = open(&disk).0;
                oracle.check(&log);
            }
        }
    }
    disk.crash(99);
    log.close().await;
    oracle.check(&open(&disk).0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_was_acknowledged_is_read_back_once_and_what_was_refused_never(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        Runtime::new().unwrap().block_on(run(steps));
    }

    #[test]
    fn arbitrary_bytes_in_a_segment_are_an_error_or_a_torn_tail(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), keep_header in any::<bool>()
    ) {
        Runtime::new().unwrap().block_on(async {
            let disk = FaultDisk::new();
            open(&disk).0.close().await;
            let at = if keep_header { segment::HEADER } else { 0 };
            disk.open(&file(1)).unwrap().write_at(&bytes, at).unwrap();
            if let Ok((log, _)) = try_open(&disk) {
                log.append(0, b"goes on".to_vec()).await.unwrap();
                assert_eq!(payloads(&log).last().unwrap(), b"goes on");
            }
        });
    }
}
