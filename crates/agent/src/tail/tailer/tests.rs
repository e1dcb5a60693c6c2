use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use proptest::prelude::*;

use super::*;
use crate::tail::Source;

mod rotation;

const SECOND: i64 = 1_000_000_000;

/// A directory of logs, a tailer that can die, and a store that knows batch ids.
struct Rig {
    dir: tempfile::TempDir,
    tailer: Tailer,
    now_ns: i64,
    stored: Vec<String>,
    ids: BTreeSet<BatchId>,
    writes: std::cell::Cell<u64>,
}

fn options(dir: &Path) -> Options {
    let source = Source::Files {
        paths: vec![format!("{}/logs/*.log", dir.display())],
        exclude: vec![],
        job: "files".into(),
        service_name: None,
    };
    let o = Options::new("files", source, dir.join("state"));
    Options { max_line_bytes: 64, max_batch_lines: 7, max_batch_bytes: 256, ..o }
}

impl Rig {
    fn new(from_beginning: bool, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("logs")).unwrap();
        prepare(&dir.path().join("logs"));
        let o = Options { from_beginning, ..options(dir.path()) };
        let tailer = Tailer::open(o, "box", 0).unwrap().0;
        Rig {
            dir,
            tailer,
            now_ns: 1_700_000_000 * SECOND,
            stored: Vec::new(),
            ids: BTreeSet::new(),
            writes: Default::default(),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut f = OpenOptions::new().create(true).append(true).open(self.log(name)).unwrap();
        f.write_all(text.as_bytes()).unwrap();
        self.touch(&f);
    }

    /// Gives every write a time of its own, finer than the kernel's clock tick would.
    fn touch(&self, f: &fs::File) {
        self.writes.set(self.writes.get() + 1);
        f.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(self.writes.get())).unwrap();
    }

    fn cycle(&mut self) -> Cycle {
        self.now_ns += SECOND;
        self.tailer.cycle(self.now_ns)
    }

    /// What a store does: a known id is answered without storing again.
    fn store(&mut self, p: &Planned) {
        if self.ids.insert(p.unit.batch_id.unwrap()) {
            let Batch::Logs(b) = &p.unit.batches[0] else { panic!("logs") };
            self.stored.extend(b.records.iter().map(|r| r.body.to_string()));
        }
    }

    /// Cycles until nothing is left to read.
    fn drain(&mut self) {
        for _ in 0..200 {
            let planned = self.cycle().planned;
            if planned.is_empty() {
                return;
            }
            for p in &planned {
                self.store(p);
                self.tailer.acknowledged(p);
            }
        }
        panic!("never done");
    }

    /// The process dies: what is in memory is gone.
    fn restart(&mut self) {
        let o = self.tailer.options.clone();
        self.tailer = Tailer::open(o, "box", self.now_ns).unwrap().0;
    }

    fn pass_grace(&mut self) {
        self.now_ns += 11 * SECOND;
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.stored)
    }
}

#[test]
fn only_new_lines_are_read_unless_asked_for_the_beginning() {
    let old = |logs: &Path| fs::write(logs.join("a.log"), "old\n").unwrap();
    let mut rig = Rig::new(false, old);
    rig.drain();
    rig.write("a.log", "new\n");
    rig.write("b.log", "appeared later\n");
    rig.drain();
    let mut lines = rig.take();
    lines.sort();
    assert_eq!(lines, ["appeared later", "new"]);
    let mut rig = Rig::new(true, old);
    rig.drain();
    assert_eq!(rig.take(), ["old"]);
}

#[test]
fn a_restart_goes_on_where_the_store_acknowledged() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n2\npartial");
    rig.drain();
    rig.restart();
    rig.write("a.log", " line\n3\n");
    rig.drain();
    assert_eq!(rig.take(), ["1", "2", "partial line", "3"]);
}

#[test]
fn a_crash_between_append_and_checkpoint_doubles_nothing() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n2\n");
    let planned = rig.cycle().planned;
    planned.iter().for_each(|p| rig.store(p));
    // It dies before it hears of the acknowledgement; meanwhile the file grows.
    rig.write("a.log", "3\n");
    rig.restart();
    rig.drain();
    assert_eq!(rig.take(), ["1", "2", "3"]);
}

#[test]
fn a_crash_before_the_append_loses_nothing() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n2\n");
    assert_eq!(rig.cycle().planned.len(), 1);
    rig.restart();
    rig.write("a.log", "3\n");
    rig.drain();
    assert_eq!(rig.take(), ["1", "2", "3"]);
}

#[test]
fn a_refused_range_is_planned_again_unchanged() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    let first = rig.cycle().planned;
    rig.write("a.log", "2\n");
    let second = rig.cycle().planned;
    assert_eq!(first[0].unit.batch_id, second[0].unit.batch_id);
    rig.drain();
    assert_eq!(rig.take(), ["1", "2"]);
}

#[test]
fn a_planned_range_is_cut_as_it_was_planned_whatever_the_limit_is_by_then() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", &format!("{}\n", "x".repeat(100)));
    let first = rig.cycle().planned;
    // A reload: the same files under another ingest.max_line.
    rig.tailer.options.max_line_bytes = 40;
    rig.restart();
    let again = rig.cycle().planned;
    let bodies = |p: &[Planned]| {
        let Batch::Logs(b) = &p[0].unit.batches[0] else { panic!("logs") };
        b.records.iter().map(|r| r.body.to_string().len()).collect::<Vec<_>>()
    };
    assert_eq!(first[0].unit.batch_id, again[0].unit.batch_id);
    assert_eq!((bodies(&first), bodies(&again)), (vec![64, 36], vec![64, 36]));
    rig.drain();
    rig.write("a.log", &format!("{}\n", "y".repeat(50)));
    rig.drain();
    let lengths: Vec<usize> = rig.take().iter().map(String::len).collect();
    assert_eq!(lengths, [64, 36, 40, 10]);
}

#[test]
fn the_last_lines_of_a_renamed_file_are_read() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    rig.write("a.log", "2\nlast without line feed");
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    rig.write("a.log", "new file\n");
    rig.drain();
    rig.pass_grace();
    rig.drain();
    let mut lines = rig.take();
    lines.sort();
    assert_eq!(lines, ["1", "2", "last without line feed", "new file"]);
    rig.pass_grace();
    assert_eq!(rig.cycle().following, 1, "the old file is let go");
}

#[test]
fn a_file_rotated_while_the_node_was_down_is_found_under_its_new_name() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    rig.write("a.log", "2\n");
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    rig.write("a.log", "3\n");
    rig.restart();
    rig.drain();
    let mut lines = rig.take();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3"]);
}

#[test]
fn a_rotated_file_that_the_pattern_still_matches_is_not_read_again() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    fs::rename(rig.log("a.log"), rig.log("a.1.log")).unwrap();
    rig.write("a.log", "2\n");
    rig.drain();
    rig.restart();
    rig.pass_grace();
    rig.drain();
    assert_eq!(rig.take(), ["1", "2"]);
}

#[test]
fn a_file_cut_short_in_place_begins_again() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "first 1\nfirst 2\n");
    rig.drain();
    fs::copy(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    OpenOptions::new().write(true).open(rig.log("a.log")).unwrap().set_len(0).unwrap();
    rig.write("a.log", "second 1\n");
    let cycle = rig.cycle();
    assert!(cycle.problems.contains(&"truncated"), "{:?}", cycle.problems);
    rig.drain();
    // Grown past where reading stood: only the first bytes tell.
    OpenOptions::new().write(true).open(rig.log("a.log")).unwrap().set_len(0).unwrap();
    rig.write("a.log", "third 1 and quite a bit longer than before\n");
    rig.restart();
    rig.drain();
    assert_eq!(rig.take(), ["first 1", "first 2", "second 1", "third 1 and quite a bit longer than before"]);
}

#[test]
fn an_inode_used_again_is_another_file_with_labels_of_its_own() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("old.log", "old 1\nold 2\n");
    rig.drain();
    rig.restart();
    // What deleting a file and creating another one often does, made certain: same inode, other contents.
    fs::rename(rig.log("old.log"), rig.log("new.log")).unwrap();
    fs::write(rig.log("new.log"), "new 1 is longer than all that was there\n").unwrap();
    let planned = rig.cycle().planned;
    let Batch::Logs(b) = &planned[0].unit.batches[0] else { panic!("logs") };
    assert_eq!(b.streams[0].labels.value("service_name"), "new");
    rig.drain();
    assert_eq!(rig.take(), ["old 1", "old 2", "new 1 is longer than all that was there"]);
}

#[test]
fn a_new_file_of_the_same_inode_and_length_is_noticed() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "old 1\n");
    rig.drain();
    rig.restart();
    rig.drain();
    fs::write(rig.log("a.log"), "new 1\n").unwrap();
    rig.touch(&OpenOptions::new().write(true).open(rig.log("a.log")).unwrap());
    rig.drain();
    assert_eq!(rig.take(), ["old 1", "new 1"]);
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_let_go() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    rig.write("a.log", "2\n");
    fs::remove_file(rig.log("a.log")).unwrap();
    rig.drain();
    rig.pass_grace();
    rig.drain();
    assert_eq!(rig.take(), ["1", "2"]);
    assert_eq!(rig.cycle().following, 0);
}

#[test]
fn a_checkpoint_that_cannot_be_written_stops_appending() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    // A directory in the place of the file beside: creating it fails, whoever asks.
    let beside = rig.dir.path().join("state/tail-files.new");
    fs::create_dir(&beside).unwrap();
    let cycle = rig.cycle();
    assert!(cycle.planned.is_empty() && cycle.blocked.is_some());
    fs::remove_dir(&beside).unwrap();
    rig.drain();
    assert_eq!(rig.take(), ["1"]);
}

#[test]
fn blank_lines_are_passed_over_and_long_ones_split() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "\n\n\n");
    rig.drain();
    rig.write("a.log", &format!("{}\n", "x".repeat(100)));
    rig.drain();
    assert_eq!(rig.take(), ["x".repeat(64), "x".repeat(36)]);
}

#[test]
fn records_carry_time_severity_and_where_they_come_from() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("app.log", "2023-11-14T22:13:20Z ERROR broken\n");
    let planned = rig.cycle().planned;
    let Batch::Logs(b) = &planned[0].unit.batches[0] else { panic!("logs") };
    let r = &b.records[0];
    assert_eq!(
        (r.timestamp_ns, r.severity_number, r.severity_text.as_str()),
        (1_700_000_000 * SECOND, 17, "ERROR")
    );
    assert_eq!(b.streams[0].labels.value("service_name"), "app");
    assert!(b.streams[0].labels.value("filename").ends_with("logs/app.log"));
}

#[derive(Debug, Clone)]
enum Step {
    Write(u8, usize),
    Cycle { stored: bool, heard: bool },
    Restart,
    Rename(u8),
    Delete(u8),
    CopyTruncate(u8),
    Grace,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..3, 1usize..12).prop_map(|(f, n)| Step::Write(f, n)),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(stored, heard)| Step::Cycle { stored, heard: heard && stored }),
        2 => Just(Step::Restart),
        1 => (0u8..3).prop_map(Step::Rename),
        1 => (0u8..3).prop_map(Step::Delete),
        1 => (0u8..3).prop_map(Step::CopyTruncate),
        1 => Just(Step::Grace),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    /// Whatever happens to process and files, each line is stored exactly once, provided that the tail has
    /// seen it before its file was deleted or cut short.
    #[test]
    fn every_line_is_stored_exactly_once(steps in proptest::collection::vec(step(), 1..50)) {
        let mut rig = Rig::new(true, |_| ());
        let mut written = Vec::new();
        let mut rotated = 0;
        for s in steps {
            match s {
                Step::Write(file, lines) => {
                    let mut text = String::new();
                    for _ in 0..lines {
                        let line = format!("line {:05}", written.len());
                        text.push_str(&line);
                        text.push('\n');
                        written.push(line);
                    }
                    rig.write(&format!("{file}.log"), &text);
                }
                Step::Cycle { stored, heard } => {
                    for p in rig.cycle().planned {
                        if stored {
                            rig.store(&p);
                        }
                        if heard {
                            rig.tailer.acknowledged(&p);
                        }
                    }
                }
                Step::Restart => rig.restart(),
                Step::Rename(file) => {
                    rig.cycle();
                    rotated += 1;
                    let to = format!("{file}.log.{rotated}");
                    let _ = fs::rename(rig.log(&format!("{file}.log")), rig.log(&to));
                }
                Step::Delete(file) => {
                    rig.drain();
                    let _ = fs::remove_file(rig.log(&format!("{file}.log")));
                    rig.pass_grace();
                    rig.drain();
                }
                Step::CopyTruncate(file) => {
                    rig.drain();
                    if let Ok(f) = OpenOptions::new().write(true).open(rig.log(&format!("{file}.log"))) {
                        f.set_len(0).unwrap();
                    }
                    rig.cycle();
                }
                Step::Grace => rig.pass_grace(),
            }
        }
        rig.drain();
        rig.pass_grace();
        rig.drain();
        let mut stored = rig.take();
        stored.sort();
        prop_assert_eq!(stored, written);
    }
}

#[test]
fn a_containers_last_words_come_though_no_line_feed_ends_them() {
    let mut rig = Rig::new(true, |_| ());
    rig.tailer.options.source = Source::Pods { root: rig.dir.path().join("pods"), exclude: vec![] };
    rig.tailer.options.max_line_bytes = 1000;
    rig.tailer.options.max_batch_bytes = 1000;
    let container = rig.dir.path().join("pods/ns_pod_uid/app");
    fs::create_dir_all(&container).unwrap();
    let part = |text: &str| {
        format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20Z\"}}\n")
    };
    fs::write(container.join("0.log"), part("whole\\n") + &part("last ")).unwrap();
    rig.drain();
    assert_eq!(rig.take(), ["whole"]);
    let mut file = OpenOptions::new().append(true).open(container.join("0.log")).unwrap();
    file.write_all(part("words").as_bytes()).unwrap();
    rig.drain();
    assert!(rig.take().is_empty());
    rig.pass_grace();
    rig.drain();
    assert_eq!(rig.take(), ["last words"]);
}
