//! The asking half: a `Select` over one peer.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use base::memory::{Reservation, Use};
use contract::{
    Capabilities, Coverage, Direction, Error, EvaluateRequest, Evaluated, ExemplarsRequest,
    LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest, NamedField, PatternsRequest,
    QueryLimits, Result, Select, Selection, SeriesData, SeriesRequest, SpanKeysRequest, SpanScope, SpanValue,
    SpanValuesRequest, SpansRequest,
};
use futures::{StreamExt, stream};
use model::{Exemplar, Labels, LogBatch, MetricMetadata, SpanBatch};
use parking_lot::Mutex;
use proto::peer::{self as pb, part::Part, peer_client::PeerClient};
use tonic::{Code, Status, Streaming, transport::Channel};

use super::{
    Announcement, Asker, MAX_MESSAGE_BYTES,
    convert::{self, limit_to, matchers_to, scope_to, selectors_to},
    evaluate, span_fields,
    unpack::{self, Unpack, UnpackLogs, UnpackSeries, UnpackSpans},
};

/// Asks one peer. Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub struct Client {
    peer: PeerClient<Channel>,
    can: Capabilities,
}

impl Client {
    /// Asks over a connection that need not be open yet. `can` is what the peer announced, or what is known of it
    /// otherwise: it is asked for whatever the caller asks for, but lines count as filtered only if it says so.
    pub fn new(channel: Channel, can: Capabilities) -> Self {
        let peer = PeerClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Client { peer, can }
    }

    /// The same connection to a peer that can do what it announced.
    pub fn with(&self, announcement: &Announcement) -> Self {
        Client { peer: self.peer.clone(), can: announcement.capabilities() }
    }

    /// Asks the peer who it is, and says who asks.
    pub async fn announce(&self, asker: &Asker) -> Result<Announcement> {
        let request = convert::asker_to(asker);
        let answer = self.peer.clone().announce(request).await.map_err(|s| failed(&s))?;
        convert::announcement_from(answer.into_inner())
    }
}

/// What a transport says, as people know it: the innermost cause, such as `connection refused`.
fn failed(status: &Status) -> Error {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(status);
    while let Some(deeper) = cause.and_then(|c| c.source()) {
        cause = Some(deeper);
    }
    let message = match cause {
        Some(cause) => cause.to_string(),
        None => format!("{}: {}", status.code().description(), status.message()),
    };
    let kind = match status.code() {
        Code::InvalidArgument | Code::Unimplemented => base::Kind::Invalid,
        Code::PermissionDenied | Code::Unauthenticated => base::Kind::Denied,
        Code::DeadlineExceeded => base::Kind::Timeout,
        Code::DataLoss => base::Kind::Corrupt,
        _ => base::Kind::Unavailable,
    };
    Error::new(kind, message)
}

/// The parts of one answer, up to the end that every whole answer has.
struct Parts {
    stream: Streaming<pb::Part>,
    ended: bool,
}

enum Said {
    Unit(Vec<u8>),
    Strings(Vec<String>),
    Fields(pb::SpanFields),
    Rows(pb::Rows),
    Summary(pb::Summary),
    End(Coverage),
}

impl Parts {
    fn new(stream: Streaming<pb::Part>) -> Self {
        Parts { stream, ended: false }
    }

    /// `None` after the end.
    async fn next(&mut self) -> Result<Option<Said>> {
        if self.ended {
            return Ok(None);
        }
        let message = self.stream.message().await.map_err(|s| failed(&s))?;
        let Some(message) = message else {
            return Err(Error::unavailable("the answer broke off without an end"));
        };
        Ok(Some(match message.part {
            Some(Part::Unit(unit)) => Said::Unit(unit),
            Some(Part::Strings(s)) => Said::Strings(s.values),
            Some(Part::SpanFields(f)) => Said::Fields(f),
            Some(Part::Rows(rows)) => Said::Rows(rows),
            Some(Part::Summary(summary)) => Said::Summary(summary),
            Some(Part::End(coverage)) => {
                self.ended = true;
                Said::End(convert::coverage_from(coverage)?)
            }
            Some(Part::Failure(f)) => return Err(convert::failure_from(f)),
            None => {
                let message = "the answer has a part of a kind this version does not know";
                return Err(Error::new(base::Kind::Corrupt, message));
            }
        }))
    }
}

fn unexpected(part: &Said) -> Error {
    let what = match part {
        Said::Unit(_) => "batches",
        Said::Strings(_) => "strings",
        Said::Fields(_) => "fields of spans",
        Said::Rows(_) => "rows",
        Said::Summary(_) => "a summary",
        Said::End(_) => "an end",
    };
    Error::new(base::Kind::Corrupt, format!("the answer has {what} where none belong"))
}

struct Items<U: Unpack> {
    parts: Parts,
    unpack: U,
    items: VecDeque<U::Item>,
    /// Told once the items are through.
    failed: Option<Error>,
    coverage: Arc<Mutex<Coverage>>,
}

impl<U: Unpack> Items<U> {
    async fn next(&mut self) -> Result<Option<U::Item>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            if let Some(e) = self.failed.take() {
                return Err(e);
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(e) => {
                    // What came before is as good as ever; that it is not all, the error says.
                    self.unpack.flush(&mut self.items);
                    self.failed = Some(e);
                }
            }
        }
    }

    /// Takes in one part; false after the end.
    async fn read(&mut self) -> Result<bool> {
        match self.parts.next().await? {
            None => return Ok(false),
            Some(Said::Unit(unit)) => self.unpack.push(&unit, &mut self.items)?,
            Some(Said::End(coverage)) => {
                *self.coverage.lock() = coverage;
                self.unpack.flush(&mut self.items);
            }
            Some(other) => return Err(unexpected(&other)),
        }
        Ok(true)
    }
}

fn selection<U: Unpack>(stream: Streaming<pb::Part>, unpack: U) -> Selection<U::Item> {
    let coverage = Arc::new(Mutex::new(Coverage::default()));
    let parts = Parts::new(stream);
    let state = Items { parts, unpack, items: VecDeque::new(), failed: None, coverage: coverage.clone() };
    let items = stream::try_unfold(state, |mut s| async move { Ok(s.next().await?.map(|i| (i, s))) });
    Selection::new(items.boxed(), coverage)
}

/// Reads a list whole, within the memory the query may use.
async fn list<T>(
    stream: Streaming<pb::Part>,
    limits: &QueryLimits,
    mut read: impl FnMut(Said) -> Result<Vec<T>>,
) -> Result<(Vec<T>, Coverage)> {
    let mut held: Reservation = limits.memory.reserve(Use::Query, 0)?;
    let (mut parts, mut found, mut coverage) = (Parts::new(stream), Vec::new(), Coverage::default());
    while let Some(said) = parts.next().await? {
        let bytes = match &said {
            Said::Unit(unit) => unit.len(),
            Said::Strings(values) => values.iter().map(|v| v.len() + 24).sum(),
            Said::Fields(f) => span_fields::heap_bytes(f),
            Said::Rows(_) | Said::Summary(_) | Said::End(_) => 0,
        };
        held.grow(bytes as u64)?;
        match said {
            Said::End(said) => coverage = said,
            part => found.append(&mut read(part)?),
        }
    }
    Ok((found, coverage))
}

fn texts(part: Said) -> Result<Vec<String>> {
    if let Said::Strings(values) = part { Ok(values) } else { Err(unexpected(&part)) }
}

fn fields(part: Said) -> Result<pb::SpanFields> {
    if let Said::Fields(fields) = part { Ok(fields) } else { Err(unexpected(&part)) }
}

fn units<T>(read: impl Fn(&[u8]) -> Result<Vec<T>>) -> impl FnMut(Said) -> Result<Vec<T>> {
    move |part| if let Said::Unit(unit) = part { read(&unit) } else { Err(unexpected(&part)) }
}

fn names_request(r: &LabelNamesRequest) -> pb::NamesRequest {
    pb::NamesRequest {
        scope: Some(scope_to(&r.scope)),
        signal: r.signal.as_str().to_owned(),
        selectors: selectors_to(&r.selectors),
        limit: limit_to(r.limit),
    }
}

#[async_trait]
impl Select for Client {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        let request = pb::SeriesRequest {
            scope: Some(scope_to(&r.scope)),
            matchers: matchers_to(&r.matchers),
            step_ms: r.hints.step_ms,
            window_ms: r.hints.window_ms,
            function: r.hints.function,
            by: r.hints.by,
            without: r.hints.without,
        };
        let stream = self.peer.clone().series(request).await.map_err(|s| failed(&s))?.into_inner();
        Ok(selection(stream, UnpackSeries::new(&r.scope.limits)))
    }

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        let request = pb::LogsRequest {
            scope: Some(scope_to(&r.scope)),
            matchers: matchers_to(&r.matchers),
            line_filters: r.line_filters.iter().map(convert::line_filter_to).collect(),
            oldest_first: r.direction == Direction::OldestFirst,
            limit: limit_to(r.limit),
            passing: r.passing.map(evaluate::passing_to),
            fields: evaluate::pairs_to(r.fields),
        };
        let stream = self.peer.clone().logs(request).await.map_err(|s| failed(&s))?.into_inner();
        Ok(selection(stream, UnpackLogs))
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        let request = pb::SpansRequest {
            scope: Some(scope_to(&r.scope)),
            trace_ids: r.trace_ids.iter().map(|id| id.to_vec()).collect(),
            filters: r.filters.iter().map(convert::span_filter_to).collect::<Result<_>>()?,
            any_of: span_fields::any_of_to(&r.any_of),
            max_traces: limit_to(r.max_traces),
            wanted: Some(span_fields::parts_to(&r.wanted)),
        };
        let stream = self.peer.clone().spans(request).await.map_err(|s| failed(&s))?.into_inner();
        Ok(selection(stream, UnpackSpans))
    }

    async fn span_keys(&self, r: SpanKeysRequest) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
        let request = span_fields::keys_to(&r);
        let stream = self.peer.clone().span_keys(request).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, |part| fields(part).and_then(span_fields::unpack_keys)).await
    }

    async fn span_values(&self, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
        let request = span_fields::values_to(&r);
        let stream = self.peer.clone().span_values(request).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, |part| fields(part).and_then(span_fields::unpack_values)).await
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        let stream = self.peer.clone().names(names_request(&r)).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, texts).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        use pb::values_request::Field;
        let field = match r.field {
            NamedField::Label(name) => Field::Label(name),
            NamedField::Service => Field::Service(true),
            NamedField::Operation { service, kind } => {
                Field::Operation(pb::Operation { service, kind: kind.map(|k| k.number()) })
            }
            NamedField::Attribute(key) => Field::Attribute(key),
        };
        let request = pb::ValuesRequest {
            scope: Some(scope_to(&r.scope)),
            signal: r.signal.as_str().to_owned(),
            selectors: selectors_to(&r.selectors),
            limit: limit_to(r.limit),
            field: Some(field),
        };
        let stream = self.peer.clone().values(request).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, texts).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        let stream = self.peer.clone().sets(names_request(&r)).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, units(unpack::sets)).await
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        let scope = Some(scope_to(&r.scope));
        let request = pb::MetadataRequest { scope, family: r.family, limit: limit_to(r.limit) };
        let stream = self.peer.clone().metadata(request).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, units(unpack::metadata)).await
    }

    async fn exemplars(&self, r: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        let (scope, selectors) = (Some(scope_to(&r.scope)), selectors_to(&r.selectors));
        let request = pb::ExemplarsRequest { scope, selectors };
        let stream = self.peer.clone().exemplars(request).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, units(unpack::exemplars)).await
    }

    async fn patterns(&self, r: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
        let scope = Some(scope_to(&r.scope));
        let request = pb::PatternsRequest { scope, matchers: matchers_to(&r.matchers), step_ms: r.step_ms };
        let stream = self.peer.clone().patterns(request).await.map_err(|s| failed(&s))?.into_inner();
        list(stream, &r.scope.limits, units(unpack::whole_series)).await
    }

    async fn evaluate(&self, r: EvaluateRequest) -> Result<Evaluated> {
        let mut answer = evaluate::Unpacked::new(&r.scope.limits)?;
        let request = evaluate::request_to(r);
        let stream = self.peer.clone().evaluate(request).await.map_err(|s| failed(&s))?.into_inner();
        let mut parts = Parts::new(stream);
        while let Some(said) = parts.next().await? {
            match said {
                Said::Rows(rows) => answer.rows(rows)?,
                Said::Summary(summary) => answer.summary(summary)?,
                Said::End(coverage) => return Ok(answer.whole(coverage)),
                other => return Err(unexpected(&other)),
            }
        }
        Err(Error::unavailable("the answer broke off without an end"))
    }

    fn capabilities(&self) -> Capabilities {
        self.can.clone()
    }
}
