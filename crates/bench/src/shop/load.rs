//! Requests as if from people: at random moments around a rate that swells and ebbs, most look around, some
//! buy. Each begins a trace of its own at the service.

use std::{net::SocketAddr, time::Duration};

use base::{Clock, Shutdown};
use net::{Client, Method, Request};
use tokio::task::JoinSet;

use super::{DRAIN, ShopOptions, story};
use crate::random::Random;

/// Requests under way at once; those that would come on top are left out and counted.
const MAX_OPEN: usize = 64;
/// One swell of the rate, by `SWING` up and down.
const SWELL_SECONDS: f64 = 300.0;
const SWING: f64 = 0.4;
/// How many of the requests take a route other than the first.
const BUYERS: f64 = 0.4;

pub(super) struct Load {
    rate: f64,
    service: String,
    address: SocketAddr,
    seed: u64,
    timeout: Duration,
    clock: Clock,
}

impl Load {
    pub(super) fn new(o: &ShopOptions, address: SocketAddr, clock: &Clock) -> Self {
        Load {
            rate: o.load,
            service: o.service.clone(),
            address,
            seed: o.seed,
            // The service calls others in turn, each with its own time-out.
            timeout: o.timeout.saturating_mul(1 + 2 * o.calls.len() as u32),
            clock: clock.clone(),
        }
    }

    /// Sends until `stop` starts. How many requests were left out.
    pub(super) async fn run(&self, stop: &Shutdown) -> u64 {
        if self.rate <= 0.0 {
            return 0;
        }
        let (mut skipped, mut seconds) = (0, 0.0);
        let mut open = JoinSet::new();
        let mut random = Random::split(self.seed, 0x10ad);
        let client = Client::default();
        let began = self.clock.monotonic();
        loop {
            let swell = 1.0 + SWING * (seconds * std::f64::consts::TAU / SWELL_SECONDS).sin();
            // Gaps between independent arrivals are distributed exponentially.
            seconds += -(1.0 - random.unit()).ln() / (self.rate * swell);
            let buys = random.chance(BUYERS);
            let due = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            let wait = due.saturating_sub(self.clock.monotonic().duration_since(began));
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = stop.started() => break,
            }
            while open.try_join_next().is_some() {}
            if open.len() >= MAX_OPEN {
                skipped += 1;
                continue;
            }
            let (client, request) = (client.clone(), self.request(buys));
            // Whatever the answer is, the service itself tells of it.
            open.spawn(async move { drop(client.send(request).await) });
        }
        let _ = tokio::time::timeout(DRAIN, async { while open.join_next().await.is_some() {} }).await;
        skipped
    }

    fn request(&self, buys: bool) -> Request {
        let stories = story::of(&self.service);
        let story = if buys { stories.last() } else { stories.first() };
        let (method, route) = story.map_or(("GET", "/"), |s| (s.method, s.route));
        Request {
            method: method.parse().unwrap_or(Method::GET),
            timeout: self.timeout,
            ..Request::get(format!("http://{}{route}", self.address))
        }
    }
}
