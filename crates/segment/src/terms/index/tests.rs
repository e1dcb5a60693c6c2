use std::{collections::BTreeSet, sync::Arc};

use model::{AnyValue, Labels, LogBatch, LogRecord, LogStream, TimeRange};
use proptest::prelude::*;

use super::*;
use crate::{
    logs,
    testing::{block_on, collect, stored},
};

fn index_of(blocks: &[Vec<&str>]) -> (Blob, u32) {
    let mut b = Builder::new(blocks.iter().map(Vec::len).max().unwrap_or(1));
    for block in blocks {
        for line in block {
            b.text(line);
            b.end_row();
        }
    }
    b.finish().unwrap()
}

/// Opens a blob as if it were a file of its own.
fn opened((blob, head): &(Blob, u32), rows: usize) -> Option<Index> {
    let place = BlobRef { offset: 0, length: blob.bytes.len() as u64, crc: 0 };
    Index::decode(blob.bytes.get(..*head as usize)?, place, rows)
}

/// What [`Index::blocks`] does, without a file.
fn found(index: &Index, bytes: &[u8], term: u64) -> BTreeSet<usize> {
    let (wanted, pages) = index.place(term);
    let mut blocks = index.always();
    for p in pages {
        let bytes = &bytes[index.pages[p] as usize..index.pages[p + 1] as usize];
        let entries = (index.entries as usize - p * PAGE).min(PAGE);
        for e in decode_page(bytes, index.first[p], entries, u64::MAX).unwrap() {
            if wanted.contains(&e) {
                blocks.set((e - wanted.start) as usize);
            }
        }
    }
    (0..index.blocks).filter(|b| blocks.has(*b)).collect()
}

fn term(word: &str) -> u64 {
    crate::terms::of_word(word.as_bytes())
}

#[test]
fn a_word_leads_to_the_blocks_that_have_it() {
    let made = index_of(&[vec!["a b", "b c"], vec!["c d", "D e"], vec!["a f"]]);
    let index = opened(&made, 5).unwrap();
    // A block may be named in vain, but never left out.
    let at = |w, blocks: &[usize]| {
        found(&index, &made.0.bytes, term(w)).is_superset(&blocks.iter().copied().collect())
    };
    assert!(at("a", &[0, 2]) && at("d", &[1]) && at("c", &[0, 1]));
    let all: usize = (0..200).map(|i| found(&index, &made.0.bytes, term(&format!("x{i}"))).len()).sum();
    assert!(all < 60, "of 600 blocks {all} are named for words that are nowhere");
    assert!(opened(&made, 7).is_none(), "another number of rows makes other blocks");
}

#[test]
fn a_text_that_is_too_long_leaves_its_block_open_to_any_term() {
    let long = "word ".repeat(MAX_TEXT / 5 + 10) + "needle";
    let made = index_of(&[vec!["a"], vec![long.as_str()], vec!["b"]]);
    let index = opened(&made, 3).unwrap();
    assert_eq!(found(&index, &made.0.bytes, term("needle")), BTreeSet::from([1]));
}

#[test]
fn many_terms_take_about_nine_bits_each_and_few_blocks_are_looked_at_in_vain() {
    let lines: Vec<String> = (0..60_000u64).map(|i| format!("x{} y{}", i * 7919, i % 100)).collect();
    let mut b = Builder::new(1000);
    for line in &lines {
        b.text(line);
        b.end_row();
    }
    let made = b.finish().unwrap();
    let index = opened(&made, lines.len()).unwrap();
    let pairs = 60_000 + 60 * 100;
    let bits = made.0.bytes.len() as f64 * 8.0 / f64::from(pairs);
    assert!(bits < 9.5, "{bits}");
    let vain: usize = (0..1000u64).map(|i| found(&index, &made.0.bytes, term(&format!("z{i}"))).len()).sum();
    // 60 blocks, 1000 terms, one in 128.
    assert!((100..1000).contains(&vain), "{vain}");
}

#[test]
fn nothing_to_find_is_no_index() {
    assert!(Builder::new(4).finish().is_none());
    let mut b = Builder::new(4);
    b.text(" ");
    b.end_row();
    assert!(b.finish().is_none());
}

proptest! {
    #[test]
    fn every_word_of_every_block_is_found(
        blocks in prop::collection::vec(prop::collection::vec("[a-z]{0,2}( [a-z0-9]{1,3}){0,4}", 3), 1..40)
    ) {
        let lines: Vec<Vec<&str>> = blocks.iter().map(|b| b.iter().map(String::as_str).collect()).collect();
        let mut b = Builder::new(3);
        for line in lines.iter().flatten() {
            b.text(line);
            b.end_row();
        }
        let Some(made) = b.finish() else { return Ok(()) };
        let index = opened(&made, lines.len() * 3).unwrap();
        for (i, block) in lines.iter().enumerate() {
            for word in block.iter().flat_map(|l| l.split(' ')).filter(|w| !w.is_empty()) {
                prop_assert!(found(&index, &made.0.bytes, term(word)).contains(&i), "{word} in {i}");
            }
        }
    }

    #[test]
    fn pages_come_back(mut entries in prop::collection::btree_set(any::<u64>().prop_map(|e| e >> 8), 1..PAGE)) {
        entries.insert(7);
        let entries: Vec<u64> = entries.into_iter().collect();
        let mut bytes = Vec::new();
        encode_page(&entries, &mut bytes);
        prop_assert_eq!(decode_page(&bytes, entries[0], entries.len(), u64::MAX), Some(entries));
        prop_assert!(bytes.len() < 1 << 16);
    }

    #[test]
    fn garbage_is_refused_or_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), first: u64, rows in 0usize..10_000) {
        let _ = decode_page(&bytes, first, PAGE, u64::MAX);
        let place = BlobRef { offset: 0, length: bytes.len() as u64, crc: 0 };
        let _ = Index::decode(&bytes, place, rows);
    }
}

#[test]
fn finding_one_word_reads_little_of_the_file() {
    let lines = (0..200_000u64).map(|i| format!("id m{} end", i * 31));
    let stream = LogStream { labels: Labels::from_pairs([("a", "b")]), ..LogStream::default() };
    let record = |(t, line): (usize, String)| LogRecord {
        timestamp_ns: t as i64,
        body: AnyValue::String(line),
        ..LogRecord::default()
    };
    let batch = LogBatch { streams: vec![stream], records: lines.enumerate().map(record).collect() };
    let written = logs::write(&batch, &logs::WriteOptions::default()).unwrap();
    let (store, path) = stored(&written.bytes);
    let reader = block_on(logs::Reader::open(store.clone(), path, written.bytes.len() as u64)).unwrap();
    let mut s = logs::Selection::new(vec![], TimeRange::ALL, logs::Order::NewestFirst);
    s.need = Need::contains("d m3100 e");
    let line = contract::LineFilter::Contains("d m3100 e".to_owned());
    s.line = crate::lines::LineCondition::compile(&[line]).unwrap().map(Arc::new);
    let find = || collect(reader.select(s.clone())).unwrap().iter().map(|b| b.records.len()).sum::<usize>();
    assert_eq!(find(), 1);
    store.take_reads();
    assert_eq!(find(), 1);
    let read = store.take_bytes();
    println!("file {} B, one word found once more in {read} B", written.bytes.len());
    assert!(read < written.bytes.len() as u64 / 8, "{read} of {}", written.bytes.len());
}
