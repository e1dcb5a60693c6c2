use super::*;

fn lane() -> Lane {
    let o = ShopOptions::new("x", ([127, 0, 0, 1], 0).into());
    let clock = Clock::manual(1);
    let recorder = Arc::new(Recorder::new(&o, &clock));
    let tell: Tell = Arc::new(|_| {});
    Lane::new(&o, Signal::Traces, "http://127.0.0.1:1", &recorder, &clock, &tell).unwrap()
}

fn parcel(bytes: usize, items: u64) -> Parcel {
    Parcel { payload: Payload::Http(vec![0; bytes].into()), items }
}

#[test]
fn a_lane_keeps_the_newest_requests_and_counts_those_it_drops() {
    let lane = lane();
    for n in 0..MAX_WAITING as u64 + 3 {
        lane.push(parcel(10, n));
    }
    let queue = lane.queue.lock();
    assert_eq!(queue.waiting.len(), MAX_WAITING);
    assert_eq!(queue.waiting.front().map(|p| p.items), Some(3));
    assert_eq!(queue.delivered.dropped, 3);
    assert_eq!(queue.bytes, MAX_WAITING * 10);
}

#[test]
fn a_lane_keeps_no_more_bytes_than_it_may() {
    let lane = lane();
    for _ in 0..5 {
        lane.push(parcel(MAX_WAITING_BYTES / 2, 1));
    }
    let queue = lane.queue.lock();
    assert_eq!((queue.waiting.len(), queue.delivered.dropped), (2, 3));
    drop(queue);
    lane.push(parcel(MAX_WAITING_BYTES + 1, 7));
    assert_eq!(lane.queue.lock().delivered.dropped, 12);
}
