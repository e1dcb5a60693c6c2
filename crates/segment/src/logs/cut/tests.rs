use std::sync::Arc;

use contract::LineFilter;
use model::{Labels, LogBatch, LogRecord, LogStream, TimeRange};
use proptest::prelude::*;

use super::{
    cutter::Cutter,
    scan::{Kind, Scanner},
};
use crate::{
    logs::{
        Folding, Order, Reader, Selection, WriteOptions,
        tests::{
            condition, flat, in_file_order, merge_segments, open, read_all, sample_batch, sample_batch_2,
        },
        write,
    },
    testing::{block_on, collect, from_hex},
};

fn kinds(line: &str) -> Vec<(String, Kind)> {
    let mut scanner = Scanner::default();
    assert!(scanner.scan(line), "{line:?}");
    scanner.slots.iter().map(|s| (line[s.at.clone()].to_owned(), s.kind)).collect()
}

#[test]
fn numbers_times_and_ids_are_slots() {
    let cases: &[(&str, &[(&str, Kind)])] = &[
        ("no digits here", &[]),
        ("took 007ms by u42", &[("007", Kind::Number), ("42", Kind::Number)]),
        (
            "2026-11-22T09:23:03.123456Z x",
            &[("2026-11-22", Kind::Pattern), ("09:23:03.123456", Kind::Pattern)],
        ),
        ("09:23:03 1:2", &[("09:23:03", Kind::Pattern), ("1", Kind::Number), ("2", Kind::Number)]),
        ("id=9f86d081884c7d65", &[("9f86d081884c7d65", Kind::Hex)]),
        ("a1b2c3d4-0000-1111-2222-0123456789ab.", &[("a1b2c3d4-0000-1111-2222-0123456789ab", Kind::Uuid)]),
        ("pod-x7k2p é8", &[("x7k2p", Kind::Token), ("8", Kind::Number)]),
        ("9F86D081 1h2m3s", &[("9F86D081", Kind::Token), ("1h2m3s", Kind::Token)]),
        ("1234567890123456789", &[("1234567890123456789", Kind::Token)]),
        (
            "3.25 10.0.0.1:80",
            &[
                ("3", Kind::Number),
                ("25", Kind::Number),
                ("10", Kind::Number),
                ("0", Kind::Number),
                ("0", Kind::Number),
                ("1", Kind::Number),
                ("80", Kind::Number),
            ],
        ),
    ];
    for (line, wanted) in cases {
        let wanted: Vec<(String, Kind)> = wanted.iter().map(|(t, k)| ((*t).to_owned(), *k)).collect();
        assert_eq!(kinds(line), wanted, "{line:?}");
    }
}

#[test]
fn a_line_that_does_not_fit_stays_plain() {
    let mut scanner = Scanner::default();
    for line in ["a\u{1}b".to_owned(), "x".repeat(20_000), "1 ".repeat(65), format!("a{}", "1a".repeat(200))]
    {
        assert!(!scanner.scan(&line), "{line:?}");
    }
}

#[test]
fn what_does_not_vary_is_text_of_the_template() {
    let mut cutter = Cutter::default();
    let line = |i: usize| format!("GET /api/v1/items?page={i} HTTP/1.1 by user{}", i * 7);
    (0..100).for_each(|i| cutter.teach(&line(i)));
    cutter.taught();
    let number = cutter.cut(&line(7)).unwrap();
    // 7 and 49: the versions stand in the template.
    assert_eq!(cutter.values.len(), 2);
    assert_eq!(cutter.cut(&line(8)), Some(number));
    let other = line(9).replace("v1", "v2");
    assert_ne!(cutter.cut(&other), Some(number));
    assert_eq!(cutter.cut("seen once, never again"), None);
}

/// Lines as programs write them, each with a number of others like it.
fn like_programs() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{1,8}",
        "[0-9]{1,20}",
        "[0-9a-f]{8,40}",
        "[a-z0-9_]{1,20}",
        "é[0-9]{1,3}ſ",
        "[A-Z0-9]{3,12}",
        "[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{1,11})?",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T?",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    ];
    let gap = prop_oneof![Just(" "), Just("="), Just("."), Just(""), Just("-"), Just("T"), Just("\n")];
    prop::collection::vec((word, gap), 0..8)
        .prop_map(|parts| parts.into_iter().map(|(w, g)| w + g).collect::<String>())
}

/// The same with other digits.
fn varied(line: &str, by: u8) -> String {
    line.chars().map(|c| c.to_digit(10).map_or(c, |d| char::from(b'0' + (d as u8 + by) % 10))).collect()
}

proptest! {
    #[test]
    fn a_line_comes_back_from_its_values(
        lines in prop::collection::vec(prop_oneof![like_programs(), ".{0,30}", any::<String>()], 1..12),
        taught in any::<bool>(),
    ) {
        let mut cutter = Cutter::default();
        let all: Vec<String> = (0..20).flat_map(|by| lines.iter().map(move |l| varied(l, by))).collect();
        if taught {
            all.iter().for_each(|l| cutter.teach(l));
            cutter.taught();
        }
        for line in &all {
            let Some(number) = cutter.cut(line) else { continue };
            let template = cutter.table.get(number).unwrap();
            let mut back = Vec::new();
            prop_assert!(template.assemble(&cutter.values, &mut back).is_some());
            prop_assert_eq!(std::str::from_utf8(&back).unwrap(), line);
            prop_assert_eq!(template.length(&cutter.values), Some(line.len()));
        }
    }

    #[test]
    fn terms_of_template_and_regions_are_those_of_the_line(line in prop_oneof![like_programs(), ".{0,40}"]) {
        let mut cutter = Cutter::default();
        cutter.cut(&line);
        let Some(number) = cutter.cut(&line) else { return Ok(()) };
        let terms = |text: &str| {
            let mut folded = Vec::new();
            crate::terms::fold(text, &mut folded);
            let mut found = std::collections::BTreeSet::new();
            crate::terms::each(&mut folded, |t| { found.insert(t); });
            found
        };
        let mut found: std::collections::BTreeSet<u64> = cutter.untold(number, 0).iter().copied().collect();
        for region in cutter.regions(number) {
            found.extend(terms(&line[region.clone()]));
        }
        prop_assert_eq!(found, terms(&line));
        prop_assert!(cutter.untold(number, 0).is_empty());
    }
}

fn batch(lines: &[String]) -> LogBatch {
    let record = |(i, line): (usize, &String)| LogRecord {
        stream: (i % 2) as u32,
        timestamp_ns: i as i64,
        body: line.as_str().into(),
        ..LogRecord::default()
    };
    let stream = |name: &str| LogStream { labels: Labels::from_pairs([("a", name)]), ..LogStream::default() };
    LogBatch {
        streams: vec![stream("1"), stream("2")],
        records: lines.iter().enumerate().map(record).collect(),
    }
}

fn filters() -> Vec<LineFilter> {
    let patterns = [
        "[a-f][0-9][a-f]",
        "[0-9]{3}",
        "1",
        r"\bab",
        r"\d\b",
        "(?i)a.*[2-5]",
        "^[a-z]+=",
        "z$",
        ".{12}",
        "é",
        "^$",
        r"\.0[0-9]+",
        "-[0-9a-f]{4}-",
    ];
    let regex = patterns.iter().map(|p| LineFilter::Regex((*p).to_owned()));
    let not = patterns.iter().map(|p| LineFilter::NotRegex((*p).to_owned()));
    let texts = ["a1", "12", "00", "", " x", "é1"].map(|t| LineFilter::Contains(t.to_owned()));
    // Too many states for an automaton, or for what is remembered of one.
    let large = ["[0-9a-f]*a[0-9a-f]{14}", "[ab1][0-9a-f]{7}1"].map(|p| LineFilter::Regex(p.to_owned()));
    regex.chain(not).chain(texts).chain(large).collect()
}

/// Reads what passes by reader and by text.
fn conditions_agree(reader: &Reader, whole: &LogBatch) -> Result<(), TestCaseError> {
    let edges = Arc::new([i64::MIN, i64::MAX - 1]);
    let folding = Folding { edges, fields: Vec::new(), bytes: true, max_groups: 100 };
    for filter in filters() {
        let line = condition(filter.clone()).unwrap();
        let text = |r: &LogRecord| r.body.as_str().map_or_else(|| r.body.to_string(), str::to_owned);
        let mut wanted = whole.clone();
        wanted.records.retain(|r| line.matches(&text(r)));
        let bytes: usize = wanted.records.iter().map(|r| text(r).len()).sum();
        let mut selection = Selection::new(vec![], TimeRange::ALL, Order::OldestFirst);
        selection.line = Some(line);
        let (_, groups) = block_on(reader.count(selection.clone(), &folding)).unwrap().unwrap();
        let counted = groups.iter().fold((0, 0), |(n, b), g| (n + g.count as usize, b + g.bytes as usize));
        prop_assert_eq!(counted, (wanted.records.len(), bytes), "{:?}", filter);
        let mut found = flat(&collect(reader.select(selection)).unwrap());
        let mut wanted = in_file_order(&wanted);
        found.sort();
        wanted.sort();
        prop_assert_eq!(found, wanted, "{:?}", filter);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn conditions_over_pieces_are_those_over_texts(
        lines in prop::collection::vec(prop_oneof![4 => like_programs(), 1 => ".{0,30}"], 1..8),
    ) {
        // So many that some are walked through side by side, and some are left over.
        let all: Vec<String> = (0..22).flat_map(|by| lines.iter().map(move |l| varied(l, by))).collect();
        let whole = batch(&all);
        let written = write(&whole, &WriteOptions::default()).unwrap();
        prop_assert_eq!(read_all(&written.bytes).unwrap(), in_file_order(&whole));
        conditions_agree(&open(&written.bytes).unwrap(), &whole)?;
        // And what is carried over into another segment.
        let half = |n: i64| {
            let records = whole.records.iter().filter(|r| r.timestamp_ns / 7 % 2 == n).cloned().collect();
            write(&LogBatch { records, ..whole.clone() }, &WriteOptions::default()).unwrap().bytes
        };
        let merged = merge_segments(&[half(0), half(1)], |_, _| true).unwrap();
        prop_assert_eq!(read_all(&merged.bytes).unwrap(), in_file_order(&whole));
        conditions_agree(&open(&merged.bytes).unwrap(), &whole)?;
    }
}

#[test]
fn segments_without_templates_are_read_asked_and_merged() {
    let old = from_hex(include_str!("../../../tests/fixtures/logs-v1.hex"));
    let mut whole = sample_batch();
    conditions_agree(&open(&old).unwrap(), &whole).unwrap();
    let new = sample_batch_2();
    let written = write(&new, &WriteOptions::default()).unwrap().bytes;
    conditions_agree(&open(&written).unwrap(), &new).unwrap();
    let merged = merge_segments(&[old, written], |_, _| true).unwrap();
    whole.records.extend(new.records);
    assert_eq!(read_all(&merged.bytes).unwrap(), in_file_order(&whole));
    conditions_agree(&open(&merged.bytes).unwrap(), &whole).unwrap();
}
