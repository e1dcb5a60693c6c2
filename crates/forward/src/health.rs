//! Which of several addresses is asked. The first in the order of preference that is not known to be down is; one that
//! was down is left alone for a while, then tried with a single request, and used again when that went well. The while
//! doubles whenever the address breaks soon after it came back, so that a flapping one is not followed.

use std::time::Duration;

use parking_lot::Mutex;

const HOLD: Duration = Duration::from_secs(30);
const MAX_HOLD: Duration = Duration::from_secs(600);

pub(crate) struct Health(Mutex<State>);

struct State {
    current: usize,
    addresses: Vec<Address>,
}

#[derive(Clone)]
struct Address {
    /// Not asked before, unless all are down.
    down_until_ns: i64,
    hold: Duration,
    up_since_ns: i64,
    is_tried: bool,
}

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) current: usize,
    pub(crate) switched: bool,
    /// There is another address to ask at once.
    pub(crate) other: bool,
}

impl Health {
    pub(crate) fn new(addresses: usize) -> Self {
        let address = Address { down_until_ns: i64::MIN, hold: HOLD, up_since_ns: i64::MIN, is_tried: false };
        Health(Mutex::new(State { current: 0, addresses: vec![address; addresses.max(1)] }))
    }

    /// The address for the next request.
    pub(crate) fn choose(&self, now_ns: i64) -> usize {
        let mut s = self.0.lock();
        let current = s.current;
        let mut preferred = s.addresses.iter_mut().enumerate().take(current);
        let back = preferred.find(|(_, a)| !a.is_tried && a.down_until_ns <= now_ns);
        match back {
            Some((i, a)) => {
                a.is_tried = true;
                i
            }
            None => current,
        }
    }

    /// What a request to `address` showed.
    pub(crate) fn report(&self, address: usize, up: bool, now_ns: i64) -> Report {
        let mut s = self.0.lock();
        let before = s.current;
        let Some(a) = s.addresses.get_mut(address) else {
            return Report { current: before, switched: false, other: false };
        };
        a.is_tried = false;
        if up {
            if address < before {
                a.up_since_ns = now_ns;
                s.current = address;
            } else if address == before && now_ns.saturating_sub(a.up_since_ns) > nanos(MAX_HOLD) {
                a.hold = HOLD;
            }
        } else {
            let soon = now_ns.saturating_sub(a.up_since_ns) < nanos(MAX_HOLD);
            let was_down = a.down_until_ns > now_ns;
            if soon && !was_down {
                a.hold = (a.hold * 2).min(MAX_HOLD);
            }
            a.down_until_ns = now_ns.saturating_add(nanos(a.hold));
            if address == before {
                s.current = next(&s.addresses, before, now_ns);
            }
        }
        let usable = s.addresses.get(s.current).is_some_and(|a| a.down_until_ns <= now_ns);
        Report { current: s.current, switched: s.current != before, other: !up && usable }
    }
}

/// The first that is not down, or else the one after `current`, so that all are tried in turn.
fn next(addresses: &[Address], current: usize, now_ns: i64) -> usize {
    let up = addresses.iter().position(|a| a.down_until_ns <= now_ns);
    up.unwrap_or((current + 1) % addresses.len().max(1))
}

fn nanos(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_broken_address_is_left_at_once_and_taken_back_after_a_while_and_a_trial() {
        let h = Health::new(3);
        assert_eq!(h.choose(0), 0);
        assert_eq!(h.report(0, false, 0), Report { current: 1, switched: true, other: true });
        assert_eq!(h.choose(29 * S), 1, "not before its time");
        assert_eq!(h.choose(30 * S), 0, "tried");
        assert_eq!(h.choose(30 * S), 1, "by one request at a time");
        assert!(!h.report(0, false, 31 * S).switched, "the standby stays");
        assert_eq!(h.choose(60 * S), 1);
        assert_eq!(h.choose(61 * S), 0);
        assert_eq!(h.report(0, true, 61 * S), Report { current: 0, switched: true, other: false });
        assert_eq!(h.choose(62 * S), 0);
    }

    #[test]
    fn a_flapping_address_is_left_alone_for_longer_each_time() {
        let h = Health::new(2);
        let mut now = 0;
        let mut waits = Vec::new();
        h.report(0, false, now);
        for _ in 0..6 {
            let down = now;
            while h.choose(now) != 0 {
                now += S;
            }
            waits.push((now - down) / S);
            h.report(0, true, now);
            now += S;
            h.report(0, false, now);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 600]);
    }

    #[test]
    fn when_all_are_down_they_take_turns() {
        let h = Health::new(2);
        assert!(h.report(0, false, 0).other);
        assert_eq!(h.report(1, false, 1), Report { current: 0, switched: true, other: false });
        assert_eq!(h.report(0, false, 2).current, 1);
        let one = Health::new(1);
        assert_eq!(one.report(0, false, 0), Report { current: 0, switched: false, other: false });
        assert_eq!(one.choose(1), 0);
    }
}
