//! The questions: sums whose parts the clusters compute, and one that no cluster can compute a part of.

use std::time::Duration;

use base::Clock;
use futures::future::try_join_all;
use net::Client;

use super::{
    FleetOptions,
    clusters::{Fleet, Moved},
    fill::Filled,
    report::{Shipped, SumFigures},
};
use crate::{Error, Result, answer::Answered, process::get};

/// Steps over the whole span: five minutes of a day.
const STEPS: u32 = 288;
/// Sums further apart than this are another answer; what is nearer is another order of adding.
const SAME: f64 = 1e-9;
/// A median of middle values is the same however samples are dealt, and is made of nothing but all samples.
const UNDIVIDED: &str = "quantile(0.5, http_requests_total)";

pub(super) struct Sum {
    pub(super) name: &'static str,
    /// `$window` stands for five intervals.
    expr: &'static str,
}

pub(super) const SUMS: [Sum; 5] = [
    Sum { name: "all values", expr: "sum(http_requests_total)" },
    Sum { name: "all rates", expr: "sum(rate(http_requests_total[$window]))" },
    Sum { name: "rates by code", expr: "sum by (code) (rate(http_requests_total[$window]))" },
    Sum {
        name: "rates by route and code",
        expr: "sum by (route, code) (rate(http_requests_total[$window]))",
    },
    Sum { name: "rates by instance", expr: "sum by (instance) (rate(http_requests_total[$window]))" },
];

struct Question {
    expr: String,
    start_ms: i64,
    end_ms: i64,
    step: Duration,
    lookback: Option<Duration>,
}

impl Question {
    fn url(&self, base: &str) -> String {
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs
            .append_pair("query", &self.expr)
            .append_pair("start", &seconds(self.start_ms))
            .append_pair("end", &seconds(self.end_ms))
            .append_pair("step", &self.step.as_secs_f64().to_string())
            .append_pair("timeout", "290");
        if let Some(lookback) = self.lookback {
            pairs.append_pair("lookback_delta", &lookback.as_secs_f64().to_string());
        }
        format!("{base}/api/v1/query_range?{}", pairs.finish())
    }
}

/// What became of a question, and how long it took in milliseconds.
async fn ask(client: &Client, base: &str, q: &Question, clock: &Clock) -> Result<(Answered, f64)> {
    let url = q.url(base);
    let began = clock.monotonic();
    let body = get(client, &url).await?;
    let took = clock.monotonic().duration_since(began).as_secs_f64() * 1e3;
    let fail = |reason: &str| Error::Ask { url: url.clone(), reason: reason.to_owned() };
    let answer = Answered::read(&body).ok_or_else(|| fail("it has no result that can be read"))?;
    match answer.warnings.first() {
        Some(warning) => Err(fail(warning)),
        None => Ok((answer, took)),
    }
}

pub(super) async fn sum(
    o: &FleetOptions,
    fleet: &mut Fleet,
    filled: &Filled,
    sum: &Sum,
    clock: &Clock,
) -> Result<SumFigures> {
    let window = (o.interval * 5).as_secs_f64();
    let step = Duration::from_millis(((o.span / STEPS).as_millis() as u64).max(1_000));
    let q = Question {
        expr: sum.expr.replace("$window", &format!("{window}s")),
        start_ms: filled.first_ms(),
        end_ms: filled.last_ms,
        step,
        lookback: None,
    };
    let client = Client::new()?;
    let hub = fleet.hub_url().to_owned();
    fleet.cool(clock).await?;
    let (whole, hub_cold_ms) = ask(&client, &hub, &q, clock).await?;
    fleet.cool(clock).await?;
    let (alone_cold_ms, added) = alone(&client, fleet, &q, clock).await?;
    same(&q.url(&hub), &whole, added)?;

    let (mut alones, mut at_once, mut hubs) = (Vec::new(), Vec::new(), Vec::new());
    // Warm as it stays: nobody's first answer counts.
    ask(&client, &hub, &q, clock).await?;
    let (moved, cpu) = (fleet.moved().await?, fleet.cpu_seconds()?);
    for _ in 0..o.repeats.max(1) {
        hubs.push(ask(&client, &hub, &q, clock).await?.1);
    }
    let (moved, cpu) = (since(moved, fleet.moved().await?), (cpu, fleet.cpu_seconds()?));
    for _ in 0..o.repeats.max(1) {
        alones.push(alone(&client, fleet, &q, clock).await?.0);
        let urls: Vec<String> = fleet.urls().collect();
        let all = try_join_all(urls.iter().map(|url| ask(&client, url, &q, clock))).await?;
        at_once.push(all.into_iter().map(|(_, ms)| ms).fold(0.0, f64::max));
    }
    let asked = o.repeats.max(1) as f64;
    Ok(SumFigures {
        name: sum.name.to_owned(),
        expr: q.expr,
        series: whole.series,
        points: whole.points,
        hub_ms: median(hubs),
        hub_cold_ms,
        alone_ms: median(alones),
        alone_cold_ms,
        at_once_ms: median(at_once),
        received_bytes: moved.received as f64 / asked,
        sent_bytes: moved.sent as f64 / asked,
        clusters_cpu_ms: (cpu.1.0 - cpu.0.0) * 1e3 / asked,
        hub_cpu_ms: (cpu.1.1 - cpu.0.1) * 1e3 / asked,
    })
}

/// One cluster after the other: the slowest, and what their answers add up to.
async fn alone(client: &Client, fleet: &Fleet, q: &Question, clock: &Clock) -> Result<(f64, f64)> {
    let (mut slowest, mut added) = (0f64, 0.0);
    for url in fleet.urls() {
        let (answer, ms) = ask(client, &url, q, clock).await?;
        slowest = slowest.max(ms);
        added += answer.sum;
    }
    Ok((slowest, added))
}

fn same(url: &str, whole: &Answered, added: f64) -> Result<()> {
    if (whole.sum - added).abs() <= SAME * added.abs() && whole.points > 0 {
        return Ok(());
    }
    let reason = format!("its values add up to {}, those of the clusters to {added}", whole.sum);
    Err(Error::Ask { url: url.to_owned(), reason })
}

/// The same samples, one slice of the span after the other: each is read once, as nothing looks back further than to
/// the sample before.
pub(super) async fn shipped(
    o: &FleetOptions,
    fleet: &Fleet,
    filled: &Filled,
    clock: &Clock,
) -> Result<Shipped> {
    let client = Client::new()?;
    let (before, began) = (fleet.moved().await?, clock.monotonic());
    let slice_ms = i64::try_from(o.slice.as_millis()).unwrap_or(i64::MAX);
    let (mut start_ms, mut points) = (filled.first_ms(), 0);
    while start_ms <= filled.last_ms {
        let q = Question {
            expr: UNDIVIDED.to_owned(),
            start_ms,
            end_ms: filled.last_ms.min(start_ms.saturating_add(slice_ms - o.interval_ms())),
            step: o.interval,
            lookback: Some(o.interval),
        };
        points += ask(&client, fleet.hub_url(), &q, clock).await?.0.points;
        start_ms = start_ms.saturating_add(slice_ms);
    }
    let moved = since(before, fleet.moved().await?);
    let seconds = clock.monotonic().duration_since(began).as_secs_f64();
    if points != o.scrapes() as u64 {
        let reason = format!("{points} points came of {} intervals", o.scrapes());
        return Err(Error::Ask { url: fleet.hub_url().to_owned(), reason });
    }
    Ok(Shipped {
        expr: UNDIVIDED.to_owned(),
        samples: filled.samples,
        received_bytes: moved.received,
        sent_bytes: moved.sent,
        seconds,
        hub_peak_rss_bytes: fleet.hub_peak_bytes()?,
    })
}

fn since(before: Moved, now: Moved) -> Moved {
    let less = |a: u64, b: u64| a.saturating_sub(b);
    Moved { received: less(now.received, before.received), sent: less(now.sent, before.sent) }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_what_the_clusters_add_up_to_is_refused() {
        let whole = |sum: f64| Answered { points: 3, sum, ..Answered::default() };
        assert!(same("u", &whole(10.0), 10.0 + 1e-12).is_ok());
        let told = same("u", &whole(10.0), 11.0).unwrap_err().to_string();
        assert!(told.contains("add up to 10") && told.contains("11"), "{told}");
        assert!(same("u", &Answered::default(), 0.0).is_err(), "nothing is no answer");
    }

    #[test]
    fn times_are_written_in_seconds_with_three_digits() {
        let q = Question {
            expr: "sum(x)".to_owned(),
            start_ms: 1_500,
            end_ms: 60_000,
            step: Duration::from_millis(2_500),
            lookback: Some(Duration::from_secs(60)),
        };
        assert_eq!(
            q.url("http://h"),
            "http://h/api/v1/query_range?query=sum%28x%29&start=1.500&end=60.000&step=2.5&timeout=290&lookback_delta=60"
        );
    }
}
