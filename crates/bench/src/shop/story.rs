//! What each service does. A request's fate (how long it works, whether it fails, for what) is drawn before it
//! is lived, so that it depends on the seed and the order of requests alone.

use std::time::Duration;

use crate::random::Random;

/// How a request can fail at a service.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    /// Of one request.
    pub(super) chance: f64,
    pub(super) status: u16,
    /// `error.type`
    pub(super) kind: &'static str,
    pub(super) message: &'static str,
}

/// One route of a service.
#[derive(Debug, PartialEq)]
pub(super) struct Story {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    /// The internal span.
    pub(super) work: &'static str,
    /// What the log says when it went well.
    pub(super) done: &'static str,
    /// Half of the requests work shorter than this.
    pub(super) median: Duration,
    /// What works slowly for one in `SLOW` requests.
    pub(super) slow: &'static str,
    /// Whether all services are called, or the first one only.
    pub(super) calls_all: bool,
    pub(super) failures: &'static [Failure],
}

/// One request in so many is slow, by `SLOW_TIMES`.
const SLOW: f64 = 0.03;
const SLOW_TIMES: f64 = 9.0;
/// Standard deviation of the logarithm of the time a request works.
const SPREAD: f64 = 0.45;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const FRONTEND: [Story; 2] = [
    Story {
        method: "GET",
        route: "/",
        work: "render page",
        done: "page served",
        median: ms(6),
        slow: "template was not compiled yet",
        calls_all: false,
        failures: &[],
    },
    Story {
        method: "POST",
        route: "/orders",
        work: "check basket",
        done: "order taken",
        median: ms(4),
        slow: "session was read from disk",
        calls_all: true,
        failures: &[],
    },
];

const CATALOG: [Story; 1] = [Story {
    method: "GET",
    route: "/products",
    work: "find products",
    done: "products found",
    median: ms(14),
    slow: "index page was not in the cache",
    calls_all: true,
    failures: &[Failure {
        chance: 0.006,
        status: 500,
        kind: "IndexError",
        message: "the index is being built anew",
    }],
}];

const CHECKOUT: [Story; 1] = [Story {
    method: "POST",
    route: "/checkout",
    work: "price basket",
    done: "order settled",
    median: ms(9),
    slow: "exchange rates were fetched anew",
    calls_all: true,
    failures: &[],
}];

const STOCK: [Story; 1] = [Story {
    method: "POST",
    route: "/reservations",
    work: "reserve items",
    done: "items reserved",
    median: ms(11),
    slow: "waited for a row lock",
    calls_all: true,
    failures: &[Failure {
        chance: 0.01,
        status: 503,
        kind: "LockTimeout",
        message: "another order holds the last item",
    }],
}];

const PAYMENT: [Story; 1] = [Story {
    method: "POST",
    route: "/payments",
    work: "charge card",
    done: "card charged",
    median: ms(38),
    slow: "the issuer asked for a second factor",
    calls_all: true,
    failures: &[
        Failure { chance: 0.05, status: 503, kind: "IssuerTimeout", message: "the issuer did not answer" },
        Failure { chance: 0.03, status: 402, kind: "CardDeclined", message: "the issuer declined the card" },
    ],
}];

const ANY: [Story; 1] = [Story {
    method: "GET",
    route: "/",
    work: "work",
    done: "request done",
    median: ms(5),
    slow: "took the long way",
    calls_all: true,
    failures: &[],
}];

/// The routes of a service; a name that is not of the shop has one, `/`.
pub(super) fn of(service: &str) -> &'static [Story] {
    match service {
        "frontend" => &FRONTEND,
        "catalog" => &CATALOG,
        "checkout" => &CHECKOUT,
        "stock" => &STOCK,
        "payment" => &PAYMENT,
        _ => &ANY,
    }
}

/// The method that a path of the shop is asked with.
pub(super) fn method_of(path: &str) -> &'static str {
    let all = [FRONTEND.as_slice(), &CATALOG, &CHECKOUT, &STOCK, &PAYMENT];
    all.into_iter().flatten().find(|s| s.route == path).map_or("GET", |s| s.method)
}

/// What will happen to one request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fate {
    pub(super) work: Duration,
    pub(super) slow: bool,
    pub(super) failure: Option<&'static Failure>,
    /// Appears in the log line.
    pub(super) number: u64,
}

impl Story {
    /// Draws a fate; always as many numbers, whatever comes out.
    pub(super) fn draw(&'static self, r: &mut Random) -> Fate {
        let (a, b, slow, trouble, number) = (r.unit(), r.unit(), r.unit(), r.unit(), r.below(90_000));
        // Box and Muller (1958): two even numbers give one of the normal distribution.
        let normal = (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        let slow = slow < SLOW;
        let times = (SPREAD * normal).exp() * if slow { SLOW_TIMES } else { 1.0 };
        let mut below = 0.0;
        let failure = self.failures.iter().find(|f| {
            below += f.chance;
            trouble < below
        });
        Fate { work: self.median.mul_f64(times.min(50.0)), slow, failure, number: 10_000 + number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_fates() {
        let fates = |seed| {
            let mut r = Random::new(seed);
            (0..100).map(|_| PAYMENT[0].draw(&mut r)).collect::<Vec<_>>()
        };
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }

    #[test]
    fn most_requests_take_about_the_median_some_are_slow_and_some_fail() {
        let mut r = Random::new(1);
        let mut fates: Vec<Fate> = (0..10_000).map(|_| PAYMENT[0].draw(&mut r)).collect();
        let failed = |status| fates.iter().filter(|f| f.failure.is_some_and(|x| x.status == status)).count();
        assert!((400..600).contains(&failed(503)), "{}", failed(503));
        assert!((230..370).contains(&failed(402)), "{}", failed(402));
        let slow = fates.iter().filter(|f| f.slow).count();
        assert!((230..370).contains(&slow), "{slow}");
        fates.sort_by_key(|f| f.work);
        let median = fates[5_000].work;
        assert!(median > ms(34) && median < ms(43), "{median:?}");
        assert!(fates[9_990].work > ms(300));
    }

    #[test]
    fn paths_of_the_shop_are_asked_as_their_services_expect() {
        assert_eq!(method_of("/payments"), "POST");
        assert_eq!(method_of("/products"), "GET");
        assert_eq!(method_of("/elsewhere"), "GET");
    }
}
