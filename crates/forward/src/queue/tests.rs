use disklog::fault::FaultDisk;
use proptest::prelude::*;

use super::*;

const DIR: &str = "/forward";

fn options() -> QueueOptions {
    QueueOptions { segment_bytes: 600, ..QueueOptions::new(DIR) }
}

fn opened(disk: &FaultDisk, names: &[&str]) -> Opened {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let metrics = Metrics::default();
    let mut drawn = 1 << 40;
    let mut draw = || {
        drawn += 1 << 20;
        drawn
    };
    open(&options(), &disk, &names, &metrics, Stats::new(&metrics), &mut draw).unwrap()
}

/// Queues a part of `items` for each of `names`.
async fn put(o: &Opened, names: &[&str], class: Class, items: u32) {
    let mut part =
        Part { received_ns: 5, unit: 0, class, to: Vec::new(), items, bytes: vec![7u8; 100].into() };
    part.to = names.iter().map(|n| ((*n).to_owned(), o.book.produced(&part, n))).collect();
    let group = Group { at: o.book.end().at, parts: vec![part] };
    let payload = group.encode();
    let at = group.at + payload.len() as u64;
    let end = o.log.append(GROUP, payload).await.unwrap();
    o.book.queued(&group.parts, Place::new(end, at));
}

fn index(o: &Opened, name: &str, class: Class) -> usize {
    (0..).find(|i| o.book.lane(*i).is_some_and(|l| l.destination == name && l.class == class)).unwrap()
}

fn whole(o: &Opened, lane: &Lane) -> Chunk {
    let until = Until::Limits { end: o.book.end(), limits: RunLimits::NONE };
    read(&o.log, lane, lane.settled(), until).unwrap()
}

#[tokio::test]
async fn damage_costs_what_lay_behind_it_in_its_file_and_that_is_counted() {
    let disk = FaultDisk::new();
    let o = opened(&disk, &["a"]);
    for _ in 0..20 {
        put(&o, &["a"], Class::Logs, 3).await;
    }
    assert!(o.log.end().segment > 3);
    assert!(disk.flip_byte(&disklog::segment::path(&options().dir.join("log"), 2), 100));
    let lane = o.book.lane(index(&o, "a", Class::Logs)).unwrap();
    let chunk = whole(&o, &lane);
    assert_eq!(chunk.items, 60, "known to the item");
    assert!(chunk.lost > 0 && chunk.lost.is_multiple_of(3));
    assert_eq!(chunk.parts.len() as u64 * 3 + chunk.lost, 60);
    drop(o.log);
    o.book.close().await;
}

#[tokio::test]
async fn a_queue_whose_state_is_lost_is_sent_from_its_beginning() {
    let disk = FaultDisk::new();
    let o = opened(&disk, &["a"]);
    put(&o, &["a"], Class::Traces, 4).await;
    o.log.close().await;
    o.book.close().await;
    drop(o);
    // Opened above was never saved, as if its state had been taken away.
    let o = opened(&disk, &["a", "new"]);
    let lane = o.book.lane(index(&o, "a", Class::Traces)).unwrap();
    assert_eq!((lane.produced, whole(&o, &lane).items), (4, 4));
    let new = o.book.lane(index(&o, "new", Class::Traces)).unwrap();
    assert_eq!((new.produced, new.cursor), (0, o.book.end()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn a_cursor_meets_every_part_once_in_order_whatever_the_limits(
        puts in prop::collection::vec((0usize..3, 0usize..4, 1u32..9), 1..30),
        items in 1usize..30,
        bytes in 1usize..1000,
        restart_after in 0usize..30,
    ) {
        const TO: [&[&str]; 3] = [&["a"], &["b"], &["a", "b"]];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let disk = FaultDisk::new();
        let mut o = opened(&disk, &["a", "b"]);
        for (i, (to, class, n)) in puts.iter().enumerate() {
            runtime.block_on(put(&o, TO[*to], Class::ALL[*class], *n));
            if i == restart_after {
                runtime.block_on(async {
                    o.book.save(&o.log).await.unwrap();
                    o.log.close().await;
                    o.book.close().await;
                });
                o = opened(&disk, &["a", "b"]);
            }
        }
        for name in ["a", "b"] {
            for (c, class) in Class::ALL.into_iter().enumerate() {
                let index = index(&o, name, class);
                let expected: Vec<u32> = puts
                    .iter()
                    .filter(|(to, k, _)| TO[*to].contains(&name) && *k == c)
                    .map(|(_, _, n)| *n)
                    .collect();
                let mut got = Vec::new();
                loop {
                    let lane = o.book.lane(index).unwrap();
                    prop_assert_eq!(lane.produced, expected.iter().map(|n| u64::from(*n)).sum::<u64>());
                    let until = Until::Limits {
                        end: o.book.end(),
                        limits: RunLimits { items, bytes, interval_ns: None },
                    };
                    let chunk = read(&o.log, &lane, lane.settled(), until).unwrap();
                    if chunk.to == lane.cursor { break }
                    let again = read(&o.log, &lane, lane.settled(), Until::Place(chunk.to)).unwrap();
                    prop_assert_eq!(&again.parts, &chunk.parts, "planned, it is the same again");
                    prop_assert_eq!(chunk.lost, 0);
                    got.extend(chunk.parts.iter().map(|p| p.items));
                    let plan = crate::ledger::Plan {
                        to: chunk.to, base: lane.settled(), done: 0, max_items: items, max_bytes: bytes, thin: Default::default() };
                    o.book.plan(index, plan);
                    let all = Settled { acknowledged: chunk.items, ..Settled::default() };
                    o.book.settle(index, &all);
                    o.book.finish(index, chunk.items, 1, &Settled::default(), "nothing");
                }
                prop_assert_eq!(got, expected);
                let lane = o.book.lane(index).unwrap();
                prop_assert_eq!((lane.pending(), lane.dropped.len()), (0, 0));
            }
        }
    }
}
