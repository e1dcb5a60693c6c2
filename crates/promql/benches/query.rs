//! What typical dashboard queries cost the engine: CPU time over series held in memory, reading excluded as far as
//! copying allows.
//!
//!     cargo bench -p promql                 all queries
//!     cargo bench -p promql -- quantile     those whose text contains the word
//!
//! Prints milliseconds of CPU per query (user and system, all threads) and of the wall.

use std::{sync::Arc, time::Instant};

use contract::{SeriesData, SeriesRequest, Tenants, fake::SeriesOnly};
use model::{Labels, TenantId, matcher::all_match};
use promql::{Engine, EngineOptions, Experimental, QueryContext};

const SCRAPE_MS: i64 = 15_000;
const DAY_MS: i64 = 86_400_000;

/// Counters `http_requests_total` of 10,000 series, gauges `memory_bytes` of 1,000, classic histograms
/// `latency_seconds_bucket` of 500 × 11 buckets; a day at 15 s.
struct Held(Vec<SeriesData>);

impl Held {
    fn new() -> Self {
        let mut all = Vec::new();
        let times: Vec<i64> = (0..=DAY_MS / SCRAPE_MS).map(|i| i * SCRAPE_MS).collect();
        let mut add = |labels: Vec<(&str, String)>, value: &mut dyn FnMut(i64) -> f64| {
            all.push(SeriesData {
                labels: Labels::from_pairs(labels),
                timestamps_ms: times.clone(),
                values: times.iter().map(|t| value(t / SCRAPE_MS)).collect(),
                ..Default::default()
            });
        };
        for i in 0..10_000i64 {
            let labels = vec![
                ("__name__", "http_requests_total".to_owned()),
                ("instance", format!("10.0.{}.{}:8080", i / 250, i % 250)),
                ("job", format!("job-{}", i % 20)),
                ("part", (if i < 1_000 { "small" } else { "rest" }).to_owned()),
                ("status", format!("{}", 200 + i % 5)),
            ];
            add(labels, &mut |n| (n * (i % 17 + 1)) as f64);
        }
        for i in 0..1_000i64 {
            let labels = vec![("__name__", "memory_bytes".to_owned()), ("pod", format!("pod-{i}"))];
            add(labels, &mut |n| 1e9 + ((n * 7919 + i * 104_729) % 1_000_003) as f64);
        }
        for i in 0..500i64 {
            for (b, le) in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"]
                .iter()
                .enumerate()
            {
                let labels = vec![
                    ("__name__", "latency_seconds_bucket".to_owned()),
                    ("instance", format!("i-{i}")),
                    ("le", (*le).to_owned()),
                ];
                add(labels, &mut |n| (n * (b as i64 + 1) * (i % 7 + 1)) as f64);
            }
        }
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        Held(all)
    }
}

impl SeriesOnly for Held {
    fn find(&self, r: &SeriesRequest) -> Vec<SeriesData> {
        let (first, last) = r.scope.range.to_ms_inclusive();
        let found = self.0.iter().filter(|s| all_match(&r.matchers, &s.labels)).map(|s| {
            let a = s.timestamps_ms.partition_point(|t| *t < first);
            let b = s.timestamps_ms.partition_point(|t| *t <= last);
            SeriesData {
                labels: s.labels.clone(),
                timestamps_ms: s.timestamps_ms[a..b].to_vec(),
                values: s.values[a..b].to_vec(),
                ..Default::default()
            }
        });
        found.collect()
    }
}

/// Milliseconds of CPU this process used, from `/proc/self/stat` (proc(5)), in ticks of 10 ms.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |i: usize| after_name.split_whitespace().nth(i).and_then(|v| v.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) * 10.0
}

const QUERIES: [(&str, i64, i64); 16] = [
    ("sum by (job) (rate(http_requests_total{part=\"small\"}[5m]))", 1, 15),
    ("sum by (job) (rate(http_requests_total{part=\"small\"}[5m]))", 24, 120),
    ("sum by (job) (rate(http_requests_total[5m]))", 1, 15),
    ("sum by (job) (rate(http_requests_total[5m]))", 24, 120),
    ("sum by (instance) (rate(http_requests_total[5m]))", 1, 15),
    ("topk(10, sum by (instance) (rate(http_requests_total[5m])))", 1, 15),
    (
        "sum by (job) (rate(http_requests_total{status=\"204\"}[5m])) / sum by (job) (rate(http_requests_total[5m]))",
        1,
        15,
    ),
    ("memory_bytes", 24, 120),
    ("sum(memory_bytes) / count(memory_bytes)", 24, 120),
    ("avg_over_time(memory_bytes[1h])", 24, 120),
    ("max_over_time(memory_bytes[1h])", 24, 120),
    ("quantile_over_time(0.95, memory_bytes[1h])", 24, 120),
    ("max(max_over_time(memory_bytes[24h] @ end()))", 24, 120),
    ("histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[5m])))", 1, 15),
    ("histogram_quantile(0.99, rate(latency_seconds_bucket[5m]))", 1, 15),
    ("histogram_quantile(0.99, sum by (le, instance) (rate(latency_seconds_bucket[5m])))", 24, 120),
];

fn main() {
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let options = EngineOptions { experimental: Experimental::all(), ..EngineOptions::default() };
    let engine = Engine::new(Arc::new(Held::new()), options);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(r) => r,
        Err(e) => return eprintln!("the runtime: {e}"),
    };
    let Ok(tenant) = TenantId::new("bench") else { return };
    let mut context = QueryContext::new(Tenants::one(tenant));
    context.limits.max_samples = 500_000_000;
    println!("{:>10} {:>10}  hours step  query", "cpu ms", "wall ms");
    for (query, hours, step) in QUERIES {
        if wanted.as_ref().is_some_and(|w| !query.contains(w.as_str())) {
            continue;
        }
        let (began, cpu) = (Instant::now(), cpu_ms());
        let mut runs = 0;
        while runs < 3 || (cpu_ms() - cpu < 1_000.0 && runs < 50) {
            let range = engine.range(query, DAY_MS - hours * 3_600_000, DAY_MS, step * 1_000, &context);
            if let Err(e) = runtime.block_on(range) {
                eprintln!("{query}: {e}");
                break;
            }
            runs += 1;
        }
        let per_run = |ms: f64| ms / f64::from(runs.max(1));
        println!(
            "{:>10.1} {:>10.1} {hours:>6} {step:>4}  {query}",
            per_run(cpu_ms() - cpu),
            per_run(began.elapsed().as_secs_f64() * 1000.0),
        );
    }
}
