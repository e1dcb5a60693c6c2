//! `jaeger.api_v3.QueryService`.

use base::Kind;
use contract::NamedField;
use model::{TimeRange, TimestampNs};
use proto::{
    jaeger::api_v3::{
        DependenciesResponse, Dependency, FindTraceSummariesRequest, FindTraceSummariesResponse,
        FindTracesRequest, GetDependenciesRequest, GetOperationsRequest, GetOperationsResponse,
        GetServicesRequest, GetServicesResponse, GetTraceRequest, Operation, ServiceSummary,
        TraceQueryParameters, TraceSummary, query_service_server::QueryService,
    },
    otlp::trace::TracesData,
};
use tonic::{Request, Response, Status};

use super::{Caller, Many, count, depth, duration_ns, named, range, status, time_ns, unsigned};
use crate::{
    AppState, Error,
    jaeger::{
        filter::Filter,
        names::{asked_kind, kind_text},
        pieces::Wanted,
        search::{Search, trace_id},
        summary::{Summary, summarize},
        trace::hex,
    },
};

pub(super) struct Query(pub AppState);

#[tonic::async_trait]
impl QueryService for Query {
    type GetTraceStream = Many<TracesData>;
    type FindTracesStream = Many<TracesData>;
    type FindTraceSummariesStream = Many<FindTraceSummariesResponse>;

    async fn get_trace(
        &self,
        request: Request<GetTraceRequest>,
    ) -> Result<Response<Self::GetTraceStream>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let wanted = by_id(request.get_ref()).map_err(|e| status(&e))?;
        caller
            .many(|mut reads, to| async move {
                let found = reads.send(&wanted, &to).await?;
                // Whoever did not answer may have it, so an incomplete answer is no "not found".
                match found || !reads.coverage.is_complete() {
                    true => Ok(reads.coverage),
                    false => Err(Error::new(Kind::NotFound, "trace not found")),
                }
            })
            .await
    }

    async fn find_traces(
        &self,
        request: Request<FindTracesRequest>,
    ) -> Result<Response<Self::FindTracesStream>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let (search, raw) = search(request.into_inner().query).map_err(|e| status(&e))?;
        caller
            .many(move |mut reads, to| async move {
                let found = reads.matching(&search).await?;
                reads.send(&Wanted { ids: found.ids, range: found.around, raw }, &to).await?;
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

    async fn get_dependencies(
        &self,
        request: Request<GetDependenciesRequest>,
    ) -> Result<Response<DependenciesResponse>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let asked = request.into_inner();
        let start = time_ns("start_time", asked.start_time.as_ref()).map_err(|e| status(&e))?;
        let end = time_ns("end_time", asked.end_time.as_ref()).map_err(|e| status(&e))?;
        let (Some(start), Some(end)) = (start, end) else {
            return Err(Status::invalid_argument("start_time and end_time are required"));
        };
        let (start, end) = (TimestampNs(start).to_ms().0, TimestampNs(end).to_ms().0);
        let answer = caller
            .one(move |mut reads| async move {
                let links = reads.links(start, end).await?;
                let told = links.note.unwrap_or_else(|| format!("computed from {}", links.source));
                let dependencies = links
                    .all
                    .into_iter()
                    .map(|l| Dependency { parent: l.parent, child: l.child, call_count: l.calls })
                    .collect();
                Ok(((DependenciesResponse { dependencies }, told), reads.coverage))
            })
            .await?;
        let (mut metadata, (message, told), extensions) = answer.into_parts();
        if let Ok(told) = told.parse() {
            metadata.insert("x-orrery-source", told);
        }
        Ok(Response::from_parts(metadata, message, extensions))
    }

    async fn find_trace_summaries(
        &self,
        request: Request<FindTraceSummariesRequest>,
    ) -> Result<Response<Self::FindTraceSummariesStream>, Status> {
        let caller = Caller::of(&self.0, &request)?;
        let (search, _) = search(request.into_inner().query).map_err(|e| status(&e))?;
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

fn by_id(asked: &GetTraceRequest) -> Result<Wanted, Error> {
    let start = time_ns("start_time", asked.start_time.as_ref())?.unwrap_or(TimeRange::ALL.start.0);
    let end = time_ns("end_time", asked.end_time.as_ref())?;
    let end = end.map_or(TimeRange::ALL.end.0, |t| t.saturating_add(1));
    let range = TimeRange::new(TimestampNs(start), TimestampNs(end));
    Ok(Wanted { ids: vec![trace_id(&asked.trace_id)?], range, raw: asked.raw_traces })
}

/// The search, and whether its traces are wanted as stored.
fn search(query: Option<TraceQueryParameters>) -> Result<(Search, bool), Error> {
    let q = query.ok_or_else(|| Error::invalid("missing query"))?;
    let mut tags: Vec<(String, String)> = q.attributes.into_iter().collect();
    tags.sort();
    let search = Search {
        service: named(q.service_name),
        operation: named(q.operation_name),
        tags,
        range: range(q.start_time_min.as_ref(), q.start_time_max.as_ref())?,
        min_duration_ns: duration_ns("duration_min", q.duration_min.as_ref())?,
        max_duration_ns: duration_ns("duration_max", q.duration_max.as_ref())?,
        limit: depth(q.search_depth),
        filter: q.filter.map(Filter::read).transpose()?,
    };
    Ok((search.checked()?, q.raw_traces))
}

fn summary(s: Summary) -> TraceSummary {
    TraceSummary {
        trace_id: hex(&s.id),
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
