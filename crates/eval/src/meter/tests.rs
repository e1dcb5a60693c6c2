use super::*;

#[test]
fn forks_count_together_and_the_limit_is_named() {
    let mut one = Meter::unlimited().limited_to(1_000);
    let mut two = one.fork();
    one.charge(600).unwrap();
    two.charge(300).unwrap();
    assert_eq!(one.held_bytes(), 900);
    let refused = two.charge(200).unwrap_err();
    assert_eq!(refused.limit(), Some("query.max_bytes"));
    one.release(1_100);
    assert_eq!((two.held_bytes(), two.peak_bytes()), (0, 1_100));
}

#[test]
fn what_is_reserved_follows_what_is_held() {
    let budget = MemoryBudget::new(100 << 20);
    let mut meter = Meter::new(&budget, None).unwrap();
    meter.charge(10 << 20).unwrap();
    assert!(budget.reserved() >= 10 << 20);
    meter.release(10 << 20);
    assert!(budget.reserved() <= PIECE_BYTES);
    assert!(meter.charge(200 << 20).is_err());
    drop(meter);
    assert_eq!(budget.reserved(), 0);
}

#[test]
fn work_ends_within_one_look_after_it_is_cancelled() {
    let flag = Arc::new(AtomicBool::new(false));
    let mut meter = Meter::unlimited().cancelled_by(Arc::clone(&flag)).fork();
    meter.work(CELLS_PER_LOOK).unwrap();
    flag.store(true, Relaxed);
    assert!(meter.work(1).is_ok());
    assert!(matches!(meter.work(CELLS_PER_LOOK), Err(Error::Cancelled)));
}
