//! Whatever dies whenever: nothing acknowledged is lost, nothing is doubled but under the same id, and the counts add up.

use tokio::runtime::Builder;

use super::{dying::Dying, *};

const UNITS: u64 = 12;
const PER_UNIT: u64 = 5;

struct World {
    disk: FaultDisk,
    store: Arc<Fake>,
    a: Arc<Receiver>,
    b: Arc<Receiver>,
    /// Units whose append was answered.
    acknowledged: Vec<u64>,
}

impl World {
    fn new(b: Mood) -> Self {
        World {
            disk: FaultDisk::new(),
            store: Arc::new(Fake::new()),
            a: Receiver::new(Mood::Takes),
            b: Receiver::new(b),
            acknowledged: Vec::new(),
        }
    }

    /// A life of the node: every unit not yet acknowledged is sent, once. Returns whether it lived to the end.
    fn live(&mut self, disk: &Dying, is_over: impl Fn() -> bool) -> bool {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let lived = runtime.block_on(async {
            let targets = vec![target("a", &self.a), target("b", &self.b)];
            let Ok(f) = opened(Arc::new(disk.clone()), targets).await else { return false };
            let node = forwarding(&f, &self.store);
            for i in 0..UNITS {
                let unit = unit(i, &lines(i * PER_UNIT, PER_UNIT));
                if self.acknowledged.contains(&i) {
                    continue;
                }
                match node.append(&TenantId::default(), unit).await {
                    Ok(_) => self.acknowledged.push(i),
                    Err(_) => return false,
                }
            }
            let is_over = || disk.is_dead() || is_over();
            until("all is sent or the life is over", || is_over() || is_drained(&f)).await;
            let accounts = f.accounts();
            assert!(accounts.iter().all(Account::adds_up), "{accounts:#?}");
            !is_over()
        });
        disk.kill();
        runtime.shutdown_background();
        lived
    }

    fn check(&self, what: &str) {
        for (name, r) in [("a", &self.a), ("b", &self.b)] {
            let got = r.lines();
            let missing: Vec<String> =
                lines(0, UNITS * PER_UNIT).into_iter().filter(|l| !got.contains_key(l)).collect();
            assert!(missing.is_empty(), "{what}: {name} lacks {missing:?}");
            let twice: Vec<_> = got.iter().filter(|(_, n)| **n > 1).collect();
            assert!(twice.is_empty(), "{what}: {name} has under several ids {twice:?}");
        }
    }
}

fn last_life(world: &mut World, what: &str) {
    world.b.be(Mood::Takes);
    let disk = world.disk.clone();
    assert!(world.live(&Dying::never(&disk), || false), "{what}");
    world.check(what);
    // What the counts say after all that.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    world.disk.crash(0);
    runtime.block_on(async {
        let f = opened(Arc::new(disk), vec![target("a", &world.a), target("b", &world.b)]).await.unwrap();
        until("all is sent again", || is_drained(&f)).await;
        for name in ["a", "b"] {
            let a = account(&f, name);
            assert_eq!((a.produced, a.acknowledged), (UNITS * PER_UNIT, UNITS * PER_UNIT), "{what}: {a:?}");
        }
    });
    world.check(what);
}

#[test]
fn a_death_at_any_write_loses_nothing_and_doubles_nothing() {
    for writes in 0.. {
        let what = format!("death at write {writes}");
        // Now and then the answers are lost, so that what is sent again was there already.
        let mood = if writes % 2 == 0 { Mood::Takes } else { Mood::TakesAndHangsUp };
        let mut world = World::new(mood);
        let dying = Dying::after(&world.disk, writes);
        if mood == Mood::TakesAndHangsUp {
            // It never drains: the life ends with the writes, or is cut here.
            let b = world.b.clone();
            world.live(&dying, move || b.asked.lock().len() > 20);
        } else if world.live(&dying, || false) {
            assert!(writes > 20, "only {writes} writes");
            return;
        }
        world.disk.crash(writes);
        last_life(&mut world, &what);
    }
}

#[test]
fn deaths_one_after_the_other_do_no_more_harm_than_one() {
    for seed in 0..12 {
        let mut world = World::new(Mood::TakesAndHangsUp);
        for life in 0..4 {
            let dying = Dying::after(&world.disk, 3 + (seed * 7 + life * 5) % 23);
            let b = world.b.clone();
            let before = b.asked.lock().len();
            world.live(&dying, move || b.asked.lock().len() > before + 10);
            world.disk.crash(seed * 10 + life);
        }
        last_life(&mut world, &format!("seed {seed}"));
    }
}

#[derive(Debug, Clone)]
enum Act {
    Append(u64),
    Mood(bool, Mood),
    Restart,
    Crash(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let moods = prop::sample::select(vec![
        Mood::Takes,
        Mood::TakesAndHangsUp,
        Mood::Down,
        Mood::Refuses,
        Mood::Halves,
    ]);
    prop_oneof![
        4 => (1u64..12).prop_map(Act::Append),
        2 => (any::<bool>(), moods).prop_map(|(which, mood)| Act::Mood(which, mood)),
        1 => Just(Act::Restart),
        1 => any::<u64>().prop_map(Act::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_every_item_is_accounted_for_once(acts in prop::collection::vec(act(), 1..25)) {
        let disk = FaultDisk::new();
        let store = Arc::new(Fake::new());
        let (a, b) = (Receiver::new(Mood::Takes), Receiver::new(Mood::Takes));
        let targets = || vec![target("a", &a), target("b", &b)];
        let life = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut runtime = life();
        let mut dying = Dying::never(&disk);
        let mut f = runtime.block_on(opened(Arc::new(dying.clone()), targets())).unwrap();
        let (mut number, mut line) = (0, 0);
        for act in acts.into_iter().chain([Act::Mood(true, Mood::Takes), Act::Mood(false, Mood::Takes)]) {
            match act {
                Act::Append(n) => {
                    let node = forwarding(&f, &store);
                    let u = unit(number, &lines(line, n));
                    runtime.block_on(node.append(&TenantId::default(), u)).unwrap();
                    (number, line) = (number + 1, line + n);
                }
                Act::Mood(which, mood) => if which { a.be(mood) } else { b.be(mood) },
                Act::Restart => {
                    runtime.block_on(f.close(Duration::from_secs(60)));
                    f = runtime.block_on(opened(Arc::new(dying.clone()), targets())).unwrap();
                }
                Act::Crash(seed) => {
                    dying.kill();
                    runtime.shutdown_background();
                    disk.crash(seed);
                    runtime = life();
                    dying = Dying::never(&disk);
                    f = runtime.block_on(opened(Arc::new(dying.clone()), targets())).unwrap();
                }
            }
            let accounts = f.accounts();
            prop_assert!(accounts.iter().all(Account::adds_up), "{:#?}", accounts);
            prop_assert!(accounts.iter().all(|a| a.produced == line), "{line} lines: {:#?}", accounts);
        }
        runtime.block_on(until("all is settled", || is_drained(&f)));
        for (name, r) in [("a", &a), ("b", &b)] {
            if line == 0 { break }
            let account = account(&f, name);
            let got = r.lines();
            prop_assert!(account.dropped.is_empty());
            // Acknowledged is there; what was refused may be, where an answer before was lost.
            prop_assert!(got.len() as u64 >= account.acknowledged);
            prop_assert!(got.len() as u64 <= line);
            prop_assert!(got.values().all(|n| *n == 1), "{:?}", got);
        }
        drop(f);
        runtime.shutdown_background();
    }
}
