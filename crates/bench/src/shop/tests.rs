use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode as Http},
    routing::post,
};
use model::{LogBatch, MetricBatch, Span, SpanBatch, SpanKind, StatusCode, span::SpanOrigin};
use net::{Client, Request};
use parking_lot::Mutex;
use tokio::sync::watch;
use wire::otlp::Options;

use super::*;

/// Keeps what it is sent; the first `busy` requests of each signal get 503.
struct Collector {
    url: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    busy: usize,
    attempts: Mutex<BTreeMap<String, usize>>,
    bodies: Mutex<Vec<(String, Bytes)>>,
    arrivals: watch::Sender<usize>,
}

async fn take(State(seen): State<Arc<Seen>>, Path(signal): Path<String>, body: Bytes) -> Http {
    let attempt = {
        let mut attempts = seen.attempts.lock();
        let n = attempts.entry(signal.clone()).or_default();
        *n += 1;
        *n
    };
    let busy = attempt <= seen.busy;
    if !busy {
        seen.bodies.lock().push((signal, body));
    }
    seen.arrivals.send_modify(|n| *n += 1);
    if busy { Http::SERVICE_UNAVAILABLE } else { Http::OK }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

impl Collector {
    async fn start(busy: usize) -> Self {
        let seen = Arc::new(Seen { busy, ..Seen::default() });
        let router = Router::new().route("/v1/{signal}", post(take)).with_state(seen.clone());
        Collector { url: serve(router).await, seen }
    }

    fn bodies(&self, signal: &str) -> Vec<Bytes> {
        self.seen.bodies.lock().iter().filter(|(s, _)| s == signal).map(|(_, b)| b.clone()).collect()
    }

    fn spans(&self) -> Vec<(SpanOrigin, Span)> {
        let decoded = self.bodies("traces").into_iter().map(|body| {
            let d = wire::otlp::traces::decode_protobuf(&body, &Options::default()).unwrap();
            assert!(d.refused.is_empty());
            d.batch
        });
        let pairs = |b: SpanBatch| {
            let origins = b.origins;
            b.spans.into_iter().map(move |s| (origins[s.origin as usize].clone(), s))
        };
        decoded.flat_map(pairs).collect()
    }

    fn lines(&self) -> Vec<LogBatch> {
        let read = |body: Bytes| wire::otlp::logs::decode_protobuf(&body, 1, &Options::default()).unwrap();
        self.bodies("logs").into_iter().map(|b| read(b).batch).collect()
    }

    fn metrics(&self) -> Vec<MetricBatch> {
        let read =
            |body: Bytes| wire::otlp::metrics::decode_protobuf(&body, 1, &Options::default(), None).unwrap();
        self.bodies("metrics").into_iter().map(|b| read(b).batch).collect()
    }
}

/// Lines told by a service.
fn told() -> (Tell, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    (Arc::new(move |line| kept.lock().push(line)), lines)
}

fn options(service: &str, otlp: &[&str], calls: &[String]) -> ShopOptions {
    ShopOptions {
        otlp: otlp.iter().map(|u| (*u).to_owned()).collect(),
        calls: calls.to_vec(),
        cluster: "dev-01".to_owned(),
        pace: 0.0,
        // Exports happen at the end only, unless a test says otherwise.
        export_every: Duration::from_secs(3600),
        metrics_every: Duration::from_secs(3600),
        ..ShopOptions::new(service, "127.0.0.1:0".parse().unwrap())
    }
}

struct Open {
    url: String,
    running: tokio::task::JoinHandle<ShopReport>,
}

async fn open(options: ShopOptions, tell: Tell, stop: &Shutdown) -> Open {
    let shop = Shop::open(options, &Clock::system(), tell).await.unwrap();
    let (url, stop) = (format!("http://{}", shop.address()), stop.clone());
    Open { url, running: tokio::spawn(async move { shop.run(&stop).await }) }
}

#[tokio::test]
async fn a_request_that_crosses_three_services_is_one_trace_with_the_right_parents() {
    let (collector, stop) = (Collector::start(0).await, Shutdown::new());
    let otlp = [collector.url.as_str()];
    // A name of no story never fails.
    let warehouse = open(options("warehouse", &otlp, &[]), told().0, &stop).await;
    let checkout =
        open(options("checkout", &otlp, std::slice::from_ref(&warehouse.url)), told().0, &stop).await;
    let call = [format!("{}/checkout", checkout.url)];
    let frontend = open(options("frontend", &otlp, &call), told().0, &stop).await;
    let answer = Client::new().unwrap().send(Request::post(format!("{}/orders", frontend.url), "")).await;
    assert_eq!(answer.unwrap().status, 200);
    stop.start();
    let report = frontend.running.await.unwrap();
    assert_eq!((report.requests, report.failed), (1, 0));
    assert_eq!(report.spans, Delivered { sent: 3, refused: 0, dropped: 0 });
    checkout.running.await.unwrap();
    warehouse.running.await.unwrap();

    let spans = collector.spans();
    let traces: BTreeSet<[u8; 16]> = spans.iter().map(|(_, s)| s.trace_id).collect();
    assert_eq!(traces.len(), 1);
    let find = |service: &str, kind: SpanKind| {
        let mut found = spans.iter().filter(|(o, s)| o.service_name() == service && s.kind == kind);
        let span = found.next().unwrap_or_else(|| panic!("{service} {kind:?}")).1.clone();
        assert!(found.next().is_none(), "{service} {kind:?}");
        span
    };
    assert_eq!(find("frontend", SpanKind::Server).parent_span_id, [0; 8]);
    for (caller, called) in [("frontend", "checkout"), ("checkout", "warehouse")] {
        let (entry, call) = (find(caller, SpanKind::Server), find(caller, SpanKind::Client));
        assert_eq!(call.parent_span_id, entry.span_id);
        assert_eq!(find(caller, SpanKind::Internal).parent_span_id, entry.span_id);
        let answered = find(called, SpanKind::Server);
        assert_eq!(answered.parent_span_id, call.span_id);
        assert!(call.start_ns <= answered.start_ns && answered.end_ns <= call.end_ns);
    }
    assert_eq!(spans.len(), 8);
    let about = &spans[0].0.resource.attributes;
    assert_eq!(about.get_str("k8s.cluster.name"), Some("dev-01"));
    assert!(about.get_str("service.instance.id").is_some());

    let lines = collector.lines();
    let records: Vec<_> = lines.iter().flat_map(|b| &b.records).collect();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|r| traces.contains(&r.trace_id)));
    assert!(lines.iter().flat_map(|b| &b.streams).all(|s| s.labels.value("k8s_cluster_name") == "dev-01"));
}

#[tokio::test]
async fn metrics_have_exemplars_of_the_trace_and_native_histograms_and_are_the_same_at_each_replica() {
    let (a, b, stop) = (Collector::start(0).await, Collector::start(0).await, Shutdown::new());
    let stock = open(options("elsewhere", &[], &[]), told().0, &stop).await;
    let shop =
        open(options("anything", &[&a.url, &b.url], std::slice::from_ref(&stock.url)), told().0, &stop).await;
    let client = Client::new().unwrap();
    for path in ["/", "/", "/nowhere"] {
        client.send(Request::get(format!("{}{path}", shop.url))).await.unwrap();
    }
    stop.start();
    let report = shop.running.await.unwrap();
    stock.running.await.unwrap();
    // Spans and lines are shared among replicas, metrics are not.
    assert!(b.bodies("traces").is_empty() && b.bodies("logs").is_empty());
    assert_eq!(a.bodies("metrics"), b.bodies("metrics"));
    assert!(report.points.sent > 0 && report.points.sent % 2 == 0);

    let [batch] = a.metrics().try_into().unwrap();
    let value = |name: &str, status: &str| {
        let of = |i: &u32| {
            let l = &batch.series[*i as usize];
            l.metric_name() == name && l.value("http_response_status_code") == status
        };
        let samples = batch.samples.series.iter().zip(&batch.samples.value);
        samples.filter(|(i, _)| of(i)).map(|(_, v)| *v).collect::<Vec<_>>()
    };
    assert_eq!(value("shop_requests_total", "200"), [2.0]);
    assert_eq!(value("shop_requests_total", "404"), [1.0]);
    assert_eq!(value("http_server_request_duration_seconds_count", "200"), [2.0]);
    let native: BTreeMap<&str, f64> = batch
        .histograms
        .iter()
        .map(|h| (batch.series[h.series as usize].metric_name(), h.histogram.count))
        .collect();
    let expected = [("http_client_request_duration_seconds", 2.0), ("shop_work_duration_seconds", 2.0)];
    assert_eq!(native, BTreeMap::from(expected));
    let traces: BTreeSet<String> =
        a.spans().iter().map(|(_, s)| s.trace_id.iter().map(|b| format!("{b:02x}")).collect()).collect();
    assert!(!batch.exemplars.is_empty());
    assert!(batch.exemplars.iter().all(|(_, e)| traces.contains(e.labels.value("trace_id"))));
}

#[tokio::test]
async fn a_service_goes_on_without_its_collector_and_says_what_it_dropped() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let ((tell, lines), stop) = (told(), Shutdown::new());
    let shop = open(options("anything", &[&url], &[]), tell, &stop).await;
    for _ in 0..5 {
        let answer = Client::new().unwrap().send(Request::get(shop.url.as_str())).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    stop.start();
    let report = shop.running.await.unwrap();
    assert_eq!(report.requests, 5);
    assert_eq!(report.spans, Delivered { sent: 0, refused: 0, dropped: 10 });
    assert_eq!(report.records, Delivered { sent: 0, refused: 0, dropped: 5 });
    assert!(report.to_string().contains("0 sent, 0 refused, 10 dropped"));
    let lines = lines.lock();
    assert!(lines.iter().any(|l| l.contains(&url) && l.contains("takes no traces")), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("10 items of traces")), "{lines:?}");
}

#[tokio::test]
async fn what_a_collector_did_not_take_is_sent_again() {
    let (collector, stop) = (Collector::start(1).await, Shutdown::new());
    let ((tell, lines), soon) = (told(), Duration::from_millis(5));
    let o = ShopOptions { export_every: soon, ..options("anything", &[&collector.url], &[]) };
    let shop = open(o, tell, &stop).await;
    Client::new().unwrap().send(Request::get(shop.url.as_str())).await.unwrap();
    // Both spans and lines were turned away once.
    let mut arrivals = collector.seen.arrivals.subscribe();
    arrivals.wait_for(|n| *n >= 2).await.unwrap();
    stop.start();
    let report = shop.running.await.unwrap();
    assert_eq!(report.spans, Delivered { sent: 2, refused: 0, dropped: 0 });
    assert_eq!(collector.spans().len(), 2);
    assert!(lines.lock().iter().any(|l| l.contains("takes traces again, 0 items")), "{:?}", lines.lock());
}

#[tokio::test]
async fn a_busy_service_is_asked_once_more_and_the_trace_shows_both_attempts() {
    async fn busy_once(State(seen): State<Arc<Mutex<Vec<String>>>>, headers: HeaderMap) -> Http {
        let mut seen = seen.lock();
        seen.push(headers["traceparent"].to_str().unwrap().to_owned());
        if seen.len() == 1 { Http::SERVICE_UNAVAILABLE } else { Http::OK }
    }
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let payment = serve(Router::new().route("/payments", post(busy_once)).with_state(seen.clone())).await;
    let (collector, stop) = (Collector::start(0).await, Shutdown::new());
    let calls = [format!("{payment}/payments")];
    let shop = open(options("checkout", &[&collector.url], &calls), told().0, &stop).await;
    let url = format!("{}/checkout", shop.url);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = Request::post(url.as_str(), "").header("traceparent", parent);
    assert_eq!(Client::new().unwrap().send(request).await.unwrap().status, 200);
    // A caller that does not sample is followed in that, too.
    let unsampled = Request::post(url, "").header("traceparent", parent.replace("-01", "-00"));
    assert_eq!(Client::new().unwrap().send(unsampled).await.unwrap().status, 200);
    stop.start();
    shop.running.await.unwrap();

    let spans: Vec<Span> = collector.spans().into_iter().map(|(_, s)| s).collect();
    assert_eq!(spans.len(), 4);
    let server = spans.iter().find(|s| s.kind == SpanKind::Server).unwrap();
    assert_eq!(server.parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    assert_eq!(server.events.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["retry"]);
    assert_eq!(server.status.code, StatusCode::Unset);
    let calls: Vec<_> = spans.iter().filter(|s| s.kind == SpanKind::Client).collect();
    assert_eq!(calls[0].status.code, StatusCode::Error);
    assert_eq!(calls[1].attributes.get("http.request.resend_count"), Some(&1i64.into()));
    let seen = seen.lock();
    let followed: Vec<_> = seen.iter().map(|h| TraceContext::parse(h).unwrap()).collect();
    assert_eq!(followed[0].span_id, calls[0].span_id);
    assert_eq!(followed[1].span_id, calls[1].span_id);
    assert!(!followed[2].sampled);
}

#[tokio::test]
async fn a_service_that_is_not_there_makes_a_bad_gateway_and_not_a_hang() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/payments", closed.local_addr().unwrap());
    drop(closed);
    let (collector, stop) = (Collector::start(0).await, Shutdown::new());
    let shop = open(options("anything", &[&collector.url], &[url]), told().0, &stop).await;
    let answer = Client::new().unwrap().send(Request::get(shop.url.as_str())).await.unwrap();
    assert_eq!(answer.status, 502);
    stop.start();
    assert_eq!(shop.running.await.unwrap().failed, 1);
    let spans = collector.spans();
    let failed: Vec<_> = spans.iter().filter(|(_, s)| s.status.code == StatusCode::Error).collect();
    assert_eq!(failed.len(), 3);
    assert!(failed.iter().any(|(_, s)| s.attributes.get_str("error.type") == Some("no_connection")));
    assert!(collector.lines()[0].records[0].body.to_string().contains("level=error"));
}

#[tokio::test]
async fn the_load_keeps_a_frontend_answering() {
    let (collector, stop) = (Collector::start(0).await, Shutdown::new());
    let soon = Duration::from_millis(5);
    let o = ShopOptions { load: 500.0, export_every: soon, ..options("frontend", &[&collector.url], &[]) };
    let shop = open(o, told().0, &stop).await;
    let mut arrivals = collector.seen.arrivals.subscribe();
    arrivals.wait_for(|n| *n >= 20).await.unwrap();
    stop.start();
    let report = shop.running.await.unwrap();
    assert!(report.requests >= 2);
    assert_eq!(report.spans.sent, report.requests * 2);
    let routes: BTreeSet<String> = collector.spans().iter().map(|(_, s)| s.name.clone()).collect();
    assert!(routes.contains("GET /"));
}

#[tokio::test]
async fn options_that_make_no_sense_are_named() {
    let refused = |o: ShopOptions| async move {
        Shop::open(o, &Clock::system(), told().0).await.err().unwrap().to_string()
    };
    let usual = || options("x", &[], &[]);
    assert!(refused(ShopOptions { load: f64::NAN, ..usual() }).await.contains("load is NaN"));
    assert!(refused(ShopOptions { service: String::new(), ..usual() }).await.contains("service"));
    assert!(refused(options("x", &["ftp://h"], &[])).await.contains("ftp://h"));
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    assert!(refused(ShopOptions { listen, ..usual() }).await.contains(&listen.to_string()));
}
