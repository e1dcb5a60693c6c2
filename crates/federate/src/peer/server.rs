//! The answering half.

use std::{collections::VecDeque, sync::Arc};

use contract::{
    Capabilities, Coverage, Error, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, LogsRequest,
    MetadataRequest, NamedField, PatternsRequest, QueryLimits, Result, Select, Selection, SeriesRequest,
    SpansRequest,
};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use model::{Signal, SpanKind};
use proto::peer::{self as pb, peer_server};
use tonic::{Request, Response, Status};

use super::{
    Announcement, Asker, MAX_MESSAGE_BYTES,
    convert::{self, limit_from, matchers_from, scope_from, selectors_from},
    evaluate,
    pack::{self, Pack, PackLogs, PackSeries, PackSpans, Parts},
    span_fields,
};

/// Trace ids of one question.
const MAX_TRACE_IDS: usize = 100_000;

type Stream = BoxStream<'static, Result<pb::Part, Status>>;
type Answer = Result<Response<Stream>, Status>;

/// Answers peers from a `Select`.
#[derive(Clone)]
pub struct Server {
    select: Arc<dyn Select>,
    announce: Arc<dyn Fn(&Asker) -> Announcement + Send + Sync>,
    limits: QueryLimits,
}

impl Server {
    /// `announce` says to an asker what stands in the announcement beside what `select` can do. `limits` are what any question may
    /// cost at most, whatever it asks for.
    pub fn new(
        select: Arc<dyn Select>,
        announce: impl Fn(&Asker) -> Announcement + Send + Sync + 'static,
        limits: QueryLimits,
    ) -> Self {
        Server { select, announce: Arc::new(announce), limits }
    }

    /// The service, to be put on a listener.
    pub fn into_service(self) -> peer_server::PeerServer<Self> {
        peer_server::PeerServer::new(self)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn series_request(&self, mut r: pb::SeriesRequest) -> Result<SeriesRequest> {
        let hints = convert::hints_from(&mut r);
        Ok(SeriesRequest {
            scope: scope_from(r.scope, &self.limits)?,
            matchers: matchers_from(r.matchers)?,
            hints,
        })
    }

    fn logs_request(&self, r: pb::LogsRequest) -> Result<LogsRequest> {
        let direction =
            if r.oldest_first { contract::Direction::OldestFirst } else { contract::Direction::NewestFirst };
        Ok(LogsRequest {
            scope: scope_from(r.scope, &self.limits)?,
            matchers: matchers_from(r.matchers)?,
            line_filters: r.line_filters.into_iter().map(convert::line_filter_from).collect::<Result<_>>()?,
            direction,
            limit: limit_from(r.limit),
            fields: evaluate::fields_from(r.fields),
            passing: r.passing.and_then(evaluate::passing_from),
        })
    }

    fn spans_request(&self, r: pb::SpansRequest) -> Result<SpansRequest> {
        if r.trace_ids.len() > MAX_TRACE_IDS {
            let message =
                format!("trace_ids has {} ids, at most {MAX_TRACE_IDS} are taken", r.trace_ids.len());
            return Err(Error::invalid(message));
        }
        let id = |id: Vec<u8>| {
            let bytes = id.len();
            id.try_into().map_err(|_| Error::invalid(format!("a trace id has {bytes} bytes instead of 16")))
        };
        Ok(SpansRequest {
            scope: scope_from(r.scope, &self.limits)?,
            trace_ids: r.trace_ids.into_iter().map(id).collect::<Result<_>>()?,
            filters: r.filters.into_iter().map(convert::span_filter_from).collect::<Result<_>>()?,
            any_of: span_fields::any_of_from(r.any_of)?,
            max_traces: limit_from(r.max_traces),
            wanted: span_fields::parts_from(r.wanted),
        })
    }

    fn names_request(&self, r: pb::NamesRequest) -> Result<LabelNamesRequest> {
        Ok(LabelNamesRequest {
            scope: scope_from(r.scope, &self.limits)?,
            signal: Signal::new(&r.signal),
            selectors: selectors_from(r.selectors)?,
            limit: limit_from(r.limit),
        })
    }

    fn values_request(&self, r: pb::ValuesRequest) -> Result<LabelValuesRequest> {
        use pb::values_request::Field;
        let field = match r.field {
            Some(Field::Label(name)) => NamedField::Label(name),
            Some(Field::Service(_)) => NamedField::Service,
            Some(Field::Operation(o)) => {
                NamedField::Operation { service: o.service, kind: o.kind.map(SpanKind::from_number) }
            }
            Some(Field::Attribute(key)) => NamedField::Attribute(key),
            None => return Err(Error::invalid("field is of a kind this version does not know")),
        };
        Ok(LabelValuesRequest {
            scope: scope_from(r.scope, &self.limits)?,
            signal: Signal::new(&r.signal),
            field,
            selectors: selectors_from(r.selectors)?,
            limit: limit_from(r.limit),
        })
    }
}

#[tonic::async_trait]
impl peer_server::Peer for Server {
    async fn announce(
        &self,
        r: Request<pb::AnnounceRequest>,
    ) -> Result<Response<pb::AnnounceResponse>, Status> {
        let said = (self.announce)(&convert::asker_from(r.into_inner()));
        let Capabilities { signals, filters_lines, filters_spans, evaluates } = self.select.capabilities();
        let said = Announcement { signals, filters_lines, filters_spans, evaluates, ..said };
        Ok(Response::new(convert::announcement_to(said)))
    }

    type SeriesStream = Stream;
    type LogsStream = Stream;
    type SpansStream = Stream;
    type SpanKeysStream = Stream;
    type SpanValuesStream = Stream;
    type NamesStream = Stream;
    type ValuesStream = Stream;
    type SetsStream = Stream;
    type MetadataStream = Stream;
    type ExemplarsStream = Stream;
    type PatternsStream = Stream;
    type EvaluateStream = Stream;

    async fn series(&self, r: Request<pb::SeriesRequest>) -> Answer {
        let (select, r) = (self.select.clone(), self.series_request(r.into_inner()));
        Ok(items(async move { select.series(r?).await }, PackSeries::default()))
    }

    async fn logs(&self, r: Request<pb::LogsRequest>) -> Answer {
        let (select, r) = (self.select.clone(), self.logs_request(r.into_inner()));
        Ok(items(async move { select.logs(r?).await }, PackLogs))
    }

    async fn spans(&self, r: Request<pb::SpansRequest>) -> Answer {
        let (select, r) = (self.select.clone(), self.spans_request(r.into_inner()));
        Ok(items(async move { select.spans(r?).await }, PackSpans))
    }

    async fn span_keys(&self, r: Request<pb::SpanKeysRequest>) -> Answer {
        let (select, r) = (self.select.clone(), span_fields::keys_from(r.into_inner(), &self.limits));
        Ok(list(async move { select.span_keys(r?).await }, span_fields::pack_keys))
    }

    async fn span_values(&self, r: Request<pb::SpanValuesRequest>) -> Answer {
        let (select, r) = (self.select.clone(), span_fields::values_from(r.into_inner(), &self.limits));
        Ok(list(async move { select.span_values(r?).await }, span_fields::pack_values))
    }

    async fn names(&self, r: Request<pb::NamesRequest>) -> Answer {
        let (select, r) = (self.select.clone(), self.names_request(r.into_inner()));
        Ok(list(async move { select.label_names(r?).await }, pack::strings))
    }

    async fn values(&self, r: Request<pb::ValuesRequest>) -> Answer {
        let (select, r) = (self.select.clone(), self.values_request(r.into_inner()));
        Ok(list(async move { select.label_values(r?).await }, pack::strings))
    }

    async fn sets(&self, r: Request<pb::NamesRequest>) -> Answer {
        let (select, r) = (self.select.clone(), self.names_request(r.into_inner()));
        Ok(list(async move { select.label_sets(r?).await }, pack::sets))
    }

    async fn metadata(&self, r: Request<pb::MetadataRequest>) -> Answer {
        let (select, r, limits) = (self.select.clone(), r.into_inner(), self.limits.clone());
        let call = async move {
            let scope = scope_from(r.scope, &limits)?;
            select.metadata(MetadataRequest { scope, family: r.family, limit: limit_from(r.limit) }).await
        };
        Ok(list(call, pack::metadata))
    }

    async fn exemplars(&self, r: Request<pb::ExemplarsRequest>) -> Answer {
        let (select, r, limits) = (self.select.clone(), r.into_inner(), self.limits.clone());
        let call = async move {
            let scope = scope_from(r.scope, &limits)?;
            select.exemplars(ExemplarsRequest { scope, selectors: selectors_from(r.selectors)? }).await
        };
        Ok(list(call, pack::exemplars))
    }

    async fn patterns(&self, r: Request<pb::PatternsRequest>) -> Answer {
        let (select, r, limits) = (self.select.clone(), r.into_inner(), self.limits.clone());
        let call = async move {
            let (scope, matchers) = (scope_from(r.scope, &limits)?, matchers_from(r.matchers)?);
            select.patterns(PatternsRequest { scope, matchers, step_ms: r.step_ms }).await
        };
        Ok(list(call, pack::series))
    }

    async fn evaluate(&self, r: Request<pb::EvaluateRequest>) -> Answer {
        let (select, r) = (self.select.clone(), evaluate::request_from(r.into_inner(), &self.limits));
        let call = async move {
            let mut answer = select.evaluate(r?).await?;
            let coverage = std::mem::take(&mut answer.coverage);
            Ok((answer, coverage))
        };
        Ok(list(call, evaluate::pack))
    }
}

/// The answer to a question for a list.
fn list<T: Send + 'static>(
    call: impl Future<Output = Result<(T, Coverage)>> + Send + 'static,
    pack: impl Fn(T) -> Result<Parts> + Send + 'static,
) -> Response<Stream> {
    let parts = call.map(move |outcome| {
        let parts = outcome.and_then(|(found, coverage)| {
            let mut parts = pack(found)?;
            parts.push_back(pack::end(&coverage));
            Ok(parts)
        });
        stream::iter(parts.unwrap_or_else(|e| VecDeque::from([pack::failure(&e)])).into_iter().map(Ok))
    });
    Response::new(parts.flatten_stream().boxed())
}

/// The answer to a question for a stream of items.
fn items<P: Pack>(
    call: impl Future<Output = Result<Selection<P::Item>>> + Send + 'static,
    pack: P,
) -> Response<Stream> {
    let state = Items { call: Some(call.boxed()), selection: None, pack, parts: Parts::new(), ended: false };
    Response::new(stream::unfold(state, |mut s| async move { s.next().await.map(|p| (Ok(p), s)) }).boxed())
}

struct Items<P: Pack> {
    call: Option<BoxFuture<'static, Result<Selection<P::Item>>>>,
    selection: Option<Selection<P::Item>>,
    pack: P,
    parts: Parts,
    ended: bool,
}

impl<P: Pack> Items<P> {
    async fn next(&mut self) -> Option<pb::Part> {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Some(part);
            }
            if self.ended {
                return None;
            }
            if let Err(e) = self.read().await {
                // What was packed before still counts; what waits for company does too where it can be sent.
                let last = self.pack.flush(&mut self.parts);
                self.parts.push_back(pack::failure(&last.err().unwrap_or(e)));
                self.ended = true;
            }
        }
    }

    /// Reads on until there is a part or the end.
    async fn read(&mut self) -> Result<()> {
        if let Some(call) = self.call.take() {
            self.selection = Some(call.await?);
        }
        let Some(selection) = &mut self.selection else { return Ok(()) };
        let item = match selection.items.next().now_or_never() {
            Some(item) => item,
            None => {
                // Nothing more just now: what waits goes out first.
                self.pack.flush(&mut self.parts)?;
                if !self.parts.is_empty() {
                    return Ok(());
                }
                selection.items.next().await
            }
        };
        match item {
            Some(item) => self.pack.push(item?, &mut self.parts)?,
            None => {
                self.pack.flush(&mut self.parts)?;
                self.parts.push_back(pack::end(&selection.coverage()));
                self.ended = true;
            }
        }
        Ok(())
    }
}
