use model::Labels;

use super::*;
use crate::{
    FloatPoint,
    testing::{self, Draft},
};

fn floats(times: std::ops::Range<i64>) -> Points {
    let floats = times.map(|t| FloatPoint { timestamp_ms: t, start_ms: 0, value: t as f64 * 0.1 }).collect();
    Points { floats, histograms: Vec::new() }
}

fn two_series() -> Vec<Draft> {
    ["a", "b"]
        .into_iter()
        .map(|v| Draft {
            labels: vec![("__name__".to_owned(), "m".to_owned()), ("x".to_owned(), v.to_owned())],
            chunks: vec![(1, floats(0..100)), (1, floats(100..200))],
        })
        .collect()
}

#[test]
fn a_range_of_a_series_is_read_without_what_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let ids = testing::block(dir.path(), 2, &two_series());
    std::fs::write(dir.path().join("tombstones"), testing::tombstones(&[(ids[1], 120, 149)])).unwrap();
    let mut block = Block::open(dir.path()).unwrap();
    let a = block.series(0).unwrap().unwrap();
    let b = block.series(1).unwrap().unwrap();
    assert_eq!(a.labels, Labels::from_pairs([("__name__", "m"), ("x", "a")]));
    assert_eq!(block.read(&a, i64::MIN, i64::MAX).unwrap(), floats(0..200));
    assert_eq!(block.read(&a, 90, 110).unwrap(), floats(90..111));
    let mut expected = floats(0..200);
    expected.retain(|t| !(120..=149).contains(&t));
    assert_eq!(block.read(&b, i64::MIN, i64::MAX).unwrap(), expected);
}

#[test]
fn a_flipped_bit_in_a_chunk_names_the_file_and_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    testing::block(dir.path(), 1, &two_series());
    let path = dir.path().join("chunks/000001");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let mut block = Block::open(dir.path()).unwrap();
    let a = block.series(0).unwrap().unwrap();
    let e = block.read(&a, 0, 10).unwrap_err().to_string();
    assert!(e.contains("chunks/000001 at byte 8") && e.contains("checksum"), "{e}");
}

#[test]
fn a_chunk_file_that_is_missing_or_short_is_named() {
    let dir = tempfile::tempdir().unwrap();
    testing::block(dir.path(), 2, &two_series());
    let path = dir.path().join("chunks/000001");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let mut block = Block::open(dir.path()).unwrap();
    let b = block.series(1).unwrap().unwrap();
    let e = block.read(&b, 150, 199).unwrap_err().to_string();
    assert!(e.contains("beyond the end"), "{e}");
    std::fs::remove_file(&path).unwrap();
    let e = Block::open(dir.path()).unwrap().read(&b, 0, 1).unwrap_err().to_string();
    assert!(e.contains("file 1 of 0"), "{e}");
}

#[test]
fn blocks_that_others_were_made_of_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let make = |ulid: &str, min: i64, more: &str| {
        let at = dir.path().join(ulid);
        testing::block(&at, 2, &two_series());
        let meta = format!(r#"{{"ulid":"{ulid}","minTime":{min},"maxTime":{},"version":1{more}}}"#, min + 10);
        std::fs::write(at.join("meta.json"), meta).unwrap();
    };
    make("01AAAAAAAAAAAAAAAAAAAAAAAA", 0, "");
    make("01BBBBBBBBBBBBBBBBBBBBBBBB", 10, "");
    let parents = r#","compaction":{"level":2,"parents":[{"ulid":"01AAAAAAAAAAAAAAAAAAAAAAAA","minTime":0,"maxTime":10}]}"#;
    make("01CCCCCCCCCCCCCCCCCCCCCCCC", 0, parents);
    std::fs::create_dir_all(dir.path().join("wal")).unwrap();
    std::fs::create_dir_all(dir.path().join("01DDDDDDDDDDDDDDDDDDDDDDDD.tmp-for-creation")).unwrap();
    let found = blocks(dir.path()).unwrap();
    let names: Vec<_> = found.blocks.iter().map(|(_, m)| &m.ulid[..3]).collect();
    assert_eq!(names, ["01C", "01B"]);
    assert_eq!((found.superseded, found.has_log), (1, true));
}

#[test]
fn downsampled_and_future_blocks_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    testing::block(dir.path(), 2, &two_series());
    let write = |text: &str| std::fs::write(dir.path().join("meta.json"), text).unwrap();
    write(r#"{"ulid":"x","minTime":0,"maxTime":1,"version":2}"#);
    assert!(Block::open(dir.path()).err().unwrap().to_string().contains("version 2"));
    write(
        r#"{"ulid":"x","minTime":0,"maxTime":1,"version":1,"thanos":{"downsample":{"resolution":300000}}}"#,
    );
    assert!(Block::open(dir.path()).err().unwrap().to_string().contains("downsampled to 300000 ms"));
    write("{}");
    assert!(Block::open(dir.path()).err().unwrap().to_string().contains("meta.json"));
}
