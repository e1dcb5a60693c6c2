//! Clusters whose lines come late, that go away and come back, and a reader that wants each line once.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const CLUSTERS: [&str; 3] = ["east", "north", "west"];

#[derive(Debug, Clone)]
struct Written {
    cluster: usize,
    at_ns: i64,
    /// When it can be read.
    there_ns: i64,
    text: String,
}

/// Some seconds in which a cluster does not answer.
#[derive(Debug, Clone)]
struct Away {
    cluster: usize,
    from_ns: i64,
    to_ns: i64,
}

#[derive(Debug, Default)]
struct World {
    lines: Vec<Written>,
    away: Vec<Away>,
    /// Lines, and time, of clusters that break off stand in the middle of an answer instead of being missing.
    breaks_off: bool,
}

impl World {
    fn is_away(&self, cluster: usize, now_ns: i64) -> bool {
        self.away.iter().any(|a| a.cluster == cluster && a.from_ns <= now_ns && now_ns < a.to_ns)
    }

    /// What a federation of the clusters answers.
    fn answer(&self, read: &Read, now_ns: i64) -> (Vec<StreamEntries>, Coverage) {
        let mut coverage = Coverage::default();
        let mut found: Vec<&Written> = Vec::new();
        if read.range.is_empty() {
            return (Vec::new(), coverage);
        }
        for (cluster, name) in CLUSTERS.iter().enumerate() {
            if read.cluster.as_deref().is_some_and(|c| c != *name) {
                continue;
            }
            let mut source = SourceCoverage::complete(*name, Signal::LOGS, read.range);
            let mut range = read.range;
            if self.is_away(cluster, now_ns) {
                source = missing(name, None, "gone");
                let middle = TimestampNs(range.start.0 / 2 + range.end.0 / 2);
                range.end = if self.breaks_off { middle } else { range.start };
                if self.breaks_off {
                    source.state = CoverageState::Partial;
                    let covered = TimeRange::new(range.start, TimestampNs(middle.0 - SECOND_NS));
                    source.covered = if covered.is_empty() { Vec::new() } else { vec![covered] };
                }
            }
            coverage.merge(Coverage::one(source));
            let there = self.lines.iter().filter(|l| l.cluster == cluster && l.there_ns <= now_ns);
            found.extend(there.filter(|l| range.contains(TimestampNs(l.at_ns))));
        }
        found.sort_by_key(|l| l.at_ns);
        if read.direction == Direction::NewestFirst {
            found.reverse();
        }
        let mut streams: BTreeMap<Labels, Vec<Entry>> = BTreeMap::new();
        for l in found.into_iter().take(read.limit) {
            let labels = Labels::from_pairs([("cluster", CLUSTERS[l.cluster])]);
            let entry = Entry { ts_ns: l.at_ns, line: l.text.clone(), ..Entry::default() };
            streams.entry(labels).or_default().push(entry);
        }
        let streams = streams.into_iter().map(|(labels, entries)| StreamEntries { labels, entries });
        (streams.collect(), coverage)
    }
}

struct Reader {
    follow: Follow,
    now_ns: i64,
    sent: Vec<Row>,
    left_out: usize,
}

impl Reader {
    fn new(follow: Follow) -> Self {
        Reader { follow, now_ns: 0, sent: Vec::new(), left_out: 0 }
    }

    fn turn(&mut self, world: &World) {
        let read = self.follow.next(self.now_ns);
        let (streams, coverage) = world.answer(&read, self.now_ns);
        let fresh = self.follow.took(&read, streams, &coverage, self.now_ns);
        assert!(fresh.rows.windows(2).all(|w| w[0].entry.ts_ns <= w[1].entry.ts_ns));
        self.sent.extend(fresh.rows);
        self.left_out += usize::from(fresh.left_out.is_some());
    }

    /// Reads every second until then, and whatever there is to read each time.
    fn until(&mut self, world: &World, to_ns: i64) {
        while self.now_ns < to_ns {
            self.now_ns += SECOND_NS;
            self.turn(world);
            let mut turns = 0;
            while self.follow.is_behind() {
                turns += 1;
                assert!(turns < 1000, "reading comes to an end: {:?}", self.follow.next(self.now_ns));
                self.turn(world);
            }
        }
    }

    fn texts(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.sent.iter().map(|r| r.entry.line.as_str()).collect();
        all.sort_unstable();
        all
    }

    fn state(&self, cluster: &str) -> CoverageState {
        let sources = self.follow.coverage().sources();
        sources.iter().find(|s| s.cluster == cluster).map(|s| s.state).unwrap()
    }
}

fn line(cluster: usize, at_s: i64, late_s: i64, text: impl Into<String>) -> Written {
    let at_ns = at_s * SECOND_NS;
    Written { cluster, at_ns, there_ns: at_ns + late_s * SECOND_NS, text: text.into() }
}

#[test]
fn the_newest_lines_since_start_come_first_and_then_each_once() {
    let world =
        World { lines: (0..200).map(|i| line(0, i, 0, format!("{i:03}"))).collect(), ..World::default() };
    let mut reader = Reader::new(Follow::new(10 * SECOND_NS, 20, 0));
    reader.now_ns = 100 * SECOND_NS - 1;
    reader.turn(&world);
    let wanted: Vec<String> = (80..100).map(|i| format!("{i:03}")).collect();
    assert_eq!(reader.texts(), wanted);
    reader.until(&world, 300 * SECOND_NS);
    let wanted: Vec<String> = (80..200).map(|i| format!("{i:03}")).collect();
    assert_eq!(reader.texts(), wanted);
    let mut all = Reader::new(Follow::new(10 * SECOND_NS, 500, 0));
    all.until(&world, 300 * SECOND_NS);
    assert_eq!(all.texts().len(), 190, "a history that is not cut begins at start");
}

#[test]
fn lines_that_come_late_or_from_a_clock_ahead_are_sent_once_when_they_come() {
    let lines = vec![
        line(0, 1000, 0, "in time"),
        line(1, 1000, 5, "a little late"),
        line(0, 1000, 600, "ten minutes late"),
        line(1, 2000, -600, "ten minutes ahead"),
        line(0, 1000, 1500, "too late"),
    ];
    let world = World { lines, ..World::default() };
    let mut reader = Reader::new(Follow::new(900 * SECOND_NS, 100, 0));
    reader.now_ns = 990 * SECOND_NS;
    for (at_s, sent) in [(1001, 1), (1006, 2), (1390, 2), (1402, 3), (1620, 4), (4000, 4)] {
        reader.until(&world, at_s * SECOND_NS);
        assert_eq!(reader.sent.len(), sent, "at {at_s}: {:?}", reader.texts());
    }
}

#[test]
fn with_a_delay_lines_come_that_much_later_and_in_order() {
    let world = World { lines: vec![line(0, 100, 3, "b"), line(1, 99, 0, "a")], ..World::default() };
    let mut reader = Reader::new(Follow::new(0, 100, 5 * SECOND_NS));
    reader.until(&world, 103 * SECOND_NS);
    assert!(reader.sent.is_empty());
    reader.until(&world, 106 * SECOND_NS);
    assert_eq!(reader.sent.iter().map(|r| r.entry.line.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_cluster_that_is_back_is_not_whole_until_what_it_has_had_meanwhile_was_sent() {
    let away = Away { cluster: 2, from_ns: 1000 * SECOND_NS, to_ns: 5000 * SECOND_NS };
    let lines = (0..6000).flat_map(|i| (0..3).map(move |c| line(c, i, 0, format!("{i} of {c}"))));
    let world = World { lines: lines.collect(), away: vec![away], ..World::default() };
    let mut reader = Reader::new(Follow::new(0, 100, 0));
    reader.until(&world, 999 * SECOND_NS);
    assert_eq!(reader.state("west"), CoverageState::Complete);
    reader.until(&world, 1000 * SECOND_NS);
    assert_eq!(
        (reader.state("west"), reader.state("east")),
        (CoverageState::Missing, CoverageState::Complete)
    );
    reader.until(&world, 4999 * SECOND_NS);
    let before = reader.sent.len();
    reader.now_ns += SECOND_NS;
    reader.turn(&world);
    assert_eq!(reader.state("west"), CoverageState::Partial, "it answers, and lines of an hour are lacking");
    assert!(reader.follow.is_behind());
    while reader.follow.is_behind() {
        reader.turn(&world);
    }
    assert_eq!(reader.state("west"), CoverageState::Complete);
    assert!(reader.sent.len() >= before + 4000, "{} {before}", reader.sent.len());
    reader.until(&world, 6000 * SECOND_NS);
    let texts = reader.texts();
    assert_eq!((texts.len(), texts.iter().collect::<BTreeSet<_>>().len()), (18_000, 18_000));
}

#[test]
fn what_is_too_much_to_remember_is_read_of_the_cluster_that_was_away_alone() {
    let away = Away { cluster: 2, from_ns: 100 * SECOND_NS, to_ns: 700 * SECOND_NS };
    let busy = (0..800).flat_map(|i| (0..3).map(move |n| line(0, i, 0, format!("{i} {n} busy"))));
    let lines: Vec<Written> = busy.chain((0..800).map(|i| line(2, i, 0, format!("{i} quiet")))).collect();
    let (all, world) = (lines.len(), World { lines, away: vec![away], ..World::default() });
    let mut follow = Follow::new(0, 100, 0);
    follow.remembered = Remembered::new(300);
    let mut reader = Reader::new(follow);
    reader.until(&world, 900 * SECOND_NS);
    assert!(reader.follow.remembered.floor_ns() > 100 * SECOND_NS);
    let texts = reader.texts();
    assert_eq!((texts.len(), texts.iter().collect::<BTreeSet<_>>().len()), (all, all));
    assert_eq!(reader.left_out, 0);
}

#[test]
fn a_reading_that_fails_makes_every_source_missing_and_loses_nothing() {
    let world =
        World { lines: (0..100).map(|i| line(1, i, 0, format!("{i}"))).collect(), ..World::default() };
    let mut reader = Reader::new(Follow::new(0, 100, 0));
    let read = reader.follow.next(SECOND_NS);
    reader.follow.failed(&read, "hub", "none of 3 answered: a, b");
    let said = reader.follow.coverage().sources();
    assert_eq!((said.len(), said[0].cluster.as_str(), said[0].state), (1, "hub", CoverageState::Missing));
    reader.until(&world, 20 * SECOND_NS);
    for now_s in 21..60 {
        let read = reader.follow.next(now_s * SECOND_NS);
        reader.follow.failed(&read, "hub", "gone");
        assert_eq!(reader.state("north"), CoverageState::Missing);
    }
    reader.now_ns = 60 * SECOND_NS;
    reader.until(&world, 120 * SECOND_NS);
    assert_eq!((reader.sent.len(), reader.state("north")), (100, CoverageState::Complete));
}

#[test]
fn more_lines_of_one_time_than_are_read_at_once_do_not_stop_it_and_are_told() {
    let mut lines: Vec<Written> = (0..PAGE + 500).map(|i| line(0, 50, 0, format!("{i}"))).collect();
    lines.push(line(0, 51, 0, "after"));
    let world = World { lines, ..World::default() };
    let mut reader = Reader::new(Follow::new(0, 100, 0));
    reader.until(&world, 60 * SECOND_NS);
    assert!(reader.left_out > 0);
    assert!(reader.texts().contains(&"after") && reader.sent.len() >= PAGE);
}

#[test]
fn a_source_that_has_no_lines_under_its_name_is_told_to_lack_them_and_reading_goes_on() {
    let mut follow = Follow::new(0, 10, 0);
    let near = read(What::Near, 0, SECOND_NS);
    let gone = Coverage::one(missing("west", None, "gone"));
    follow.from_ns = Some(0);
    follow.took(&near, Vec::new(), &gone, SECOND_NS);
    follow.remembered.forget_before(100 * SECOND_NS);
    let back = |r: &Read| Coverage::one(SourceCoverage::complete("west", Signal::LOGS, r.range));
    let near = read(What::Near, 200 * SECOND_NS, 300 * SECOND_NS);
    follow.took(&near, Vec::new(), &back(&near), 300 * SECOND_NS);
    let lost = follow.next(300 * SECOND_NS);
    assert_eq!(lost.cluster.as_deref(), Some("west"));
    let fresh = follow.took(&lost, Vec::new(), &Coverage::default(), 300 * SECOND_NS);
    assert_eq!(fresh.left_out, Some((Labels::from_pairs([("cluster", "west")]), 0)));
    let again = follow.next(300 * SECOND_NS);
    follow.took(&again, Vec::new(), &back(&again), 300 * SECOND_NS);
    assert!(!follow.is_behind());
}

fn worlds() -> impl Strategy<Value = World> {
    let lines = prop::collection::vec((0..3usize, 0i64..1500, 0i64..300, 0..4u8), 0..200);
    let away = prop::collection::vec((0..3usize, 0i64..1500, 1i64..1300), 0..4);
    (lines, away, any::<bool>()).prop_map(|(lines, away, breaks_off)| World {
        // Few texts, so that some lines are equal.
        lines: lines.into_iter().map(|(c, at, late, text)| line(c, at, late, format!("{text}"))).collect(),
        away: away
            .into_iter()
            .map(|(cluster, from_s, s)| Away {
                cluster,
                from_ns: from_s * SECOND_NS,
                to_ns: (from_s + s) * SECOND_NS,
            })
            .collect(),
        breaks_off,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whoever_comes_late_or_goes_away_each_line_is_sent_as_often_as_it_was_written(world in worlds()) {
        let mut reader = Reader::new(Follow::new(0, 400, 0));
        reader.until(&world, 3000 * SECOND_NS);
        let key = |cluster: &str, at_ns: i64, text: &str| format!("{cluster} {at_ns:020} {text}");
        let mut wanted: Vec<String> =
            world.lines.iter().map(|l| key(CLUSTERS[l.cluster], l.at_ns, &l.text)).collect();
        let sent = reader.sent.iter();
        let mut sent: Vec<String> =
            sent.map(|r| key(r.labels.value("cluster"), r.entry.ts_ns, &r.entry.line)).collect();
        wanted.sort();
        sent.sort();
        prop_assert_eq!(sent, wanted);
        prop_assert!(reader.follow.coverage().is_complete());
    }
}
