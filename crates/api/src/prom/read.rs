//! Remote read: what matches, as samples in one message or as a stream of frames with TSDB chunks, whichever
//! the reader likes better. As in Prometheus the external labels of this node are added to series that lack
//! them, and matchers that ask for them are satisfied by their absence.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use base::{
    cap::{self, Encoding},
    memory::Use,
};
use bytes::Bytes;
use contract::{Coverage, QueryLimits, Scope, Select, SeriesData, SeriesHints, SeriesRequest, Tenants};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, header};
use model::{Labels, Matcher, TimeRange};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wire::remote_read::{self, ReadForm, ReadQuery, ReadRequest, ReadSeries};

use crate::{AppState, Error, body, body::Outgoing, coverage, layers, push::header_text, status, tenant};

/// A request is matchers and times.
const MAX_REQUEST_BYTES: usize = 1 << 20;
const MAX_UNPACKED_BYTES: usize = 8 << 20;
/// Bytes of chunks in one frame, as Prometheus cuts them.
const FRAME_BYTES: usize = 1 << 20;
/// Frames are sent once this much is ready. Larger: memory; smaller: a piece per series.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces ahead of a slow reader.
const PIECES_AHEAD: usize = 4;

pub async fn read(State(state): State<AppState>, request: Request) -> Response {
    let answered = match take(&state, request).await {
        Ok((tenants, request)) => answer(&state, tenants, request).await,
        Err(e) => Err(e),
    };
    answered.unwrap_or_else(|e| layers::plain_error(&e, status::http_of(&e)))
}

async fn take(state: &AppState, request: Request) -> Result<(Tenants, ReadRequest), Error> {
    let (head, incoming) = request.into_parts();
    let tenants = tenant::for_read(&head.headers)?;
    let encoding = match header_text(&head.headers, &header::CONTENT_ENCODING) {
        "" => Encoding::Snappy,
        named => Encoding::parse(named)?,
    };
    let name = "a remote read request may have";
    let held = body::read(state, &head.headers, incoming, MAX_REQUEST_BYTES, name, Use::Query).await?;
    let plain = cap::unpack(encoding, &held.bytes, MAX_UNPACKED_BYTES)?;
    let read = remote_read::decode(&plain).map_err(|e| Error::invalid(e.to_string()))?;
    for q in &read.queries {
        if q.matchers.iter().all(Matcher::matches_empty) {
            return Err(Error::invalid("a remote read query must contain at least one non-empty matcher"));
        }
    }
    Ok((tenants, read))
}

async fn answer(state: &AppState, tenants: Tenants, request: ReadRequest) -> Result<Response, Error> {
    let form = request.form().map_err(|e| Error::invalid(e.to_string()))?;
    let reading = Reading {
        select: state.reads.select.clone(),
        tenants,
        limits: state.query_limits(state.options.query_timeout),
        external: state.options.external_labels.clone(),
        queries: request.queries,
    };
    match form {
        ReadForm::Samples => samples(state, reading).await,
        ReadForm::Chunks => chunks(state, reading).await,
    }
}

/// What both forms need.
struct Reading {
    select: Arc<dyn Select>,
    tenants: Tenants,
    limits: QueryLimits,
    external: Labels,
    queries: Vec<ReadQuery>,
}

impl Reading {
    fn request(&self, q: &ReadQuery) -> SeriesRequest {
        let asked = |m: &Matcher| match self.external.get(&m.name) {
            Some(value) if m.op == model::MatchOp::Equal && m.value == value => Matcher::equal(&m.name, ""),
            _ => m.clone(),
        };
        let range = TimeRange::from_ms_inclusive(q.start_ms, q.end_ms);
        let scope = Scope { tenants: self.tenants.clone(), range, limits: self.limits.clone() };
        SeriesRequest {
            scope,
            matchers: q.matchers.iter().map(asked).collect(),
            hints: SeriesHints::default(),
        }
    }

    fn labels(&self, own: &Labels) -> Labels {
        let mut b = own.to_builder();
        for (name, value) in &self.external {
            if own.get(name).is_none() {
                b.set(name, value);
            }
        }
        b.build()
    }
}

fn series<'a>(labels: &'a Labels, s: &'a SeriesData) -> ReadSeries<'a> {
    let (timestamps_ms, values, histograms) = (&s.timestamps_ms, &s.values, &s.histograms);
    ReadSeries { labels, timestamps_ms, values, histograms }
}

async fn samples(state: &AppState, reading: Reading) -> Result<Response, Error> {
    let pass = state.gate().enter(reading.limits.deadline).await?;
    let work = async move {
        let mut memory = reading.limits.memory.reserve(Use::Query, 0)?;
        let mut results = Vec::with_capacity(reading.queries.len());
        let mut coverage = Coverage::default();
        for q in &reading.queries {
            let mut found = reading.select.series(reading.request(q)).await?;
            let mut result = Vec::new();
            while let Some(s) = found.items.try_next().await? {
                let before = result.len();
                remote_read::push_series(&mut result, &series(&reading.labels(&s.labels), &s));
                memory.grow((result.len() - before) as u64)?;
            }
            coverage.merge(found.coverage());
            results.push(result);
        }
        // The whole message and its packed form beside the results.
        memory.grow(memory.bytes() * 2)?;
        let plain = remote_read::response(&results);
        drop(results);
        let packed = snap::raw::Encoder::new().compress_vec(&plain);
        let packed =
            packed.map_err(|e| Error::new(base::Kind::Limited, format!("packing the answer: {e}")))?;
        memory.shrink_to(packed.len() as u64);
        drop(pass);
        Ok((packed, memory, coverage))
    };
    let (packed, memory, coverage) = state.pool().run(work).await?;
    let mut response = Response::new(Outgoing::body(packed, Some(memory)));
    coverage::stamp(&mut response, &coverage);
    let h = response.headers_mut();
    h.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    h.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    Ok(response)
}

async fn chunks(state: &AppState, reading: Reading) -> Result<Response, Error> {
    let pass = state.gate().enter(reading.limits.deadline).await?;
    let (send, mut receive) = mpsc::channel::<Result<Bytes, Error>>(PIECES_AHEAD);
    let (state, failed) = (state.clone(), send.clone());
    let known = Arc::new(Mutex::new(Coverage::default()));
    let told = known.clone();
    let work = async move {
        let done = stream_series(&reading, &send, &told).await;
        drop(pass);
        done
    };
    tokio::spawn(async move {
        if let Err(e) = state.pool().run(work).await {
            // Nobody listens any more when the reader has left.
            let _ = failed.send(Err(e)).await;
        }
    });
    // Until the first piece an error can still be a status.
    let first = receive.recv().await.transpose()?;
    let coverage = known.lock().clone();
    let rest = ReceiverStream::new(receive).inspect_err(|e| {
        tracing::warn!(error = %e, "a remote read answer broke off");
    });
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    let media = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    let mut response = ([(header::CONTENT_TYPE, media)], body).into_response();
    coverage::stamp(&mut response, &coverage);
    Ok(response)
}

/// Sends the series of all queries. The head of the answer says what was covered when the first piece went out;
/// who fails after that breaks the answer off, since nothing else in it could say so.
async fn stream_series(
    reading: &Reading,
    send: &mpsc::Sender<Result<Bytes, Error>>,
    known: &Mutex<Coverage>,
) -> Result<(), Error> {
    let (mut piece, mut sent) = (Vec::new(), None);
    let mut coverage = Coverage::default();
    for (i, q) in reading.queries.iter().enumerate() {
        let mut found = reading.select.series(reading.request(q)).await?;
        while let Some(s) = found.items.try_next().await? {
            remote_read::push_frames(&mut piece, i, &series(&reading.labels(&s.labels), &s), FRAME_BYTES);
            if piece.len() < PIECE_BYTES {
                continue;
            }
            if sent.is_none() {
                let mut so_far = coverage.clone();
                so_far.merge(found.coverage());
                *known.lock() = so_far.clone();
                sent = Some(so_far.state());
            }
            if send.send(Ok(std::mem::take(&mut piece).into())).await.is_err() {
                return Ok(());
            }
        }
        coverage.merge(found.coverage());
    }
    if sent.is_some_and(|said| coverage.state() > said) {
        let missing = coverage::warnings(&coverage).join("; ");
        return Err(Error::unavailable(format!("the answer was begun and is not complete: {missing}")));
    }
    if sent.is_none() {
        *known.lock() = coverage;
    }
    if !piece.is_empty() {
        let _ = send.send(Ok(piece.into())).await;
    }
    Ok(())
}
