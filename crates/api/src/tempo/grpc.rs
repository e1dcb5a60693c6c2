//! `tempopb.StreamingQuerier`: the same questions, answered piece by piece.
//!
//! A search sends traces as it finds them, each once, with how much was read so far; the last message says how many of
//! the sources asked have answered. Lists and metrics come in one piece, cut where it is larger than clients read at
//! once. What the answer covers stands in the trailer `x-orrery-coverage`.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use base::{Kind, memory::Use};
use contract::{Coverage, QueryLimits, Select, Tenants};
use futures::{FutureExt, StreamExt, stream, stream::BoxStream};
use http::HeaderMap;
use prost::Message;
use proto::tempo::{
    self as pb,
    streaming_querier_server::{StreamingQuerier, StreamingQuerierServer},
};
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request as Call, Response as Answer, Status, codec::CompressionEncoding, metadata::MetadataValue,
};
use tower::ServiceExt;
use traceql::Progress;

use super::{
    message,
    metrics::Metrics,
    names::Tags,
    search::Search,
    values::{Values, Version},
};
use crate::{AppState, Error, ask, ask::OVERTIME, coverage, otlp, params::Params, tenant};

/// A question; larger ones are refused.
const MAX_QUESTION_BYTES: usize = 1 << 20;
/// Of one message about, as in Tempo. Clients refuse more than 4 MiB unless they are told otherwise.
const PIECE_BYTES: usize = 1 << 20;
/// Messages that wait for a slow reader. Full, what a search finds waits for its last message, and that for the reader.
const QUEUED: usize = 8;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/tempopb.StreamingQuerier/{method}", post(call))
}

async fn call(State(state): State<AppState>, request: Request) -> Response {
    let asked = match Asked::of(&state, request.headers()) {
        Ok(asked) => asked,
        Err(e) => return otlp::grpc::failure(&e),
    };
    let service = StreamingQuerierServer::new(asked)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_QUESTION_BYTES)
        .max_encoding_message_size(usize::MAX);
    match service.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// Whose question it is, and what it is answered from.
struct Asked {
    ask: ask::Ask<super::TempoError>,
}

impl Asked {
    fn of(state: &AppState, headers: &HeaderMap) -> Result<Self, Error> {
        let tenants = tenant::for_read(headers)?;
        Ok(Asked { ask: ask::Ask::new(state, headers.clone(), tenants, Params::default())? })
    }

    /// Takes a turn, then lets `work` send messages until it knows what they cover. The query ends when the caller goes
    /// away.
    async fn stream<T, F>(
        &self,
        work: impl FnOnce(Arc<dyn Select>, Tenants, QueryLimits, Sender<Result<T, Status>>) -> F,
    ) -> Result<Answer<BoxStream<'static, Result<T, Status>>>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<Coverage, Error>> + Send + 'static,
    {
        let ask::Turn { pass, limits, timeout } =
            self.ask.turn(self.ask.state.options.query_timeout).await.map_err(|e| failed(&e))?;
        let (out, messages) = mpsc::channel(QUEUED);
        let work = work(self.ask.reads.select.clone(), self.ask.tenants.clone(), limits, out.clone());
        let state = self.ask.state.clone();
        let answering = async move {
            let work = async move {
                let done = work.await;
                drop(pass);
                done
            };
            let last = match tokio::time::timeout(timeout + OVERTIME, state.pool().run(work)).await {
                Ok(Ok(coverage)) => covered(&coverage),
                Ok(Err(e)) => failed(&e),
                Err(_) => failed(&Error::new(Kind::Timeout, "the query did not finish within query.timeout")),
            };
            // Nobody is there to be told where this fails.
            let _ = out.send(Err(last)).await;
        };
        // The second has no items: it is what makes those of the first.
        let driven =
            answering.into_stream().filter_map(|()| futures::future::ready(None::<Result<T, Status>>));
        Ok(Answer::new(stream::select(ReceiverStream::new(messages), driven).boxed()))
    }

    /// An answer that is one message, or as many as it is cut into.
    async fn whole<T, F>(
        &self,
        cut: fn(T) -> Vec<T>,
        work: impl FnOnce(Arc<dyn Select>, Tenants, QueryLimits) -> F,
    ) -> Result<Answer<BoxStream<'static, Result<T, Status>>>, Status>
    where
        T: Message + 'static,
        F: Future<Output = Result<(T, Coverage), Error>> + Send + 'static,
    {
        self.stream(|select, tenants, limits, out| {
            let budget = limits.memory.clone();
            let work = work(select, tenants, limits);
            async move {
                let (message, coverage) = work.await?;
                let _held = budget.reserve(Use::Query, message.encoded_len() as u64)?;
                for piece in cut(message) {
                    tell(&out, piece).await?;
                }
                Ok(coverage)
            }
        })
        .await
    }
}

/// Hands a message on; an error where the caller has gone, so that the work ends.
async fn tell<T>(out: &Sender<Result<T, Status>>, message: T) -> Result<(), Error> {
    out.send(Ok(message)).await.map_err(|_| Error::unavailable("the caller went away"))
}

fn failed(e: &Error) -> Status {
    otlp::grpc::status(e)
}

/// The end of a good answer, with what it covers.
fn covered(coverage: &Coverage) -> Status {
    let mut end = Status::new(Code::Ok, "");
    if let Ok(value) = MetadataValue::try_from(coverage::header_text(coverage)) {
        end.metadata_mut().insert(coverage::HEADER_NAME, value);
    }
    end
}

#[tonic::async_trait]
impl StreamingQuerier for Asked {
    type SearchStream = BoxStream<'static, Result<pb::SearchResponse, Status>>;
    type SearchTagsStream = BoxStream<'static, Result<pb::SearchTagsResponse, Status>>;
    type SearchTagsV2Stream = BoxStream<'static, Result<pb::SearchTagsV2Response, Status>>;
    type SearchTagValuesStream = BoxStream<'static, Result<pb::SearchTagValuesResponse, Status>>;
    type SearchTagValuesV2Stream = BoxStream<'static, Result<pb::SearchTagValuesV2Response, Status>>;
    type MetricsQueryRangeStream = BoxStream<'static, Result<pb::QueryRangeResponse, Status>>;
    type MetricsQueryInstantStream = BoxStream<'static, Result<pb::QueryInstantResponse, Status>>;

    async fn search(&self, call: Call<pb::SearchRequest>) -> Result<Answer<Self::SearchStream>, Status> {
        let search = Search::of_message(call.get_ref()).map_err(|e| failed(&e))?;
        let with_spans = search.with_spans;
        self.stream(|select, tenants, limits, out| async move {
            let mut told = HashSet::new();
            let early = out.clone();
            let progress = |found: Progress| {
                // What does not fit into the queue now comes with the last message: a search does not wait for its
                // reader.
                let Ok(place) = early.try_reserve() else { return };
                told.extend(found.traces.iter().map(|t| message::hex(&t.trace_id)));
                let traces = found.traces.into_iter().map(|t| message::trace(t, with_spans)).collect();
                let read = found.inspected;
                let metrics = pb::SearchMetrics {
                    inspected_traces: u32::try_from(read.traces).unwrap_or(u32::MAX),
                    inspected_bytes: read.bytes,
                    ..pb::SearchMetrics::default()
                };
                place.send(Ok(pb::SearchResponse { traces, metrics: Some(metrics) }));
            };
            let budget = limits.memory.clone();
            let (mut last, coverage) = search.run(select, tenants, limits, progress).await?;
            let _held = budget.reserve(Use::Query, last.encoded_len() as u64)?;
            last.traces.retain(|t| !told.contains(&t.trace_id));
            for piece in cut_search(last) {
                tell(&out, piece).await?;
            }
            Ok(coverage)
        })
        .await
    }

    async fn search_tags(
        &self,
        call: Call<pb::SearchTagsRequest>,
    ) -> Result<Answer<Self::SearchTagsStream>, Status> {
        let tags = Tags::of_message(call.get_ref()).map_err(|e| failed(&e))?;
        self.whole(cut_tags, |select, tenants, limits| tags.run(select, tenants, limits)).await
    }

    async fn search_tags_v2(
        &self,
        call: Call<pb::SearchTagsRequest>,
    ) -> Result<Answer<Self::SearchTagsV2Stream>, Status> {
        let tags = Tags::of_message(call.get_ref()).map_err(|e| failed(&e))?;
        self.whole(cut_scopes, |select, tenants, limits| tags.run_v2(select, tenants, limits)).await
    }

    async fn search_tag_values(
        &self,
        call: Call<pb::SearchTagValuesRequest>,
    ) -> Result<Answer<Self::SearchTagValuesStream>, Status> {
        let values = Values::of_message(Version::V1, call.get_ref()).map_err(|e| failed(&e))?;
        self.whole(cut_values, |select, tenants, limits| values.run(select, tenants, limits)).await
    }

    async fn search_tag_values_v2(
        &self,
        call: Call<pb::SearchTagValuesRequest>,
    ) -> Result<Answer<Self::SearchTagValuesV2Stream>, Status> {
        let values = Values::of_message(Version::V2, call.get_ref()).map_err(|e| failed(&e))?;
        self.whole(cut_typed, |select, tenants, limits| values.run_v2(select, tenants, limits)).await
    }

    async fn metrics_query_range(
        &self,
        call: Call<pb::QueryRangeRequest>,
    ) -> Result<Answer<Self::MetricsQueryRangeStream>, Status> {
        let metrics = Metrics::of_range_message(call.get_ref()).map_err(|e| failed(&e))?;
        self.whole(cut_range, |select, tenants, limits| metrics.run_range(select, tenants, limits)).await
    }

    async fn metrics_query_instant(
        &self,
        call: Call<pb::QueryInstantRequest>,
    ) -> Result<Answer<Self::MetricsQueryInstantStream>, Status> {
        let metrics = Metrics::of_instant_message(call.get_ref()).map_err(|e| failed(&e))?;
        self.whole(cut_instant, |select, tenants, limits| metrics.run_instant(select, tenants, limits)).await
    }
}

/// Items in groups that take about [`PIECE_BYTES`], at least one group.
fn groups<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let (mut out, mut group, mut held) = (Vec::new(), Vec::new(), 0);
    for item in items {
        let more = bytes(&item) + 8;
        if held + more > PIECE_BYTES && !group.is_empty() {
            out.push(std::mem::take(&mut group));
            held = 0;
        }
        held += more;
        group.push(item);
    }
    out.push(group);
    out
}

fn cut_search(m: pb::SearchResponse) -> Vec<pb::SearchResponse> {
    let pieces = groups(m.traces, Message::encoded_len).into_iter();
    pieces.map(|traces| pb::SearchResponse { traces, metrics: m.metrics }).collect()
}

fn cut_tags(m: pb::SearchTagsResponse) -> Vec<pb::SearchTagsResponse> {
    let pieces = groups(m.tag_names, String::len).into_iter();
    pieces.map(|tag_names| pb::SearchTagsResponse { tag_names, metrics: m.metrics }).collect()
}

fn cut_scopes(m: pb::SearchTagsV2Response) -> Vec<pb::SearchTagsV2Response> {
    let of_scope = |s: pb::SearchTagsV2Scope| {
        let name = s.name;
        let pieces = groups(s.tags, String::len).into_iter();
        pieces.map(move |tags| pb::SearchTagsV2Scope { name: name.clone(), tags })
    };
    let scopes = m.scopes.into_iter().flat_map(of_scope).collect();
    let pieces = groups(scopes, Message::encoded_len).into_iter();
    pieces.map(|scopes| pb::SearchTagsV2Response { scopes, metrics: m.metrics }).collect()
}

fn cut_values(m: pb::SearchTagValuesResponse) -> Vec<pb::SearchTagValuesResponse> {
    let pieces = groups(m.tag_values, String::len).into_iter();
    pieces.map(|tag_values| pb::SearchTagValuesResponse { tag_values, metrics: m.metrics }).collect()
}

fn cut_typed(m: pb::SearchTagValuesV2Response) -> Vec<pb::SearchTagValuesV2Response> {
    let pieces = groups(m.tag_values, Message::encoded_len).into_iter();
    pieces.map(|tag_values| pb::SearchTagValuesV2Response { tag_values, metrics: m.metrics }).collect()
}

fn cut_range(m: pb::QueryRangeResponse) -> Vec<pb::QueryRangeResponse> {
    let pieces = groups(m.series, Message::encoded_len).into_iter();
    let (metrics, status, message) = (m.metrics, m.status, m.message);
    pieces
        .map(|series| pb::QueryRangeResponse { series, metrics, status, message: message.clone() })
        .collect()
}

fn cut_instant(m: pb::QueryInstantResponse) -> Vec<pb::QueryInstantResponse> {
    let pieces = groups(m.series, Message::encoded_len).into_iter();
    let (metrics, status, message) = (m.metrics, m.status, m.message);
    pieces
        .map(|series| pb::QueryInstantResponse { series, metrics, status, message: message.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_where_clients_would_not_read_it_and_never_to_nothing() {
        assert_eq!(groups(Vec::<String>::new(), String::len).len(), 1);
        let names: Vec<String> = (0..3).map(|i| i.to_string().repeat(PIECE_BYTES / 2)).collect();
        let sizes: Vec<usize> = groups(names, String::len).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 1, 1]);
        let large = vec!["x".repeat(3 * PIECE_BYTES), "y".to_owned()];
        assert_eq!(groups(large, String::len).len(), 2);
    }
}
