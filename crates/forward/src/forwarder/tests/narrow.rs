//! A link of 256 kbit/s with more to send than fits, on a clock that moves only when everyone waits for it.

use std::collections::HashSet;

use model::{Labels, Matcher, MetricBatch, Span, SpanBatch, span::SpanOrigin};
use wire::otlp;

use super::{dying::Dying, *};
use crate::{Budget, Ladder};

/// 256 kbit/s.
const NARROW: u64 = 256_000 / 8;
const TICK: Duration = Duration::from_millis(20);

/// The far end of the link: a request is there once its bytes are, behind those before it.
struct Wire {
    clock: Clock,
    bytes_per_second: u64,
    free_at_ns: Mutex<i64>,
    bytes: AtomicU64,
    got: Mutex<HashMap<Class, u64>>,
    /// By name of a critical series: when its sample was there.
    critical: Mutex<HashMap<i64, i64>>,
    /// Spans by trace.
    traces: Mutex<HashMap<[u8; 16], usize>>,
    errors: AtomicU64,
}

impl Wire {
    fn new(clock: &Clock, bytes_per_second: u64) -> Arc<Self> {
        Arc::new(Wire {
            clock: clock.clone(),
            bytes_per_second,
            free_at_ns: Mutex::new(clock.now_ns()),
            bytes: AtomicU64::new(0),
            got: Mutex::default(),
            critical: Mutex::default(),
            traces: Mutex::default(),
            errors: AtomicU64::new(0),
        })
    }

    fn take(&self, delivery: &Delivery) {
        *self.got.lock().entry(delivery.class).or_default() += delivery.items();
        match &delivery.batch {
            Batch::Metrics(m) if delivery.class == Class::Critical => {
                let now = self.clock.now_ns();
                let mut critical = self.critical.lock();
                m.samples.timestamp_ms.iter().for_each(|t| assert!(critical.insert(*t, now).is_none()));
            }
            Batch::Spans(s) => {
                let mut traces = self.traces.lock();
                s.spans.iter().for_each(|s| *traces.entry(s.trace_id).or_default() += 1);
            }
            Batch::Logs(l) => {
                let errors = l.records.iter().filter(|r| r.severity_number == 17).count();
                self.errors.fetch_add(errors as u64, SeqCst);
            }
            Batch::Metrics(_) => {}
            _ => panic!(),
        }
    }
}

#[async_trait]
impl Destination for Wire {
    fn takes(&self, _: &Signal) -> bool {
        true
    }

    fn addresses(&self) -> usize {
        1
    }

    async fn send(&self, _: usize, delivery: &Delivery) -> Outcome {
        use proto::Message;
        let body = match &delivery.batch {
            Batch::Metrics(m) => otlp::metrics::encode(m).encode_to_vec(),
            Batch::Logs(l) => otlp::logs::encode(l).encode_to_vec(),
            Batch::Spans(s) => otlp::traces::encode_bytes(s),
            _ => panic!(),
        };
        let bytes = body.len() + 200;
        delivery.meter.sent(bytes);
        self.bytes.fetch_add(bytes as u64, SeqCst);
        let wait_ns = {
            let now = self.clock.now_ns();
            let mut free = self.free_at_ns.lock();
            *free = (*free).max(now) + bytes as i64 * 1_000_000_000 / self.bytes_per_second as i64;
            *free - now
        };
        self.clock.sleep(Duration::from_nanos(wait_ns as u64)).await;
        self.take(delivery);
        Outcome::acknowledged()
    }
}

/// What a busy edge makes in a second: some 70 kB, twice what fits.
fn second(number: u64, now_ns: i64) -> Vec<Batch> {
    let now_ms = now_ns / 1_000_000;
    let mut m = MetricBatch::default();
    let alert = m.push_series(Labels::from_pairs([("__name__", "slo_errors"), ("tier", "1")]));
    m.samples.push(alert, now_ms, 1.0);
    // Each series once in twenty seconds.
    for i in (0..2000).filter(|i| i % 20 == number % 20) {
        let labels = [("__name__", "requests_total"), ("instance", &*format!("pod-{i}.example"))];
        let s = m.push_series(Labels::from_pairs(labels));
        m.samples.push(s, now_ms, number as f64);
    }
    let span = |i: u64| {
        // Spans of a trace come over two seconds.
        let trace = (number - (i & 1)) * 1000 + i / 4;
        Span {
            trace_id: u128::from(trace + 1).to_be_bytes(),
            span_id: (number << 20 | i | 1 << 60).to_be_bytes(),
            name: format!("GET /api/v1/things/{i}"),
            start_ns: now_ns,
            end_ns: now_ns + 5_000_000,
            ..Span::default()
        }
    };
    let record = |i: u64| LogRecord {
        timestamp_ns: now_ns + i as i64,
        severity_number: if i.is_multiple_of(50) { 17 } else { 9 },
        body: format!("request {number}-{i} was served in {} ms from the cache", i % 97).into(),
        ..LogRecord::default()
    };
    vec![
        Batch::Metrics(m),
        Batch::Spans(SpanBatch { origins: vec![SpanOrigin::default()], spans: (0..300).map(span).collect() }),
        Batch::Logs(LogBatch {
            streams: vec![LogStream::default()],
            records: (0..300).map(record).collect(),
        }),
    ]
}

/// Waits until every lane that has something waits for the clock.
async fn quiet(f: &Forwarder, clock: &Clock) {
    let patience = tokio::time::timeout(Duration::from_secs(120), async {
        loop {
            let busy = f.accounts().iter().filter(|a| a.pending > 0).count();
            if clock.sleepers() >= busy {
                // Nobody woke meanwhile.
                tokio::task::yield_now().await;
                let again = f.accounts().iter().filter(|a| a.pending > 0).count();
                if again == busy && clock.sleepers() >= busy {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
    });
    patience.await.unwrap();
}

struct Outcomes {
    accounts: Vec<Account>,
    wire: Arc<Wire>,
    /// Made, by trace.
    spans: HashMap<[u8; 16], usize>,
}

impl Outcomes {
    fn of(&self, class: Class) -> &Account {
        self.accounts.iter().find(|a| a.class == class).unwrap()
    }
}

/// Three minutes of telemetry over a link, and whatever comes after. What is true of every link is asserted here.
async fn over(bytes_per_second: u64, ladder: Ladder) -> Outcomes {
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let wire = Wire::new(&clock, bytes_per_second);
    let budget = Budget { ladder, ..Budget::new(bytes_per_second) };
    let limits = Limits { budget: Some(budget), ..Limits::default() };
    let selection = Selection { critical: vec![vec![Matcher::equal("tier", "1")]], ..Selection::default() };
    let target = Target { name: "hub".to_owned(), selection, limits, destination: wire.clone() };
    let (metrics, disk) = (Metrics::default(), Arc::new(FaultDisk::new()));
    let queue = QueueOptions::new("/forward");
    let f = Forwarder::open(queue, vec![target], disk, &metrics, clock.clone()).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));

    let (mut made, mut spans): (HashMap<Class, u64>, HashMap<[u8; 16], usize>) = Default::default();
    let ticks_per_second = 1000 / TICK.as_millis() as u64;
    let seconds = 180;
    for tick in 0..seconds * ticks_per_second {
        if tick % ticks_per_second == 0 {
            let number = tick / ticks_per_second + 1;
            let batches = second(number, clock.now_ns());
            *made.entry(Class::Critical).or_default() += 1;
            *made.entry(Class::Metrics).or_default() += batches[0].item_count() as u64 - 1;
            *made.entry(Class::Traces).or_default() += batches[1].item_count() as u64;
            *made.entry(Class::Logs).or_default() += batches[2].item_count() as u64;
            let Batch::Spans(s) = &batches[1] else { panic!() };
            s.spans.iter().for_each(|s| *spans.entry(s.trace_id).or_default() += 1);
            let unit = AppendUnit {
                batch_id: Some(BatchId::Content(u128::from(number))),
                received_ns: clock.now_ns(),
                batches,
            };
            node.append(&TenantId::default(), unit).await.unwrap();
        }
        quiet(&f, &clock).await;
        clock.advance(TICK);
    }
    let busy_bytes = wire.bytes.load(SeqCst);
    // Nothing more comes; what is left is sent or dropped.
    for _ in 0..600 * ticks_per_second {
        quiet(&f, &clock).await;
        if is_drained(&f) {
            break;
        }
        clock.advance(TICK);
    }
    let accounts = f.accounts();
    assert!(accounts.iter().all(|a| a.pending == 0), "{accounts:#?}");

    // The link was used, and not more of it than there is.
    let link_used = busy_bytes as f64 / (bytes_per_second * seconds) as f64;
    assert!((0.9..1.05).contains(&link_used), "{link_used} of the link: {accounts:#?}");

    // Alerts in time.
    let mut late_ms: Vec<i64> = wire.critical.lock().iter().map(|(t, at)| at / 1_000_000 - t).collect();
    late_ms.sort_unstable();
    assert_eq!(late_ms.len() as u64, seconds);
    let p99 = late_ms[late_ms.len() * 99 / 100];
    assert!(p99 < 5000, "p99 {p99} ms, the latest {:?}", late_ms.last());

    // The ledger, against what was made and what was got, counted at both ends.
    let got = wire.got.lock().clone();
    for a in &accounts {
        assert!(a.adds_up(), "{a:?}");
        assert_eq!(a.produced, made[&a.class], "{a:?}");
        let got = got.get(&a.class).copied().unwrap_or(0);
        assert_eq!(a.acknowledged, got, "{a:?}");
        assert_eq!(a.dropped.values().sum::<u64>(), made[&a.class] - got, "{a:?}");
        assert!(a.refused.is_empty(), "{a:?}");
        let reasons: HashSet<&str> = a.dropped.keys().map(String::as_str).collect();
        let allowed = match a.class {
            Class::Critical => HashSet::new(),
            Class::Metrics => HashSet::from([AGGREGATED, OVER_BUDGET]),
            _ => HashSet::from([SAMPLED, OVER_BUDGET]),
        };
        assert!(reasons.is_subset(&allowed), "{a:?}");
        if a.class != Class::Critical {
            assert!(got > 0 && a.deferred > 0, "nobody starves, everyone waits: {a:?}");
        }
    }
    let text = metrics.encode();
    for name in ["orrery_forward_deferred_items_total", "orrery_forward_thinning_step"] {
        assert!(text.contains(name), "{name}");
    }
    Outcomes { accounts, wire, spans }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_narrow_link_alerts_are_in_time_and_the_ledger_says_what_gave_way() {
    let ladder = Ladder { thin_after: Duration::from_secs(10), ..Ladder::default() };
    let o = over(NARROW, ladder).await;
    for class in [Class::Traces, Class::Logs] {
        let a = o.of(class);
        assert_eq!(a.dropped.keys().collect::<Vec<_>>(), [SAMPLED], "{a:?}");
    }
    // What came of a trace came whole.
    let traces = o.wire.traces.lock();
    assert!(!traces.is_empty() && traces.iter().all(|(t, n)| o.spans[t] == *n), "a trace is in pieces");
    assert_eq!(o.wire.errors.load(SeqCst), 180 * 6, "errors are all there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_link_far_too_narrow_the_oldest_is_dropped_and_alerts_are_in_time() {
    let ladder = Ladder {
        thin_after: Duration::from_secs(5),
        drop_after: Duration::from_secs(60),
        max_steps: 2,
        ..Ladder::default()
    };
    let o = over(NARROW / 8, ladder).await;
    assert!(o.of(Class::Metrics).dropped.contains_key(AGGREGATED), "{:#?}", o.accounts);
    assert!(o.of(Class::Logs).dropped.contains_key(OVER_BUDGET), "{:#?}", o.accounts);
}

/// Every run is thinned, as it is long since its items came.
fn thinned(receiver: &Arc<Receiver>) -> Target {
    let ladder =
        Ladder { thin_after: Duration::ZERO, drop_after: Duration::MAX, max_steps: 2, ..Ladder::default() };
    let mut target = target("hub", receiver);
    target.limits.budget = Some(Budget { ladder, ..Budget::new(1 << 30) });
    target
}

#[test]
fn a_death_at_any_write_leaves_what_was_thinned_and_its_ledger_as_they_were() {
    const UNITS: u64 = 12;
    for writes in 0.. {
        let disk = FaultDisk::new();
        let store = Arc::new(Fake::new());
        // Now and then the answers are lost, so that what is sent again was there already.
        let lost = writes % 2 == 1;
        let receiver = Receiver::new(if lost { Mood::TakesAndHangsUp } else { Mood::Takes });
        let mut lived = Vec::new();
        for dying in [Dying::after(&disk, writes), Dying::never(&disk)] {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let opened = opened(Arc::new(dying.clone()), vec![thinned(&receiver)]).await;
                let Ok(f) = opened else { return };
                let node = forwarding(&f, &store);
                for i in 0..UNITS {
                    if node.append(&TenantId::default(), unit(i, &lines(i * 10, 10))).await.is_err() {
                        return;
                    }
                }
                let asked = || lost && receiver.asked.lock().len() > 10;
                until("all is sent or it is dead", || dying.is_dead() || is_drained(&f) || asked()).await;
                lived.push(!dying.is_dead() && is_drained(&f));
                assert!(f.accounts().iter().all(Account::adds_up));
            });
            dying.kill();
            runtime.shutdown_background();
            disk.crash(writes);
            receiver.be(Mood::Takes);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = opened(Arc::new(disk.clone()), vec![thinned(&receiver)]).await.unwrap();
            until("all is sent", || is_drained(&f)).await;
            let a = account(&f, "hub");
            let got = receiver.lines();
            assert!(got.values().all(|n| *n == 1), "death at write {writes}: {got:?}");
            assert_eq!(a.produced, UNITS * 10, "death at write {writes}: {a:?}");
            assert_eq!(a.acknowledged, got.len() as u64, "death at write {writes}: {a:?}");
            assert_eq!(a.dropped.keys().collect::<Vec<_>>(), [SAMPLED], "death at write {writes}: {a:?}");
        });
        // Neither life died: there are no more writes.
        if lived == [true, true] {
            assert!(writes > 20, "only {writes} writes");
            return;
        }
    }
}
