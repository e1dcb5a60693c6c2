//! Log lines of an imagined company, about 200 bytes each: a gateway's access log, services that write JSON or logfmt,
//! a control plane in klog's form, Java with its thread names, a database and a kernel. Times, ids, users, sizes and
//! durations differ in every line; what is around them repeats, as it does in programs.

use std::fmt::Write as _;

use model::{Attributes, Labels, LogBatch, LogRecord, LogStream};

use crate::random::Random;

/// Services, the form their lines have, and of how many pods each.
const SERVICES: [(&str, &str, Style, usize); 12] = [
    ("gateway", "edge", Style::Access, 12),
    ("checkout", "shop", Style::Json, 16),
    ("cart", "shop", Style::Json, 12),
    ("catalog", "shop", Style::Logfmt, 12),
    ("payment", "shop", Style::Java, 8),
    ("search", "shop", Style::Json, 12),
    ("mail", "platform", Style::Logfmt, 4),
    ("auth", "platform", Style::Json, 8),
    ("orders-db", "platform", Style::Database, 3),
    ("kube-controller", "kube-system", Style::Klog, 3),
    ("kubelet", "kube-system", Style::Klog, 30),
    ("kernel", "kube-system", Style::Kernel, 30),
];
const LEVELS: [(&str, u64); 4] = [("info", 88), ("debug", 7), ("warn", 4), ("error", 1)];
const PATHS: [&str; 10] = [
    "/api/v1/cart/items",
    "/api/v1/products",
    "/api/v1/checkout/confirm",
    "/api/v1/users/me/addresses",
    "/static/js/app.bundle.js",
    "/api/v1/search",
    "/login",
    "/api/v2/orders",
    "/healthz",
    "/api/v1/recommendations",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15",
    "okhttp/5.1.0",
    "Go-http-client/2.0",
];
const TROUBLE: [&str; 6] = [
    "connection reset by peer",
    "context deadline exceeded while waiting for stock reservation",
    "no healthy upstream",
    "card declined by issuer",
    "optimistic lock failed, row was changed by another transaction",
    "cache entry expired during read, falling back to the database",
];
const STEPS: [&str; 6] = [
    "reserved stock for order",
    "order settled with provider",
    "loaded product page from cache",
    "session refreshed for user",
    "published event to topic orders.v2",
    "rendered recommendations for basket",
];

#[derive(Debug, Clone, Copy)]
enum Style {
    Access,
    Json,
    Logfmt,
    Java,
    Database,
    Klog,
    Kernel,
}

/// Lines in order of time, evenly over a span.
pub(super) struct Corpus {
    streams: Vec<LogStream>,
    styles: Vec<Style>,
    random: Random,
    at_ns: f64,
    step_ns: f64,
    made: u64,
    /// Ids that were given to one line each, spread over the whole.
    pub(super) needles: Vec<String>,
    needle_every: u64,
}

/// One line in so many gets an id that is remembered, as long as there are fewer than this.
const NEEDLES: u64 = 40;

impl Corpus {
    /// `lines` over `span_ns`, the last at `end_ns`.
    pub(super) fn new(seed: u64, lines: u64, end_ns: i64, span_ns: i64) -> Self {
        let (mut streams, mut styles) = (Vec::new(), Vec::new());
        for (service, namespace, style, pods) in SERVICES {
            for pod in 0..pods {
                let hash = (pod as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
                let pod = format!("{service}-{hash:05x}-{pod:02}");
                let labels = Labels::from_pairs([
                    ("service_name", service),
                    ("namespace", namespace),
                    ("pod", pod.as_str()),
                ]);
                streams.push(LogStream { labels, ..LogStream::default() });
                styles.push(style);
            }
        }
        let step_ns = span_ns as f64 / lines.max(1) as f64;
        Corpus {
            streams,
            styles,
            random: Random::split(seed, 0),
            at_ns: end_ns as f64 - span_ns as f64,
            step_ns,
            made: 0,
            needles: Vec::new(),
            needle_every: (lines / NEEDLES).max(1),
        }
    }

    /// The next lines, each stream's label `level` as structured metadata.
    pub(super) fn next(&mut self, lines: usize) -> LogBatch {
        let mut batch = LogBatch { streams: self.streams.clone(), records: Vec::with_capacity(lines) };
        for _ in 0..lines {
            self.at_ns += self.step_ns;
            let stream = self.random.below(self.streams.len() as u64) as usize;
            let style = self.styles.get(stream).copied().unwrap_or(Style::Kernel);
            let level = self.level();
            let (a, b) = (self.random.next(), self.random.next());
            let id = format!("{a:016x}{b:016x}");
            if self.made.is_multiple_of(self.needle_every) {
                self.needles.push(id.clone());
            }
            let needle = self.made.is_multiple_of(self.needle_every).then_some(id.as_str());
            let at_ns = self.at_ns as i64;
            let mut body = self.line(style, level, &id, at_ns);
            if let Some(id) = needle.filter(|id| !body.contains(*id)) {
                let _ = write!(body, " id={id}");
            }
            self.made += 1;
            batch.records.push(LogRecord {
                stream: stream as u32,
                timestamp_ns: at_ns,
                observed_ns: at_ns,
                attributes: Attributes::from_iter([("level", level)]),
                body: body.into(),
                ..LogRecord::default()
            });
        }
        batch
    }

    fn level(&mut self) -> &'static str {
        let mut n = self.random.below(LEVELS.iter().map(|(_, share)| share).sum());
        for (level, share) in LEVELS {
            match n.checked_sub(share) {
                Some(left) => n = left,
                None => return level,
            }
        }
        "info"
    }

    fn line(&mut self, style: Style, level: &str, id: &str, at_ns: i64) -> String {
        let r = &mut self.random;
        let path = r.pick(&PATHS).unwrap_or("/");
        let trouble = r.pick(&TROUBLE).unwrap_or("");
        let step = r.pick(&STEPS).unwrap_or("");
        let (user, took, size) = (r.below(200_000), r.below(900_000) as f64 / 1000.0, r.below(60_000));
        let bad = level == "error";
        match style {
            Style::Access => {
                let agent = r.pick(&AGENTS).unwrap_or("-");
                let method = r.pick(&["GET", "GET", "GET", "POST", "PUT"]).unwrap_or("GET");
                let status = if bad { 502 } else { r.pick(&[200, 200, 200, 201, 304, 404]).unwrap_or(200) };
                format!(
                    r#"10.{}.{}.{} - u{user} [{}] "{method} {path}?page={} HTTP/1.1" {status} {size} "-" "{agent}" {took:.3} {id}"#,
                    r.below(4),
                    r.below(256),
                    r.below(256),
                    clock(at_ns),
                    r.below(40),
                )
            }
            Style::Json => {
                let error = if bad {
                    format!(r#","error":"{trouble}","attempt":{}"#, r.below(4))
                } else {
                    String::new()
                };
                format!(
                    r#"{{"ts":"{}","level":"{level}","msg":"{step}","path":"{path}","user_id":{user},"took_ms":{took},"trace_id":"{id}","items":{}{error}}}"#,
                    clock(at_ns),
                    r.below(12),
                )
            }
            Style::Logfmt => format!(
                r#"ts={} level={level} caller=handler.go:{} msg="{step}" order=ord_{:08x} user={user} size={size} duration={took:.2}ms region=eu-central-1 outcome="{}""#,
                clock(at_ns),
                r.below(400),
                r.below(u64::from(u32::MAX)),
                if bad { trouble } else { "ok" },
            ),
            Style::Java => format!(
                "{} {:<5} [http-nio-8080-exec-{}] c.e.payment.SettlementService - {} for user {user} amount={}.{:02} EUR provider=acme txn={}-{:04}",
                clock(at_ns),
                level.to_uppercase(),
                r.below(200),
                if bad { trouble } else { step },
                r.below(900),
                r.below(100),
                r.below(u64::from(u32::MAX)),
                r.below(10_000),
            ),
            Style::Database => format!(
                "{} [{}] LOG:  duration: {took:.3} ms  statement: SELECT o.id, o.state, o.total FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.id = {user} AND o.created_at > now() - interval '30 days' ORDER BY o.id LIMIT {}",
                clock(at_ns),
                r.below(30_000),
                r.below(100),
            ),
            Style::Klog => format!(
                r#"{}{} {} controller.go:{}] "Reconciled object" kind="Deployment" object="shop/checkout-{}" generation={} reconcileID="{}" requeueAfter="{took:.3}s""#,
                if bad { 'E' } else { 'I' },
                "1121",
                clock(at_ns),
                r.below(900),
                r.below(40),
                r.below(2_000),
                id,
            ),
            Style::Kernel => format!(
                "[{:>14.6}] IPv4: martian source 10.{}.{}.{} from 10.0.{}.{}, on dev eth0, len={size} qlen={}",
                at_ns as f64 / 1e9 % 1e6,
                r.below(256),
                r.below(256),
                r.below(256),
                r.below(256),
                r.below(256),
                r.below(1000),
            ),
        }
    }
}

/// The time of day, to the microsecond: programs write it into their lines.
fn clock(at_ns: i64) -> String {
    let micros = at_ns.div_euclid(1000);
    let seconds = micros.div_euclid(1_000_000);
    let (h, m, s) = (seconds.div_euclid(3600) % 24, seconds.div_euclid(60) % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}.{:06}", micros.rem_euclid(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_about_200_bytes_and_needles_are_in_one_line_each() {
        let mut corpus = Corpus::new(1, 8_000, 86_400_000_000_000, 86_400_000_000_000);
        let records: Vec<LogRecord> = (0..8).flat_map(|_| corpus.next(1000).records).collect();
        let lines: Vec<&str> = records.iter().filter_map(|r| r.body.as_str()).collect();
        let mean = lines.iter().map(|l| l.len()).sum::<usize>() / lines.len();
        assert!((150..250).contains(&mean), "{mean}");
        assert_eq!(corpus.needles.len(), 40);
        for needle in &corpus.needles {
            assert_eq!(lines.iter().filter(|l| l.contains(needle.as_str())).count(), 1);
        }
        assert!(records.is_sorted_by_key(|r| r.timestamp_ns));
        assert_eq!(records.last().map(|r| r.timestamp_ns / 1_000_000_000), Some(86_400));
    }
}
