use std::io::Read;

use model::{BatchId, LogBatch, LogRecord, LogStream, TenantId};
use wire::otlp::Options;

use super::*;
use crate::Class;

fn delivery(sequence: u64, lines: &[&str]) -> Delivery {
    let record = |l: &&str| LogRecord { body: (*l).into(), timestamp_ns: 1, ..LogRecord::default() };
    Delivery {
        id: BatchId::Numbered { source: 7, epoch: 3, sequence },
        tenant: TenantId::new("team-a").unwrap(),
        class: Class::Logs,
        batch: Batch::Logs(LogBatch {
            streams: vec![LogStream::default()],
            records: lines.iter().map(record).collect(),
        }),
        positions: Vec::new(),
        meter: Default::default(),
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    let packed = fs::read(path).unwrap();
    let mut out = Vec::new();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => drop(flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut out).unwrap()),
        "zst" => out = zstd::stream::decode_all(&packed[..]).unwrap(),
        _ => out = packed,
    }
    out
}

/// Every line of every file, in order.
fn held(dir: &Path) -> Vec<String> {
    let mut files: Vec<PathBuf> = match fs::read_dir(dir.join("team-a")) {
        Ok(all) => all.map(|e| e.unwrap().path()).collect(),
        Err(_) => return Vec::new(),
    };
    files.sort();
    let bodies = |request: &str| -> Vec<String> {
        let decoded = wire::otlp::logs::decode_json(request.as_bytes(), 0, &Options::default()).unwrap();
        decoded.batch.records.iter().map(|r| r.body.to_string()).collect()
    };
    let texts = files.iter().map(|f| String::from_utf8(unpacked(f)).unwrap());
    texts.flat_map(|t| t.lines().flat_map(bodies).collect::<Vec<_>>()).collect()
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir.join("team-a")).unwrap().count()
}

fn open(options: &FileOptions) -> Files {
    Files::open("archive", options.clone(), Clock::system()).unwrap()
}

#[tokio::test]
async fn requests_are_lines_and_one_sent_again_is_there_once() {
    for compression in [FileCompression::None, FileCompression::Gzip, FileCompression::Zstd] {
        let dir = tempfile::tempdir().unwrap();
        let options = FileOptions { compression, ..FileOptions::new(dir.path()) };
        let out = open(&options);
        for (sequence, lines) in [(1, ["a", "b"]), (2, ["c", "d"]), (2, ["c", "d"]), (1, ["a", "b"])] {
            assert_eq!(out.send(0, &delivery(sequence, &lines)).await, Outcome::acknowledged());
        }
        drop(out);
        let again = open(&options);
        for (sequence, lines) in [(2, ["c", "d"]), (3, ["e", "f"])] {
            assert_eq!(again.send(0, &delivery(sequence, &lines)).await, Outcome::acknowledged());
        }
        assert_eq!(held(dir.path()), ["a", "b", "c", "d", "e", "f"], "{compression:?}");
        assert_eq!(files(dir.path()), 1);
    }
}

#[tokio::test]
async fn what_was_written_and_never_counted_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let options = FileOptions::new(dir.path());
    let out = open(&options);
    out.send(0, &delivery(1, &["a"])).await;
    let before = fs::read(dir.path().join("state.json")).unwrap();
    out.send(0, &delivery(2, &["b"])).await;
    drop(out);
    // As after a crash between the file's sync and the state's, with the next write begun.
    fs::write(dir.path().join("state.json"), before).unwrap();
    let file = dir.path().join("team-a/logs-00000001.jsonl.gz");
    let torn = [fs::read(&file).unwrap(), b"half a memb".to_vec()].concat();
    fs::write(&file, torn).unwrap();
    let out = open(&options);
    for sequence in [1, 2] {
        let lines = [["a"], ["b"]][sequence as usize - 1];
        assert_eq!(out.send(0, &delivery(sequence, &lines)).await, Outcome::acknowledged());
    }
    assert_eq!(held(dir.path()), ["a", "b"]);
}

#[tokio::test]
async fn files_end_at_their_size_and_age_and_old_ones_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let small = FileOptions { max_bytes: 1, keep_files: 2, ..FileOptions::new(dir.path()) };
    let out = open(&small);
    for i in 1..=6 {
        out.send(0, &delivery(i, &[&i.to_string()])).await;
    }
    assert_eq!(held(dir.path()), ["4", "5", "6"], "two finished ones and the one being written");
    drop(out);
    let old = FileOptions { max_bytes: 1 << 20, max_age: Duration::ZERO, ..small.clone() };
    open(&old).send(0, &delivery(7, &["7"])).await;
    assert_eq!(held(dir.path()), ["5", "6", "7"]);
    let none = FileOptions { keep_files: 0, keep_age: Some(Duration::ZERO), ..small };
    open(&none).send(0, &delivery(8, &["8"])).await;
    assert_eq!(held(dir.path()), ["8"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named_and_one_taken_away_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = FileOptions::new(dir.path().join("x"));
    let out = open(&options);
    let e = Files::open("archive", options.clone(), Clock::system()).err().unwrap();
    assert!(e.to_string().starts_with("dir of destination archive is"), "{e}");
    out.send(0, &delivery(1, &["a"])).await;
    fs::remove_dir_all(dir.path().join("x/team-a")).unwrap();
    assert_eq!(out.send(0, &delivery(2, &["b"])).await, Outcome::acknowledged());
    assert_eq!(held(&dir.path().join("x")), ["b"]);
    fs::remove_dir_all(dir.path().join("x")).unwrap();
    fs::write(dir.path().join("x"), "no directory").unwrap();
    assert!(matches!(out.send(0, &delivery(3, &["c"])).await, Outcome::Later { down: true, .. }));
}
