//! Files that a rotation renamed, copied or packed, seen in time or not.

use super::*;

#[test]
fn a_file_that_came_and_was_rotated_away_unseen_is_read_once() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    // While the node is down, twice.
    rig.write("a.log", "2\n");
    fs::rename(rig.log("a.log"), rig.log("a.log.2")).unwrap();
    rig.write("a.log", "3\n");
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    rig.write("a.log", "4\n");
    rig.restart();
    let planned = rig.cycle().planned;
    let Batch::Logs(b) = &planned[0].unit.batches[0] else { panic!("logs") };
    assert!(b.streams[0].labels.value("filename").ends_with("/a.log"), "{}", b.streams[0].labels);
    rig.drain();
    // And while it runs, between two looks; older ones move on to other names.
    fs::rename(rig.log("a.log.2"), rig.log("a.log.4")).unwrap();
    fs::rename(rig.log("a.log.1"), rig.log("a.log.3")).unwrap();
    fs::rename(rig.log("a.log"), rig.log("a.log.2")).unwrap();
    rig.write("a.log", "5\n");
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    rig.write("a.log", "6\n");
    for _ in 0..3 {
        rig.drain();
        rig.pass_grace();
        rig.restart();
    }
    rig.drain();
    let mut lines = rig.take();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3", "4", "5", "6"]);
    rig.pass_grace();
    rig.drain();
    assert_eq!(rig.cycle().following, 1);
}

#[test]
fn a_file_that_is_still_written_to_after_it_was_rotated_is_read_on() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    rig.drain();
    rig.pass_grace();
    rig.drain();
    rig.pass_grace();
    assert_eq!(rig.cycle().following, 0);
    rig.write("a.log.1", "late\n");
    rig.drain();
    assert_eq!(rig.take(), ["1", "late"]);
}

#[test]
fn copies_of_what_was_read_are_left_alone_for_good() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "first\n");
    rig.drain();
    fs::copy(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    rig.drain();
    OpenOptions::new().write(true).open(rig.log("a.log")).unwrap().set_len(0).unwrap();
    rig.write("a.log", "second\n");
    rig.drain();
    rig.restart();
    rig.drain();
    fs::rename(rig.log("a.log.1"), rig.log("a.log.2")).unwrap();
    rig.drain();
    assert_eq!(rig.take(), ["first", "second"]);
}

#[test]
fn what_was_rotated_before_the_first_start_is_left_alone() {
    let old = |logs: &Path| {
        fs::write(logs.join("a.log.1"), "older\n").unwrap();
        fs::write(logs.join("a.log"), "old\n").unwrap();
    };
    for (from_beginning, expected) in [(false, vec!["new"]), (true, vec!["old", "new"])] {
        let mut rig = Rig::new(from_beginning, old);
        rig.drain();
        rig.restart();
        rig.write("a.log", "new\n");
        rig.drain();
        assert_eq!(rig.take(), expected);
    }
}

#[test]
fn a_checkpoint_without_rotated_files_reads_none_of_them_again() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    fs::write(rig.log("a.log.1"), "read long ago\n").unwrap();
    let path = rig.dir.path().join("state/tail-files.json");
    let before = fs::read_to_string(&path).unwrap().replace(",\"rotated\":true", "");
    fs::write(&path, before).unwrap();
    rig.restart();
    rig.drain();
    rig.restart();
    rig.write("a.log", "2\n");
    rig.drain();
    assert_eq!(rig.take(), ["1", "2"]);
}

/// What the kubelet does to a rotated file, and logrotate.
fn pack(path: &Path) {
    let to = fs::File::create(format!("{}.gz", path.display())).unwrap();
    let mut packer = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
    packer.write_all(&fs::read(path).unwrap()).unwrap();
    packer.finish().unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn what_was_packed_before_it_was_read_is_read_on_where_reading_ended() {
    let mut rig = Rig::new(true, |_| ());
    let lines = |from: usize, to: usize| (from..to).map(|n| format!("{n:04}\n")).collect::<String>();
    rig.write("a.log", &lines(0, 100));
    rig.drain();
    rig.write("a.log", &lines(100, 200));
    // Planned, perhaps stored, and the node dies.
    let planned = rig.cycle().planned;
    planned.iter().for_each(|p| rig.store(p));
    rig.write("a.log", &lines(200, 300));
    fs::rename(rig.log("a.log"), rig.log("a.log.2")).unwrap();
    pack(&rig.log("a.log.2"));
    rig.write("a.log", &lines(300, 400));
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    pack(&rig.log("a.log.1"));
    rig.write("a.log", &lines(400, 500));
    rig.restart();
    rig.drain();
    for _ in 0..2 {
        rig.pass_grace();
        rig.drain();
        rig.restart();
    }
    rig.drain();
    let mut found = rig.take();
    found.sort();
    assert_eq!(found, lines(0, 500).lines().collect::<Vec<_>>());
}

#[test]
fn what_was_packed_unread_is_found_though_its_inode_is_another_files_by_now() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    rig.restart();
    rig.write("a.log", "2\n");
    fs::copy(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    pack(&rig.log("a.log.1"));
    fs::write(rig.log("a.log"), "3 begins otherwise\n").unwrap();
    rig.drain();
    let mut lines = rig.take();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3 begins otherwise"]);
}

#[test]
fn what_was_read_before_it_was_packed_is_left_alone() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    rig.write("a.log", "2\n");
    // Deleted while it is open: read to its end.
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    pack(&rig.log("a.log.1"));
    rig.write("a.log", "3\n");
    for _ in 0..3 {
        rig.drain();
        rig.pass_grace();
    }
    fs::rename(rig.log("a.log.1.gz"), rig.log("a.log.2.gz")).unwrap();
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).unwrap();
    rig.drain();
    rig.pass_grace();
    rig.drain();
    pack(&rig.log("a.log.1"));
    for _ in 0..3 {
        rig.drain();
        rig.pass_grace();
        rig.restart();
    }
    let mut lines = rig.take();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3"]);
}

#[test]
fn what_cannot_be_unpacked_is_left_alone_and_holds_up_nothing() {
    let mut rig = Rig::new(true, |_| ());
    rig.write("a.log", "1\n");
    rig.drain();
    fs::write(rig.log("a.log.1.gz"), "no gzip at all").unwrap();
    let mut cut_short = Vec::new();
    let mut packer = flate2::write::GzEncoder::new(&mut cut_short, flate2::Compression::fast());
    packer.write_all(&[b'x'; 1000]).unwrap();
    packer.finish().unwrap();
    fs::write(rig.log("a.log.2.gz"), &cut_short[..cut_short.len() - 10]).unwrap();
    rig.write("a.log", "2\n");
    for _ in 0..3 {
        rig.drain();
        rig.pass_grace();
        rig.restart();
    }
    assert_eq!(rig.take(), ["1", "2"]);
}
