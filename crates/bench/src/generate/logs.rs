//! Log lines of an imagined shop: access logs, JSON and logfmt services, a stack trace now and then, a kernel.

use model::{AnyValue, Attributes, Labels, LogBatch, LogRecord, LogStream, attributes::Resource};

use crate::{options::WriteOptions, random::Random};

pub(super) struct Services {
    streams: Vec<LogStream>,
    styles: Vec<usize>,
    random: Random,
    last_ns: i64,
}

const APPS: [&str; 8] = ["gateway", "cart", "catalog", "checkout", "payment", "search", "mail", "kernel"];
const NAMESPACES: [&str; 3] = ["shop", "platform", "system"];
const PATHS: [&str; 8] =
    ["/", "/cart", "/cart/items", "/product/1042", "/product/77", "/search", "/login", "/static/app.js"];
const METHODS: [&str; 4] = ["GET", "GET", "POST", "DELETE"];
const LEVELS: [(&str, u8); 6] =
    [("info", 9), ("info", 9), ("info", 9), ("debug", 5), ("warn", 13), ("error", 17)];
const TROUBLE: [&str; 5] = [
    "connection reset by peer",
    "deadline of 250ms passed while waiting for stock",
    "no replica answered",
    "card declined by issuer",
    "cache entry expired during read",
];

impl Services {
    pub(super) fn new(options: &WriteOptions, worker: usize) -> Self {
        let numbers = (worker..options.targets.max(worker + 1)).step_by(options.concurrency.max(1));
        let (mut streams, mut styles) = (Vec::new(), Vec::new());
        for n in numbers {
            let app = APPS.get(n % APPS.len()).copied().unwrap_or("gateway");
            let namespace = NAMESPACES.get(n % NAMESPACES.len()).copied().unwrap_or("shop");
            let pod = format!("{app}-{:x}-{n}", n.wrapping_mul(2_654_435_761) & 0xffff);
            let about =
                [("service.name", app), ("k8s.namespace.name", namespace), ("k8s.pod.name", pod.as_str())];
            let labels = Labels::from_pairs(about.map(|(k, v)| (k.replace('.', "_"), v)));
            let resource = Resource { attributes: Attributes::from_iter(about), ..Resource::default() };
            streams.push(LogStream { labels, resource, ..LogStream::default() });
            styles.push(n % APPS.len());
        }
        Services { streams, styles, random: Random::split(options.seed, worker as u64), last_ns: i64::MIN }
    }

    pub(super) fn next(&mut self, items: usize, now_ns: i64) -> LogBatch {
        let mut batch = LogBatch { streams: self.streams.clone(), records: Vec::with_capacity(items) };
        for _ in 0..items {
            self.last_ns = now_ns.max(self.last_ns.saturating_add(1));
            let stream = self.random.below(self.streams.len() as u64) as usize;
            let style = self.styles.get(stream).copied().unwrap_or(0);
            let record = self.record(stream as u32, style);
            batch.records.push(record);
        }
        let mut used = vec![false; batch.streams.len()];
        for r in &batch.records {
            if let Some(u) = used.get_mut(r.stream as usize) {
                *u = true;
            }
        }
        compact(&mut batch, &used);
        batch
    }

    fn record(&mut self, stream: u32, style: usize) -> LogRecord {
        let r = &mut self.random;
        let (level, number) = r.pick(&LEVELS).unwrap_or(("info", 9));
        let mut record = LogRecord {
            stream,
            timestamp_ns: self.last_ns,
            observed_ns: self.last_ns,
            severity_number: number,
            severity_text: level.to_owned(),
            ..LogRecord::default()
        };
        if r.chance(0.3) {
            let (a, b) = (r.next(), r.next());
            record.trace_id = (u128::from(a) << 64 | u128::from(b)).to_be_bytes();
            record.span_id = r.next().to_be_bytes();
        }
        if r.chance(0.5) {
            record.attributes.push("thread", r.below(32) as i64);
        }
        record.body = AnyValue::String(line(r, style, level));
        record
    }
}

/// Leaves out streams that no record names.
fn compact(batch: &mut LogBatch, used: &[bool]) {
    let mut index = vec![0u32; used.len()];
    let mut kept = Vec::new();
    for ((stream, used), index) in std::mem::take(&mut batch.streams).into_iter().zip(used).zip(&mut index) {
        if *used {
            *index = kept.len() as u32;
            kept.push(stream);
        }
    }
    batch.streams = kept;
    for r in &mut batch.records {
        r.stream = index.get(r.stream as usize).copied().unwrap_or(0);
    }
}

fn line(r: &mut Random, style: usize, level: &str) -> String {
    let path = r.pick(&PATHS).unwrap_or("/");
    let trouble = r.pick(&TROUBLE).unwrap_or("");
    let (user, took, id) = (r.below(50_000), r.below(90_000) as f64 / 100.0, r.next());
    match style {
        0 => {
            let method = r.pick(&METHODS).unwrap_or("GET");
            let status = if level == "error" { 502 } else { 200 };
            let (a, b, bytes) = (r.below(256), r.below(256), r.below(40_000));
            format!(
                r#"10.1.{a}.{b} - u{user} "{method} {path}?page={} HTTP/1.1" {status} {bytes} {took:.2}ms"#,
                r.below(30)
            )
        }
        1..=3 => {
            let extra = if level == "error" { format!(r#","error":"{trouble}""#) } else { String::new() };
            format!(
                r#"{{"level":"{level}","msg":"request done","path":"{path}","user":{user},"took_ms":{took},"id":"{id:016x}"{extra}}}"#
            )
        }
        4 | 5 => format!(
            r#"level={level} caller=pay.rs:{} msg="order settled" order={id:x} user={user} took={took}ms"#,
            r.below(400)
        ),
        6 if level == "error" => format!(
            "{trouble} while mailing user {user}\n    at mail.Queue.take(Queue.java:{})\n    at mail.Worker.run(Worker.java:{})",
            r.below(300),
            r.below(900)
        ),
        6 => format!("queued message {id:x} for user {user} in {took} ms"),
        _ => format!(
            "[{:>12.6}] eth0: link is up, {} frames, {} overruns",
            user as f64 + took / 1e3,
            id >> 40,
            r.below(4)
        ),
    }
}
