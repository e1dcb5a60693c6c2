//! Series with their samples as chunks of at most 120, packed by the encoder of remote read.

use std::{collections::BTreeMap, sync::Arc};

use base::memory::Use;
use contract::{Coverage, SeriesData, SeriesHints, SeriesRequest};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use model::{Labels, MatchOp, Matcher, matcher::all_match};
use parking_lot::Mutex;
use proto::thanos::{self as pb, series_response::Result as Frame};
use tonic::Status;
use wire::remote_read::{ReadSeries, chunks};

use super::{StoreApi, aborts, convert, range, told};

/// Bytes of chunks in one frame. Thanos reads a series that comes in several frames as one.
const FRAME_BYTES: usize = 1 << 20;
/// Most series in one frame, whatever the caller would take.
const MAX_BATCH: usize = 1000;

type Frames = BoxStream<'static, Result<pb::SeriesResponse, Status>>;

pub(super) async fn answer(api: &StoreApi, r: pb::SeriesRequest) -> Result<Frames, Status> {
    let matchers = convert::matchers(&r.matchers)?;
    if matchers.is_empty() {
        return Err(Status::invalid_argument("no matchers: a store is not read whole"));
    }
    let asked = range(r.min_time, r.max_time);
    if asked.is_empty() || !api.may_match(&matchers).await {
        return Ok(stream::empty().boxed());
    }
    let making = Making::new(api, &r, matchers);
    let abort = aborts(r.partial_response_disabled, r.partial_response_strategy);
    let batch = usize::try_from(r.response_batch_size).unwrap_or(0).min(MAX_BATCH);
    let series = match r.skip_chunks {
        true => labels_only(api, asked, &making).await?,
        false => samples(api, asked, making).await?,
    };
    Ok(frames(series, batch, abort))
}

/// How a series of ours becomes one of theirs.
struct Making {
    api: StoreApi,
    matchers: Vec<Matcher>,
    without: Vec<String>,
    limit: usize,
}

impl Making {
    fn new(api: &StoreApi, r: &pb::SeriesRequest, matchers: Vec<Matcher>) -> Self {
        let limit = usize::try_from(r.limit).ok().filter(|l| *l > 0).unwrap_or(usize::MAX);
        Making { api: api.clone(), matchers, without: r.without_replica_labels.clone(), limit }
    }

    /// The labels it goes by; `None` where it does not match.
    fn labels(&self, own: &Labels) -> Option<Labels> {
        let whole = self.api.external_of(own);
        all_match(&self.matchers, &whole).then(|| match self.without.is_empty() {
            true => whole,
            false => whole.without(&self.without),
        })
    }

    /// Whether series may leave in the order they come.
    fn keeps_order(&self) -> bool {
        self.api.external.is_empty() && self.without.is_empty()
    }

    /// What is asked of our own data, which wants a condition that something absent does not meet.
    fn inner(&self) -> Vec<Matcher> {
        let mut inner = self.api.inner(&self.matchers);
        if inner.iter().all(Matcher::matches_empty)
            && let Ok(any) = Matcher::new(model::labels::METRIC_NAME, MatchOp::Regex, ".+")
        {
            inner.push(any);
        }
        inner
    }
}

/// Series, and at the end what the answer covers.
struct Made {
    series: BoxStream<'static, Result<pb::Series, Status>>,
    coverage: Box<dyn Fn() -> Coverage + Send>,
}

async fn labels_only(api: &StoreApi, asked: model::TimeRange, making: &Making) -> Result<Made, Status> {
    let request = contract::LabelNamesRequest {
        scope: api.scope(asked),
        signal: model::Signal::METRICS,
        selectors: vec![making.inner()],
        limit: None,
    };
    let (sets, coverage) = api.select.label_sets(request).await.map_err(convert::status)?;
    let mut sets: Vec<Labels> = sets.iter().filter_map(|l| making.labels(l)).collect();
    sets.sort_unstable();
    sets.dedup();
    sets.truncate(making.limit);
    let made = sets.into_iter().map(|l| Ok(pb::Series { labels: convert::labels(&l), chunks: Vec::new() }));
    Ok(Made { series: stream::iter(made).boxed(), coverage: Box::new(move || coverage.clone()) })
}

async fn samples(api: &StoreApi, asked: model::TimeRange, making: Making) -> Result<Made, Status> {
    let scope = api.scope(asked);
    let limits = scope.limits.clone();
    let request = SeriesRequest { scope, matchers: making.inner(), hints: SeriesHints::default() };
    let mut found = api.select.series(request).await.map_err(convert::status)?;
    if !making.keeps_order() {
        let mut memory = limits.memory.reserve(Use::Query, 0).map_err(|e| convert::status(e.into()))?;
        let mut sorted: BTreeMap<Labels, Vec<pb::AggrChunk>> = BTreeMap::new();
        while let Some(s) = found.items.next().await {
            let s = s.map_err(convert::status)?;
            let Some(labels) = making.labels(&s.labels) else { continue };
            let packed = pack(&s);
            let bytes = packed.iter().map(|c| chunk_bytes(c) + 96).sum::<usize>() + labels.packed_len();
            memory.grow(bytes as u64).map_err(|e| convert::status(e.into()))?;
            sorted.entry(labels).or_default().extend(packed);
        }
        let coverage = found.coverage();
        let series = sorted.into_iter().take(making.limit).flat_map(move |(labels, mut chunks)| {
            let _ = &memory;
            // Of replicas that became one series chunks overlap; they go in order of time.
            chunks.sort_by_key(|c| (c.min_time, c.max_time));
            split(&labels, chunks)
        });
        return Ok(Made {
            series: stream::iter(series.map(Ok)).boxed(),
            coverage: Box::new(move || coverage.clone()),
        });
    }
    let ended = Arc::new(Mutex::new(Coverage::default()));
    let said = ended.clone();
    let limit = making.limit;
    let items = stream::unfold((found, ended, 0usize), |(mut found, ended, n)| async move {
        let next = found.items.next().await;
        *ended.lock() = found.coverage();
        next.map(|s| (s, (found, ended, n + 1)))
    });
    let series = items.take(limit).flat_map(move |s| {
        let made: Vec<Result<pb::Series, Status>> = match s {
            Err(e) => vec![Err(convert::status(e))],
            Ok(s) => match making.labels(&s.labels) {
                Some(labels) => split(&labels, pack(&s)).into_iter().map(Ok).collect(),
                None => Vec::new(),
            },
        };
        stream::iter(made)
    });
    Ok(Made { series: series.boxed(), coverage: Box::new(move || said.lock().clone()) })
}

fn pack(s: &SeriesData) -> Vec<pb::AggrChunk> {
    let read = ReadSeries {
        labels: &s.labels,
        timestamps_ms: &s.timestamps_ms,
        values: &s.values,
        histograms: &s.histograms,
    };
    chunks(&read)
        .map(|c| pb::AggrChunk {
            min_time: c.min_ms,
            max_time: c.max_ms,
            raw: Some(pb::Chunk { r#type: c.encoding as i32 - 1, data: c.data }),
        })
        .collect()
}

fn chunk_bytes(c: &pb::AggrChunk) -> usize {
    c.raw.as_ref().map_or(0, |r| r.data.len())
}

/// A series in frames of bounded size, each with its labels.
fn split(labels: &Labels, chunks: Vec<pb::AggrChunk>) -> Vec<pb::Series> {
    let mut out = Vec::with_capacity(1);
    let (mut held, mut bytes) = (Vec::new(), 0);
    for c in chunks {
        bytes += chunk_bytes(&c);
        held.push(c);
        if bytes >= FRAME_BYTES {
            out.push(pb::Series { labels: convert::labels(labels), chunks: std::mem::take(&mut held) });
            bytes = 0;
        }
    }
    if !held.is_empty() {
        out.push(pb::Series { labels: convert::labels(labels), chunks: held });
    }
    out
}

/// One series a frame, or several where the caller asked for that; warnings last.
fn frames(made: Made, batch: usize, abort: bool) -> Frames {
    let Made { series, coverage } = made;
    let series: Frames = match batch {
        0 | 1 => series.map(|s| s.map(|s| frame(Frame::Series(s)))).boxed(),
        n => series
            .ready_chunks(n)
            .flat_map(|list| {
                let (mut good, mut bad) = (Vec::with_capacity(list.len()), None);
                for s in list {
                    match s {
                        Ok(s) => good.push(s),
                        Err(e) => {
                            bad = Some(e);
                            break;
                        }
                    }
                }
                let batch =
                    (!good.is_empty()).then(|| Ok(frame(Frame::Batch(pb::SeriesBatch { series: good }))));
                stream::iter(batch.into_iter().chain(bad.map(Err)))
            })
            .boxed(),
    };
    let last = stream::once(async move {
        match told(&coverage(), abort) {
            Ok(list) => {
                stream::iter(list.into_iter().map(|w| Ok(frame(Frame::Warning(w)))).collect::<Vec<_>>())
            }
            Err(e) => stream::iter(vec![Err(e)]),
        }
    });
    series.chain(last.flatten()).boxed()
}

fn frame(result: Frame) -> pb::SeriesResponse {
    pb::SeriesResponse { result: Some(result) }
}
