use std::{io::Write, path::PathBuf, time::Duration};

use base::Clock;
use model::Batch;

use super::*;
use crate::context::tests::context;

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}

#[tokio::test]
async fn pod_logs_are_followed_and_refusals_hold_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let container = dir.path().join("pods/default_web-1_u-i-d/nginx");
    std::fs::create_dir_all(&container).unwrap();
    let path = container.join("0.log");
    std::fs::write(&path, "2023-11-14T22:13:20Z stdout F one\n").unwrap();
    let (c, recorder) = context(Clock::system());
    recorder.errors.lock().push_back(contract::Error::unavailable("not yet"));
    let source = Source::Pods { root: dir.path().join("pods"), exclude: vec![] };
    let options = Options { from_beginning: true, ..Options::new("pods", source, dir.path().join("state")) };
    start(&c, options.clone());
    until("the first line", || recorder.lines() == ["one"]).await;

    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"2023-11-14T22:13:21Z stderr P tw\n2023-11-14T22:13:22Z stderr F o\n").unwrap();
    until("the second line", || recorder.lines() == ["one", "two"]).await;
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();

    file.write_all(b"2023-11-14T22:13:23Z stdout F three\n").unwrap();
    let (c, after) = context(Clock::system());
    start(&c, options);
    until("the third line", || after.lines() == ["three"]).await;
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();

    let units = recorder.units.lock();
    let Batch::Logs(b) = &units[1].batches[0] else { panic!("logs") };
    assert_eq!(b.streams[0].labels.value("k8s_pod_name"), "web-1");
    assert_eq!(b.records[0].attributes.get_str("log.iostream"), Some("stderr"));
}

/// Logs that others collected, beside the checkout; `None` and a printed line where they are absent.
fn shared(folder: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(env!("ORRERY_CHECKOUT")).join("../shared/data").join(folder);
    if !dir.is_dir() {
        println!("skipped: {} is not there", dir.display());
        return None;
    }
    Some(dir)
}

#[test]
fn every_line_of_real_container_logs_becomes_a_record_with_its_time() {
    let Some(dir) = shared("fluentbit-k8s") else { return };
    let files = glob::expand(&format!("{}/**/*.log", dir.display()));
    let (mut lines, mut timed) = (0, 0);
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        let limits = records::Limits { max_line_bytes: 1 << 20, max_lines: usize::MAX };
        let cut = records::cut(&bytes, records::Format::Container, limits, true);
        assert_eq!(cut.consumed, bytes.len(), "{}", path.display());
        let expected = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count();
        assert_eq!(cut.records.len(), expected, "{}", path.display());
        lines += expected;
        timed += cut.records.iter().filter(|r| r.time_ns.is_some() && r.stream.is_some()).count();
    }
    println!("{lines} lines of {} files, {timed} with time and stream", files.len());
    assert_eq!(timed, lines);
}

/// The `Level` column of a structured log, line by line.
fn levels(csv: &str) -> Vec<String> {
    let fields = |line: &str| -> Vec<String> {
        let (mut out, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => out.push(String::new()),
                c => out.last_mut().unwrap().push(c),
            }
        }
        out
    };
    let mut lines = csv.lines();
    let at = fields(lines.next().unwrap()).iter().position(|f| f == "Level").unwrap();
    lines.map(|l| fields(l)[at].clone()).collect()
}

#[test]
fn the_severity_of_real_lines_is_the_one_experts_labelled() {
    let Some(dir) = shared("loghub-2k") else { return };
    for system in ["Zookeeper", "Spark", "HDFS", "OpenStack"] {
        let file = |suffix: &str| {
            std::fs::read_to_string(dir.join(format!("{system}/{system}_2k.log{suffix}"))).unwrap()
        };
        let (log, expected) = (file(""), levels(&file("_structured.csv")));
        let found = log.lines().zip(&expected).filter(|(line, level)| {
            lines::severity(line).is_some_and(|s| s.text.eq_ignore_ascii_case(level))
        });
        let found = found.count();
        println!("{system}: {found} of {} severities", expected.len());
        assert_eq!(found, expected.len(), "{system}");
    }
}
