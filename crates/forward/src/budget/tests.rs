use super::*;

const S: i64 = 1_000_000_000;

fn budget() -> Budget {
    Budget::new(32_000)
}

fn state() -> State {
    State { at_ns: 0, left: 0.0, by_class: [Of { asking: 0, owed: 0.0, ratio: 1.0 }; Class::ALL.len()] }
}

fn admitted(class: Class, memory_bytes: usize, expected: f64) -> Admitted {
    Admitted { class, memory_bytes, expected, waited: false }
}

/// A link over which every class always has something to send: bytes sent by class in `seconds`, and the longest that the
/// critical class waited where it asks once in `every_ms`, unless it waits.
fn simulate(b: &Budget, seconds: i64, every_ms: i64) -> ([f64; 4], i64) {
    let mut s = state();
    let (mut sent, mut longest, mut asked) = ([0.0; 4], 0, None);
    s.by_class[1..].iter_mut().for_each(|of| of.asking = 1);
    // The request on the link, until when it is there.
    let mut busy_until = 0;
    for now_ms in 0..seconds * 1000 {
        if now_ms % every_ms == 0 && asked.is_none() {
            asked = Some(now_ms);
            s.by_class[0].asking = 1;
        }
        for class in Class::ALL {
            let bytes = if class == Class::Critical { 800 } else { 16_000 };
            let asks = s.by_class[class as usize].asking > 0;
            if asks && let Ok(expected) = s.ask(b, now_ms * 1_000_000, class, bytes) {
                sent[class as usize] += bytes as f64;
                busy_until = busy_until.max(now_ms) + bytes as i64 * 1000 / b.bytes_per_second as i64;
                s.settle(admitted(class, bytes, expected), bytes as f64);
                if class == Class::Critical {
                    longest = longest.max(busy_until - asked.take().unwrap());
                    s.by_class[0].asking = 0;
                }
            }
        }
    }
    (sent, longest)
}

#[test]
fn what_is_critical_waits_for_a_request_or_two_and_nobody_starves() {
    let (sent, longest_ms) = simulate(&budget(), 600, 1000);
    let total: f64 = sent.iter().sum();
    assert!((total / 600.0 - 32_000.0).abs() < 320.0, "{total}");
    assert!(longest_ms < 2500, "{longest_ms} ms");
    assert!(sent[0] > 500.0 * 800.0, "it is not kept waiting for a second often: {sent:?}");
    // Traces and logs have their five percent, metrics everything else.
    for lower in [2, 3] {
        let share = sent[lower] / total;
        assert!((0.045..0.06).contains(&share), "{sent:?}");
    }
    assert!(sent[1] / total > 0.8, "{sent:?}");
}

#[test]
fn without_a_guaranteed_share_the_lowest_wait_for_ever() {
    let none = Shares { metrics: 0, traces: 0, logs: 0 };
    let (sent, _) = simulate(&Budget { guaranteed: none, ..budget() }, 100, 1000);
    assert_eq!((sent[2], sent[3]), (0.0, 0.0));
}

#[test]
fn what_was_really_sent_is_owed_and_learnt() {
    let mut s = state();
    s.by_class[3].asking = 1;
    assert_eq!(s.ask(&budget(), 0, Class::Logs, 32_000), Ok(32_000.0));
    s.settle(admitted(Class::Logs, 32_000, 32_000.0), 3_200.0);
    assert_eq!(s.left, -3_200.0);
    assert!((s.by_class[3].ratio - 0.82).abs() < 1e-9);
    assert_eq!(s.ask(&budget(), 0, Class::Logs, 1), Err(Duration::from_millis(100)));
    assert!(s.ask(&budget(), S / 10, Class::Logs, 1).is_ok());
    s.refill(&budget(), 1000 * S);
    assert_eq!(s.left, 16_000.0, "a link that was idle is no faster later");
}

#[tokio::test]
async fn a_waiter_that_goes_away_makes_room() {
    let clock = Clock::manual(0);
    let governor = Arc::new(Governor::new(budget(), clock.clone()));
    assert!(!governor.admit(Class::Metrics, 3_200).await.waited, "nothing is owed");
    let ask = |class| {
        let governor = governor.clone();
        tokio::spawn(async move { governor.admit(class, 100).await })
    };
    let (higher, lower) = (ask(Class::Critical), ask(Class::Logs));
    tokio::task::yield_now().await;
    higher.abort();
    assert!(higher.await.is_err());
    clock.advance(Duration::from_millis(150));
    assert!(lower.await.unwrap().waited);
}

#[test]
fn a_budget_that_cannot_be_is_named() {
    assert_eq!(budget().fault(), None);
    let greedy = Shares { metrics: 40, traces: 10, logs: 10 };
    let faults = [
        Budget::new(0),
        Budget { guaranteed: greedy, ..budget() },
        Budget { quantum: Duration::ZERO, ..budget() },
        Budget { ladder: Ladder { max_steps: 17, ..Ladder::default() }, ..budget() },
    ];
    let names: Vec<&str> = faults.iter().map(|b| b.fault().unwrap().0).collect();
    assert_eq!(names, ["budget", "budget guaranteed", "budget quantum", "budget max_steps"]);
}
