use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
};

use proptest::prelude::*;

use super::*;

fn mined(lines: &[&str]) -> Vec<String> {
    let mut all = super::super::mined(lines.iter().copied());
    all.sort();
    all
}

#[test]
fn what_has_a_digit_varies() {
    assert_eq!(mined(&["took 12ms for 10.0.0.1:443, ok"]), ["took <_> for <_>, ok"]);
    assert_eq!(mined(&["2024-01-02T03:04:05Z GET /api/users/42?q=a"]), ["<_> GET /api/users/<_>?q=a"]);
    assert_eq!(mined(&["id=deadbeefdeadbeef a=b"]), ["id=<_> a=b"]);
}

#[test]
fn lines_of_as_many_words_that_mostly_agree_are_one_pattern() {
    let users = ["session opened for user root", "session opened for user news"];
    assert_eq!(mined(&users), ["session opened for user <_>"]);
    assert_eq!(
        mined(&["level=info msg=done in=1s", "level=warn msg=done in=2s"]),
        ["level=<_> msg=done in=<_>"]
    );
    let json = [r#"{"lvl":"info","a":"x","n":1}"#, r#"{"lvl":"warn","a":"x","n":2}"#];
    assert_eq!(mined(&json), [r#"{"lvl":"<_>","a":"x","n":<_>}"#]);
    assert_eq!(mined(&["open the door", "close a window"]), ["close a window", "open the door"]);
}

#[test]
fn a_pattern_says_nothing_that_a_filter_would_read_otherwise() {
    assert_eq!(mined(&["in <init> of <a b>"]), ["in <_> of <a b>"]);
    assert_eq!(mined(&["  a 1  2 b "]), ["<_>a <_> b<_>"], "two variables side by side are one");
    assert_eq!(mined(&["", " \t "]), Vec::<String>::new());
}

#[test]
fn a_stream_of_nothing_alike_keeps_so_many_patterns_and_no_more() {
    let (mut miner, mut words) = (Miner::default(), Words::default());
    let word = |n: usize| -> String { n.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect() };
    let mut most = 0;
    for n in 0..5 * MAX_PATTERNS {
        words.cut(&format!("{} {} {}", word(n), word(7 * n), word(3 * n)));
        let at = miner.learn(&words, &mut u64::MAX.clone()).unwrap();
        miner.count(at, n as u32, 1);
        most = most.max(miner.bytes());
    }
    assert_eq!(miner.patterns().len(), MAX_PATTERNS);
    assert!(miner.by_hash.len() <= MAX_HASHES && most < 200_000, "{most} bytes");
    let held: usize = miner.patterns().iter().map(Pattern::bytes).sum();
    assert_eq!(miner.bytes, held, "what it says it holds");
    let places: usize = miner.by_len.values().map(Vec::len).sum();
    assert_eq!(places, MAX_PATTERNS);
}

/// A CSV record may hold commas and doubled quotes inside quotes.
fn columns(record: &str) -> Vec<String> {
    let (mut out, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = record.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    out.push(field);
    out
}

/// The share of lines that stand together with exactly those that people put them together with.
fn grouping_accuracy(lines: &[(String, String)]) -> f64 {
    let (mut miner, mut words) = (Miner::default(), Words::default());
    let (mut ours, mut theirs) = (HashMap::<usize, Vec<usize>>::new(), HashMap::<&str, Vec<usize>>::new());
    for (i, (content, event)) in lines.iter().enumerate() {
        words.cut(content);
        ours.entry(miner.learn(&words, &mut u64::MAX.clone()).unwrap_or(usize::MAX)).or_default().push(i);
        theirs.entry(event).or_default().push(i);
    }
    let right = ours.values().filter(|group| {
        let event = group.first().and_then(|i| lines.get(*i)).map(|(_, event)| event.as_str());
        event.and_then(|e| theirs.get(e)) == Some(group)
    });
    right.map(Vec::len).sum::<usize>() as f64 / lines.len() as f64
}

#[test]
fn lines_of_real_programs_are_grouped_as_people_grouped_them() {
    let dir: PathBuf = [env!("ORRERY_CHECKOUT"), "../shared/data/loghub-2k"].iter().collect();
    if !dir.exists() {
        println!("loghub-2k is not there, skipped");
        return;
    }
    // What was measured, less a little.
    let floors = BTreeMap::from([
        ("Android", 0.79),
        ("HDFS", 0.99),
        ("HPC", 0.9),
        ("HealthApp", 0.97),
        ("OpenStack", 0.36),
        ("Spark", 0.91),
        ("Thunderbird", 0.95),
        ("Zookeeper", 0.98),
    ]);
    let mut low = Vec::new();
    for (name, floor) in floors {
        let text = fs::read_to_string(dir.join(name).join(format!("{name}_2k.log_structured.csv"))).unwrap();
        let mut records = text.lines().map(columns);
        let head = records.next().unwrap();
        let at = |name: &str| head.iter().position(|h| h == name).unwrap();
        let (content, event) = (at("Content"), at("EventId"));
        let lines: Vec<_> = records.map(|r| (r[content].clone(), r[event].clone())).collect();
        let accuracy = grouping_accuracy(&lines);
        println!("{name}: {accuracy:.3} of {} lines", lines.len());
        if accuracy < floor {
            low.push(format!("{name}: {accuracy:.3}, not {floor}"));
        }
    }
    assert!(low.is_empty(), "{low:?}");
}

proptest! {
    #[test]
    fn any_lines_are_taken_and_counted(lines in prop::collection::vec("\\PC*|[<>_a-c1 ,=:\"{}\\t]*", 1..40)) {
        let (mut miner, mut words) = (Miner::default(), Words::default());
        for line in &lines {
            words.cut(line);
            if let Some(at) = miner.learn(&words, &mut u64::MAX.clone()) {
                miner.count(at, 1, 1);
            }
        }
        let counted: u32 = miner.patterns().iter().flat_map(|p| p.samples.iter()).map(|(_, n)| n).sum();
        prop_assert_eq!(counted as usize, lines.iter().filter(|l| !l.trim().is_empty()).count());
        for p in miner.patterns() {
            prop_assert!(!p.text().contains("<_><_>"));
        }
    }
}
