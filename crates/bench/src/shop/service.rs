//! One service: how it answers a request, and what it tells about it. A server span over everything, an
//! internal span for its own work, a client span for each attempt to call on, one log line at the end.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use base::Clock;
use model::{AnyValue, Attributes, LogRecord, Span, SpanEvent, SpanKind, SpanStatus, StatusCode};
use net::{Client, Method, Request};
use parking_lot::Mutex;

use super::{
    ShopOptions,
    context::TraceContext,
    metrics::Set,
    record::Recorder,
    story::{self, Fate, Story},
};
use crate::{Result, random::Random, send};

/// Attempts at a service that is busy.
const ATTEMPTS: u32 = 2;
/// Before the second attempt, times the pace.
const BEFORE_RETRY: Duration = Duration::from_millis(40);
/// Answers of services are a line.
const MAX_ANSWER_BYTES: usize = 64 << 10;

pub(super) struct Service {
    name: String,
    address: SocketAddr,
    stories: &'static [Story],
    calls: Vec<Call>,
    client: Client,
    recorder: Arc<Recorder>,
    fates: Mutex<Random>,
    ids: Mutex<Random>,
    pace: f64,
    timeout: Duration,
    clock: Clock,
    requests: AtomicU64,
    failed: AtomicU64,
}

/// A service that is called.
struct Call {
    url: String,
    path: String,
    host: String,
    port: u16,
    method: &'static str,
}

/// A request as the server read it.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) context: Option<TraceContext>,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
}

/// A request under way.
struct InFlight {
    /// Trace and server span of this request.
    context: TraceContext,
    events: Vec<SpanEvent>,
}

/// What went wrong, for status, span and line.
struct Trouble {
    status: u16,
    kind: String,
    message: String,
}

impl Service {
    pub(super) fn new(
        o: &ShopOptions,
        address: SocketAddr,
        recorder: Arc<Recorder>,
        clock: &Clock,
    ) -> Result<Self> {
        // Services of one shop have one seed and differ by name.
        let lane = o.service.bytes().fold(0u64, |h, b| h.wrapping_mul(131).wrapping_add(u64::from(b)));
        // Ids must never come again, also not in the next run on the same store.
        let unique = o.seed ^ clock.now_ns() as u64;
        Ok(Service {
            name: o.service.clone(),
            address,
            stories: story::of(&o.service),
            calls: o.calls.iter().map(|c| Call::new(c)).collect::<Result<_>>()?,
            client: Client::new()?,
            recorder,
            fates: Mutex::new(Random::split(o.seed, lane)),
            ids: Mutex::new(Random::split(unique, lane ^ u64::from(address.port()) << 32)),
            pace: o.pace,
            timeout: o.timeout,
            clock: clock.clone(),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Requests answered, and of those with 5xx.
    pub(super) fn answered(&self) -> (u64, u64) {
        (self.requests.load(Relaxed), self.failed.load(Relaxed))
    }

    pub(super) async fn answer(&self, asked: Asked) -> Reply {
        let start_ns = self.clock.now_ns();
        self.recorder.count(|c| c.begin());
        let context = self.context(asked.context);
        let mut request = InFlight { context, events: Vec::new() };
        let found = self.stories.iter().find(|s| s.route == asked.path && s.method == asked.method);
        let fate = found.map(|s| s.draw(&mut self.fates.lock()));
        let outcome = match (found, &fate) {
            (Some(story), Some(fate)) => self.live(story, fate, &mut request).await,
            _ => Err(Trouble {
                status: 404,
                kind: "404".to_owned(),
                message: format!("{} answers nothing at {} {}", self.name, asked.method, asked.path),
            }),
        };
        let status = outcome.as_ref().map_or_else(|t| t.status, |()| 200);
        self.requests.fetch_add(1, Relaxed);
        if status >= 500 {
            self.failed.fetch_add(1, Relaxed);
        }
        let number = fate.as_ref().map_or(0, |f| f.number);
        let message = self.tell(&asked, found, fate.as_ref(), start_ns, request, outcome);
        Reply {
            status,
            body: format!("{{\"service\":{:?},\"number\":{number},\"message\":{message:?}}}\n", self.name),
        }
    }

    /// This request's own span: in the caller's trace, or the first of a new one.
    fn context(&self, caller: Option<TraceContext>) -> TraceContext {
        let mut ids = self.ids.lock();
        let span_id = (ids.next() | 1).to_be_bytes();
        match caller {
            Some(c) => TraceContext { span_id, ..c },
            None => {
                let trace = u128::from(ids.next()) << 64 | u128::from(ids.next() | 1);
                TraceContext { trace_id: trace.to_be_bytes(), span_id, sampled: true }
            }
        }
    }

    /// Works, then calls on.
    async fn live(&self, story: &'static Story, fate: &Fate, r: &mut InFlight) -> Result<(), Trouble> {
        self.work(story, fate, r).await?;
        let calls = if story.calls_all { self.calls.len() } else { 1 };
        for call in self.calls.iter().take(calls) {
            self.call(call, r).await?;
        }
        Ok(())
    }

    async fn work(&self, story: &'static Story, fate: &Fate, r: &InFlight) -> Result<(), Trouble> {
        let start_ns = self.clock.now_ns();
        self.wait(fate.work).await;
        let end_ns = self.clock.now_ns();
        let own = self.context(Some(r.context));
        let mut events = Vec::new();
        if fate.slow {
            events.push(event(end_ns, "slow path", [("reason", AnyValue::from(story.slow))]));
        }
        let mut attributes = Attributes::from_iter([("shop.number", fate.number as i64)]);
        let mut status = SpanStatus::default();
        if let Some(f) = fate.failure {
            let about = [("exception.type", f.kind.into()), ("exception.message", AnyValue::from(f.message))];
            events.push(event(end_ns, "exception", about));
            attributes.push("error.type", f.kind);
            status = SpanStatus { code: StatusCode::Error, message: f.message.to_owned() };
        }
        let set = vec![("outcome", if fate.failure.is_some() { "failed" } else { "done" }.to_owned())];
        self.recorder.count(|c| c.worked(set, seconds(start_ns, end_ns), end_ns, own));
        self.span(Span {
            name: story.work.to_owned(),
            kind: SpanKind::Internal,
            attributes,
            events,
            status,
            ..span(own, r.context.span_id, (start_ns, end_ns))
        });
        match fate.failure {
            None => Ok(()),
            Some(f) => {
                Err(Trouble { status: f.status, kind: f.kind.to_owned(), message: f.message.to_owned() })
            }
        }
    }

    /// Calls a service, once more when it is busy or does not answer.
    async fn call(&self, call: &Call, r: &mut InFlight) -> Result<(), Trouble> {
        let mut attempt = 0;
        loop {
            let trouble = match self.attempt(call, attempt, r.context).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            attempt += 1;
            let again = trouble.status == 503 && attempt < ATTEMPTS;
            if !again {
                return Err(Trouble {
                    // A customer's own problem stays one; trouble behind this service is a bad gateway.
                    status: if trouble.status < 500 { trouble.status } else { 502 },
                    ..trouble
                });
            }
            let about =
                [("server.address", AnyValue::from(call.host.as_str())), ("reason", trouble.message.into())];
            r.events.push(event(self.clock.now_ns(), "retry", about));
            self.wait(BEFORE_RETRY).await;
        }
    }

    async fn attempt(&self, call: &Call, attempt: u32, parent: TraceContext) -> Result<(), Trouble> {
        let own = self.context(Some(parent));
        let request = Request {
            method: call.method.parse().unwrap_or(Method::GET),
            timeout: self.timeout,
            max_answer_bytes: MAX_ANSWER_BYTES,
            ..Request::get(call.url.as_str())
        };
        let start_ns = self.clock.now_ns();
        let answered = self.client.send(request.header("traceparent", own.to_string())).await;
        let end_ns = self.clock.now_ns();
        let (status, trouble) = match &answered {
            Ok(a) if a.status.as_u16() < 400 => (Some(a.status.as_u16()), None),
            Ok(a) => {
                let status = a.status.as_u16();
                let message = format!("{} answered {status}", call.path);
                (Some(status), Some(Trouble { status, kind: status.to_string(), message }))
            }
            Err(e) => {
                let kind = if matches!(e, net::Error::Timeout { .. }) { "timeout" } else { "no_connection" };
                let message = format!("{}: {e}", call.path);
                (None, Some(Trouble { status: 503, kind: kind.to_owned(), message }))
            }
        };
        let mut attributes = Attributes::from_iter([
            ("http.request.method", AnyValue::from(call.method)),
            ("url.full", call.url.as_str().into()),
            ("server.address", call.host.as_str().into()),
            ("server.port", i64::from(call.port).into()),
        ]);
        let mut set: Set = vec![("http.request.method", call.method.to_owned())];
        if attempt > 0 {
            attributes.push("http.request.resend_count", i64::from(attempt));
        }
        if let Some(status) = status {
            attributes.push("http.response.status_code", i64::from(status));
            set.push(("http.response.status_code", status.to_string()));
        }
        set.extend([("server.address", call.host.clone()), ("server.port", call.port.to_string())]);
        set.push(("url.template", call.path.clone()));
        if let Some(t) = &trouble {
            attributes.push("error.type", t.kind.as_str());
        }
        self.recorder.count(|c| c.called(set, seconds(start_ns, end_ns), end_ns, own));
        let failed = |t: &Trouble| SpanStatus { code: StatusCode::Error, message: t.message.clone() };
        self.span(Span {
            name: format!("{} {}", call.method, call.path),
            kind: SpanKind::Client,
            attributes,
            status: trouble.as_ref().map(failed).unwrap_or_default(),
            ..span(own, parent.span_id, (start_ns, end_ns))
        });
        trouble.map_or(Ok(()), Err)
    }

    /// The server span, the counts and the line of a request that ends now. The line's text.
    fn tell(
        &self,
        asked: &Asked,
        story: Option<&'static Story>,
        fate: Option<&Fate>,
        start_ns: i64,
        r: InFlight,
        outcome: Result<(), Trouble>,
    ) -> String {
        let end_ns = self.clock.now_ns();
        let status = outcome.as_ref().map_or_else(|t| t.status, |()| 200);
        // Methods and paths that nobody serves come from outside, in any number.
        let (method, route) = story.map_or(("_OTHER", None), |s| (s.method, Some(s.route)));
        let mut attributes = Attributes::from_iter([
            ("http.request.method", AnyValue::from(method)),
            ("url.path", clip(&asked.path).into()),
            ("url.scheme", "http".into()),
            ("server.address", self.address.ip().to_string().into()),
            ("server.port", i64::from(self.address.port()).into()),
            ("http.response.status_code", i64::from(status).into()),
        ]);
        let mut set: Set = vec![
            ("http.request.method", method.to_owned()),
            ("http.response.status_code", status.to_string()),
        ];
        if let Some(route) = route {
            attributes.push("http.route", route);
            set.push(("http.route", route.to_owned()));
        }
        let mut span_status = SpanStatus::default();
        let retried = r.events.len();
        if let Err(t) = &outcome
            && status >= 500
        {
            attributes.push("error.type", t.kind.as_str());
            span_status = SpanStatus { code: StatusCode::Error, message: t.message.clone() };
        }
        let took = seconds(start_ns, end_ns);
        self.recorder.count(|c| c.end(set, took, end_ns, r.context));
        let parent = asked.context.map_or([0; 8], |c| c.span_id);
        self.span(Span {
            name: route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
            kind: SpanKind::Server,
            attributes,
            events: r.events,
            status: span_status,
            ..span(r.context, parent, (start_ns, end_ns))
        });
        let (level, severity, message) = match (&outcome, fate) {
            (Err(t), _) if status >= 500 => ("error", 17, t.message.clone()),
            (Err(t), _) => ("warn", 13, t.message.clone()),
            (Ok(()), Some(f)) if f.slow => ("warn", 13, story.map_or("", |s| s.slow).to_owned()),
            (Ok(()), _) if retried > 0 => ("warn", 13, "done after a second attempt".to_owned()),
            (Ok(()), _) => ("info", 9, story.map_or("", |s| s.done).to_owned()),
        };
        let number = fate.map_or(0, |f| f.number);
        let route = route.unwrap_or("?");
        self.recorder.line(LogRecord {
            timestamp_ns: end_ns,
            observed_ns: end_ns,
            severity_number: severity,
            severity_text: level.to_owned(),
            body: AnyValue::String(format!(
                "level={level} msg={message:?} route={route:?} status={status} number={number} took_ms={:.1}",
                took * 1e3
            )),
            flags: u32::from(r.context.sampled),
            trace_id: r.context.trace_id,
            span_id: r.context.span_id,
            ..LogRecord::default()
        });
        message
    }

    /// Keeps a span of a trace that is sampled.
    fn span(&self, span: Span) {
        if span.flags & 1 == 1 {
            self.recorder.span(span);
        }
    }

    async fn wait(&self, time: Duration) {
        let time = time.mul_f64(self.pace);
        if !time.is_zero() {
            self.clock.sleep(time).await;
        }
    }
}

impl Call {
    fn new(text: &str) -> Result<Self> {
        let url = send::parse(text)?;
        let path = url.path().to_owned();
        Ok(Call {
            method: story::method_of(&path),
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            url: url.into(),
            path,
        })
    }
}

fn span(own: TraceContext, parent_span_id: [u8; 8], (start_ns, end_ns): (i64, i64)) -> Span {
    Span {
        trace_id: own.trace_id,
        span_id: own.span_id,
        parent_span_id,
        flags: u32::from(own.sampled),
        start_ns,
        // A clock that was set back must not make a span end before it began.
        end_ns: end_ns.max(start_ns),
        ..Span::default()
    }
}

fn event<const N: usize>(at_ns: i64, name: &str, about: [(&str, AnyValue); N]) -> SpanEvent {
    SpanEvent {
        timestamp_ns: at_ns,
        name: name.to_owned(),
        attributes: Attributes::from_iter(about),
        dropped_attributes: 0,
    }
}

fn seconds(start_ns: i64, end_ns: i64) -> f64 {
    end_ns.saturating_sub(start_ns).max(0) as f64 / 1e9
}

/// What came from outside, short.
fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}
