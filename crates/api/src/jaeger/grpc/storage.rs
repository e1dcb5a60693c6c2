//! `jaeger.storage.v2`: what a Jaeger asks of storage that is not its own. Traces go out as they are stored; Jaeger
//! adjusts them itself.

use contract::NamedField;
use model::{Attributes, TimeRange, TimestampNs};
use proto::{
    jaeger::storage::{
        AnyValue, Dependency, FilterCapabilities, FindTraceIDsRequest, FindTraceIDsResponse,
        FindTraceSummariesRequest, FindTraceSummariesResponse, FindTracesRequest, FoundTraceId,
        GetCapabilitiesRequest, GetCapabilitiesResponse, GetDependenciesRequest, GetDependenciesResponse,
        GetOperationsRequest, GetOperationsResponse, GetServicesRequest, GetServicesResponse,
        GetTracesRequest, Operation, SearchCapabilities, ServiceSummary, TraceQueryParameters, TraceSummary,
        any_value::Value, capabilities_server::Capabilities, dependency_reader_server::DependencyReader,
        trace_reader_server::TraceReader,
    },
    otlp::trace::TracesData,
};
use tonic::{Request, Response, Status};

use super::{Caller, Many, count, depth, duration_ns, named, range, status, time_ns, unsigned};
use crate::{
    AppState, Error,
    jaeger::{
        filter::{self, Filter},
        names::{asked_kind, kind_text},
        pieces::Wanted,
        search::{MAX_LIMIT, Search},
        summary::{Summary, summarize},
    },
};

pub(super) struct Storage(pub AppState);

#[tonic::async_trait]
impl TraceReader for Storage {
    type GetTracesStream = Many<TracesData>;
    type FindTracesStream = Many<TracesData>;
    type FindTraceSummariesStream = Many<FindTraceSummariesResponse>;

    async fn get_traces(
        &self,
        request: Request<GetTracesRequest>,
    ) -> Result<Response<Self::GetTracesStream>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let wanted = by_id(request.get_ref()).map_err(|e| status(&e))?;
        caller
            .many(|mut reads, to| async move {
                reads.send(&wanted, &to).await?;
                Ok(reads.coverage)
            })
            .await
    }

    async fn get_services(
        &self,
        request: Request<GetServicesRequest>,
    ) -> Result<Response<GetServicesResponse>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        caller
            .one(|mut reads| async move {
                let services = reads.names(NamedField::Service).await?;
                Ok((GetServicesResponse { services }, reads.coverage))
            })
            .await
    }

    async fn get_operations(
        &self,
        request: Request<GetOperationsRequest>,
    ) -> Result<Response<GetOperationsResponse>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let GetOperationsRequest { service, span_kind } = request.into_inner();
        let kind = asked_kind("span_kind", &span_kind).map_err(|e| status(&e))?;
        caller
            .one(move |mut reads| async move {
                let found = reads.operations(&service, kind).await?;
                let operations = found
                    .into_iter()
                    .map(|(name, kind)| Operation { name, span_kind: kind_text(kind).to_owned() })
                    .collect();
                Ok((GetOperationsResponse { operations }, reads.coverage))
            })
            .await
    }

    async fn find_traces(
        &self,
        request: Request<FindTracesRequest>,
    ) -> Result<Response<Self::FindTracesStream>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let search = search(request.into_inner().query).map_err(|e| status(&e))?;
        caller
            .many(move |mut reads, to| async move {
                let found = reads.matching(&search).await?;
                reads.send(&Wanted { ids: found.ids, range: found.around, raw: true }, &to).await?;
                Ok(reads.coverage)
            })
            .await
    }

    /// Without times: a trace is found by its id whenever it was.
    async fn find_trace_i_ds(
        &self,
        request: Request<FindTraceIDsRequest>,
    ) -> Result<Response<FindTraceIDsResponse>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let search = search(request.into_inner().query).map_err(|e| status(&e))?;
        caller
            .one(move |mut reads| async move {
                let found = reads.matching(&search).await?.ids.into_iter();
                let trace_ids = found
                    .map(|id| FoundTraceId { trace_id: id.to_vec(), ..FoundTraceId::default() })
                    .collect();
                Ok((FindTraceIDsResponse { trace_ids }, reads.coverage))
            })
            .await
    }

    async fn find_trace_summaries(
        &self,
        request: Request<FindTraceSummariesRequest>,
    ) -> Result<Response<Self::FindTraceSummariesStream>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let search = search(request.into_inner().query).map_err(|e| status(&e))?;
        caller
            .many(move |mut reads, to| async move {
                let found = reads.matching(&search).await?;
                let wanted = Wanted { ids: found.ids, range: found.around, raw: false };
                let to = &to;
                reads
                    .each_trace(&wanted, |id, batch| async move {
                        let summaries = vec![summary(summarize(id, &batch))];
                        to.send(FindTraceSummariesResponse { summaries }).await
                    })
                    .await?;
                Ok(reads.coverage)
            })
            .await
    }
}

#[tonic::async_trait]
impl DependencyReader for Storage {
    async fn get_dependencies(
        &self,
        request: Request<GetDependenciesRequest>,
    ) -> Result<Response<GetDependenciesResponse>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let asked = request.into_inner();
        let start = time_ns("start_time", asked.start_time.as_ref()).map_err(|e| status(&e))?;
        let end = time_ns("end_time", asked.end_time.as_ref()).map_err(|e| status(&e))?;
        let Some(start) = start else {
            return Err(Status::invalid_argument("start_time is required"));
        };
        let start = TimestampNs(start).to_ms().0;
        let end = end.map_or_else(|| self.0.clock.now_ms(), |end| TimestampNs(end).to_ms().0);
        caller
            .one(move |mut reads| async move {
                let links = reads.links(start, end).await?;
                let source = links.source;
                let dependencies = links
                    .all
                    .into_iter()
                    .map(|l| Dependency {
                        parent: l.parent,
                        child: l.child,
                        call_count: l.calls,
                        source: source.to_owned(),
                    })
                    .collect();
                Ok((GetDependenciesResponse { dependencies }, reads.coverage))
            })
            .await
    }
}

#[tonic::async_trait]
impl Capabilities for Storage {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        let words = |all: &[&str]| all.iter().map(|w| (*w).to_owned()).collect();
        Ok(Response::new(GetCapabilitiesResponse {
            search: Some(SearchCapabilities {
                without_service_name: true,
                same_span_conjunction: true,
                filter: Some(FilterCapabilities {
                    levels: words(&filter::LEVELS),
                    operators: words(&filter::OPERATORS),
                }),
            }),
        }))
    }
}

/// Traces by id; where times are given, what lies between the first and the last of them.
fn by_id(asked: &GetTracesRequest) -> Result<Wanted, Error> {
    if asked.query.len() > MAX_LIMIT {
        return Err(Error::invalid(format!("more than {MAX_LIMIT} trace ids are asked for")));
    }
    let mut wanted = Wanted { ids: Vec::with_capacity(asked.query.len()), range: TimeRange::ALL, raw: true };
    let mut hull: Option<TimeRange> = None;
    for q in &asked.query {
        let id = q.trace_id.as_slice().try_into();
        let id =
            id.map_err(|_| Error::invalid(format!("a trace id has {} bytes, not 16", q.trace_id.len())))?;
        if !wanted.ids.contains(&id) {
            wanted.ids.push(id);
        }
        let start = time_ns("start_time", q.start_time.as_ref())?.unwrap_or(TimeRange::ALL.start.0);
        let end = time_ns("end_time", q.end_time.as_ref())?;
        let end = end.map_or(TimeRange::ALL.end.0, |t| t.saturating_add(1));
        let here = TimeRange::new(TimestampNs(start), TimestampNs(end));
        hull = Some(hull.map_or(here, |h| h.hull(here)));
    }
    wanted.range = hull.unwrap_or(TimeRange::ALL);
    Ok(wanted)
}

fn search(query: Option<TraceQueryParameters>) -> Result<Search, Error> {
    let q = query.ok_or_else(|| Error::invalid("missing query"))?;
    let tags = q.attributes.into_iter().filter_map(|kv| Some((kv.key, text(kv.value?))));
    let search = Search {
        service: named(q.service_name),
        operation: named(q.operation_name),
        tags: tags.collect(),
        range: range(q.start_time_min.as_ref(), q.start_time_max.as_ref())?,
        min_duration_ns: duration_ns("duration_min", q.duration_min.as_ref())?,
        max_duration_ns: duration_ns("duration_max", q.duration_max.as_ref())?,
        limit: depth(q.search_depth),
        filter: q.filter.map(Filter::read).transpose()?,
    };
    search.checked()
}

/// Values are compared as text, as Jaeger's storages do.
fn text(value: AnyValue) -> String {
    any(value).to_string()
}

fn any(value: AnyValue) -> model::AnyValue {
    match value.value {
        None => model::AnyValue::Empty,
        Some(Value::StringValue(s)) => s.into(),
        Some(Value::BoolValue(b)) => b.into(),
        Some(Value::IntValue(i)) => i.into(),
        Some(Value::DoubleValue(d)) => d.into(),
        Some(Value::BytesValue(b)) => model::AnyValue::Bytes(b),
        Some(Value::ArrayValue(a)) => model::AnyValue::Array(a.values.into_iter().map(any).collect()),
        Some(Value::KvlistValue(m)) => {
            let pairs = m.values.into_iter().map(|kv| (kv.key, any(kv.value.unwrap_or_default())));
            model::AnyValue::Map(Attributes(pairs.collect()))
        }
    }
}

fn summary(s: Summary) -> TraceSummary {
    TraceSummary {
        trace_id: s.id.to_vec(),
        root_service_name: s.root_service,
        root_operation_name: s.root_operation,
        min_start_time_unix_nano: unsigned(s.start_ns),
        max_end_time_unix_nano: unsigned(s.end_ns),
        span_count: count(s.spans),
        error_span_count: count(s.errors),
        orphan_span_count: count(s.orphans),
        services: s
            .services
            .into_iter()
            .map(|(name, (spans, errors))| ServiceSummary {
                name,
                span_count: count(spans),
                error_span_count: count(errors),
            })
            .collect(),
    }
}
