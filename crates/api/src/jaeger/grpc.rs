//! What is asked over gRPC: `jaeger.api_v3.QueryService`, and `jaeger.storage.v2` by which a Jaeger reads its traces from
//! here. It writes them by OTLP, on the same ports.
//!
//! What an answer covers is in the metadata `x-orrery-coverage`: before the message of a call that has one, after the last
//! message of those that stream.

mod query;
mod storage;

use std::{convert::Infallible, pin::Pin};

use axum::{
    Router,
    body::Body,
    extract::{Request as HttpRequest, State},
    response::Response as HttpResponse,
    routing::post,
};
use base::Kind;
use contract::{Coverage, Tenants};
use futures::{Stream, stream};
use model::{TimeRange, TimestampNs};
use proto::jaeger::{
    Duration, Timestamp,
    api_v3::query_service_server::QueryServiceServer,
    storage::{
        capabilities_server::CapabilitiesServer, dependency_reader_server::DependencyReaderServer,
        trace_reader_server::TraceReaderServer,
    },
};
use tokio::sync::mpsc;
use tonic::{Code, Request, Response, Status, codec::CompressionEncoding, metadata::MetadataMap};
use tower::{Service, ServiceExt};

use super::{
    pieces::Outlet,
    reads::Reads,
    search::{DEFAULT_LIMIT, MAX_LIMIT},
};
use crate::{AppState, Error, ask::OVERTIME, coverage, otlp, tenant};

/// Messages that wait for a slow reader. Larger: more is held for it.
const WAITING: usize = 2;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/jaeger.api_v3.QueryService/{method}", post(query_service))
        .route("/jaeger.storage.v2.TraceReader/{method}", post(trace_reader))
        .route("/jaeger.storage.v2.DependencyReader/{method}", post(dependency_reader))
        .route("/jaeger.storage.v2.Capabilities/{method}", post(capabilities))
}

/// A server that takes and sends what its client packs.
macro_rules! packing {
    ($server:ident, $service:expr) => {
        $server::new($service)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Zstd)
    };
}

async fn query_service(State(state): State<AppState>, request: HttpRequest) -> HttpResponse {
    serve(packing!(QueryServiceServer, query::Query(state)), request).await
}

async fn trace_reader(State(state): State<AppState>, request: HttpRequest) -> HttpResponse {
    serve(packing!(TraceReaderServer, storage::Storage(state)), request).await
}

async fn dependency_reader(State(state): State<AppState>, request: HttpRequest) -> HttpResponse {
    serve(packing!(DependencyReaderServer, storage::Storage(state)), request).await
}

async fn capabilities(State(state): State<AppState>, request: HttpRequest) -> HttpResponse {
    serve(packing!(CapabilitiesServer, storage::Storage(state)), request).await
}

async fn serve<S>(service: S, request: HttpRequest) -> HttpResponse
where
    S: Service<HttpRequest, Response = http::Response<tonic::body::Body>, Error = Infallible>,
{
    let answered = service.oneshot(request).await;
    answered.unwrap_or_else(|never| match never {}).map(Body::new)
}

/// What a call streams.
type Many<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Who calls.
struct Caller<'a> {
    state: &'a AppState,
    tenants: Tenants,
}

impl<'a> Caller<'a> {
    fn of<T>(state: &'a AppState, request: &Request<T>) -> Result<Self, Status> {
        let headers = request.metadata().clone().into_headers();
        let tenants = tenant::for_read(&headers).map_err(|e| status(&e))?;
        Ok(Caller { state, tenants })
    }

    /// A call that is answered by one message.
    async fn one<T, F>(self, work: impl FnOnce(Reads) -> F) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<(T, Coverage), Error>> + Send + 'static,
    {
        let Caller { state, tenants } = self;
        let timeout = state.options.query_timeout;
        let limits = state.query_limits(timeout);
        let pass = state.gate().enter(limits.deadline).await.map_err(|e| status(&e))?;
        let work = work(Reads::new(&state.reads, tenants, limits));
        let ran = tokio::time::timeout(timeout + OVERTIME, state.pool().run(work)).await;
        drop(pass);
        let (message, covered) = ran.unwrap_or_else(|_| Err(overtime())).map_err(|e| status(&e))?;
        let mut response = Response::new(message);
        *response.metadata_mut() = stamped(&covered);
        Ok(response)
    }

    /// A call that is answered by a stream of messages; the work ends with it, and when its reader goes away.
    async fn many<T, F>(self, work: impl FnOnce(Reads, Outlet<T>) -> F) -> Result<Response<Many<T>>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<Coverage, Error>> + Send + 'static,
    {
        let Caller { state, tenants } = self;
        let timeout = state.options.query_timeout;
        let limits = state.query_limits(timeout);
        let pass = state.gate().enter(limits.deadline).await.map_err(|e| status(&e))?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let work = work(Reads::new(&state.reads, tenants, limits), Outlet(sender));
        let state = state.clone();
        let running = Box::pin(async move {
            let ran = tokio::time::timeout(timeout + OVERTIME, state.pool().run(work)).await;
            drop(pass);
            ran.unwrap_or_else(|_| Err(overtime()))
        });
        let driven = Driven { receiver, running: Some(running), ended: None };
        Ok(Response::new(Box::pin(stream::unfold(driven, Driven::next))))
    }
}

type Running = Pin<Box<dyn Future<Output = Result<Coverage, Error>> + Send>>;

/// Work and the messages it makes, until both have ended.
struct Driven<T> {
    receiver: mpsc::Receiver<T>,
    running: Option<Running>,
    ended: Option<Status>,
}

impl<T> Driven<T> {
    async fn next(mut self) -> Option<(Result<T, Status>, Self)> {
        loop {
            let Some(running) = &mut self.running else {
                return match self.receiver.recv().await {
                    Some(message) => Some((Ok(message), self)),
                    None => self.ended.take().map(|end| (Err(end), self)),
                };
            };
            tokio::select! {
                message = self.receiver.recv() => match message {
                    Some(message) => return Some((Ok(message), self)),
                    // Its last message is out, what remains is how it ended.
                    None => self.ended = Some(end(running.await)),
                },
                ended = &mut *running => self.ended = Some(end(ended)),
            }
            self.running = None;
        }
    }
}

/// A stream ends with a status: an error, or that all went well with what the answer covers.
fn end(ended: Result<Coverage, Error>) -> Status {
    match ended {
        Ok(covered) => Status::with_metadata(Code::Ok, "", stamped(&covered)),
        Err(e) => status(&e),
    }
}

fn stamped(covered: &Coverage) -> MetadataMap {
    let mut response = HttpResponse::default();
    coverage::stamp(&mut response, covered);
    MetadataMap::from_headers(response.into_parts().0.headers)
}

fn status(e: &Error) -> Status {
    otlp::answer::grpc_status(e)
}

fn overtime() -> Error {
    Error::new(Kind::Timeout, "the query did not finish within query.timeout")
}

/// Nanoseconds of a time; `None` where there is none, as Go's zero is.
fn time_ns(name: &str, t: Option<&Timestamp>) -> Result<Option<i64>, Error> {
    let Some(t) = t else { return Ok(None) };
    // What Go writes of a time that was never set.
    if t.seconds == GO_ZERO_SECONDS {
        return Ok(None);
    }
    let out_of_range = || Error::invalid(format!("{name} is out of range: {} s, {} ns", t.seconds, t.nanos));
    let nanos = u32::try_from(t.nanos).ok().filter(|n| *n < 1_000_000_000).ok_or_else(out_of_range)?;
    let ns = t.seconds.checked_mul(1_000_000_000).and_then(|s| s.checked_add(i64::from(nanos)));
    ns.map(Some).ok_or_else(out_of_range)
}

/// 0001-01-01T00:00:00Z.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

/// Nanoseconds of a duration; zero is none.
fn duration_ns(name: &str, d: Option<&Duration>) -> Result<Option<i64>, Error> {
    let Some(d) = d else { return Ok(None) };
    let ns = d.seconds.checked_mul(1_000_000_000).and_then(|s| s.checked_add(i64::from(d.nanos)));
    let ns = ns.filter(|ns| *ns >= 0);
    let ns = ns.ok_or_else(|| Error::invalid(format!("{name} is negative or out of range")))?;
    Ok((ns > 0).then_some(ns))
}

/// The range of a search: its beginning is part of it and its end is not.
fn range(min: Option<&Timestamp>, max: Option<&Timestamp>) -> Result<TimeRange, Error> {
    let (start, end) = (time_ns("start_time_min", min)?, time_ns("start_time_max", max)?);
    let (Some(start), Some(end)) = (start, end) else {
        return Err(Error::invalid("start_time_min and start_time_max are required"));
    };
    if end <= start {
        return Err(Error::invalid("start_time_min must be before start_time_max"));
    }
    Ok(TimeRange::new(TimestampNs(start), TimestampNs(end)))
}

/// Traces that a search may find; what is not positive was not said.
fn depth(search_depth: i32) -> usize {
    usize::try_from(search_depth).ok().filter(|n| *n > 0).map_or(DEFAULT_LIMIT, |n| n.min(MAX_LIMIT))
}

fn named(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Counts are 32 bits there.
fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn unsigned(ns: i64) -> u64 {
    ns.unsigned_abs() * u64::from(ns > 0)
}
