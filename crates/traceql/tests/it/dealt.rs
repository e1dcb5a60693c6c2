//! A `Select` between whose members spans are dealt, and which gives them out in small pieces: parts of a trace come
//! from everywhere and never together.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use async_trait::async_trait;
use contract::{
    Append, AppendUnit, Capabilities, Coverage, Error, LabelNamesRequest, LabelValuesRequest, LogsRequest,
    MetadataRequest, Result, Select, Selection, SeriesData, SeriesRequest, SpansRequest, fake::Fake,
};
use futures::{StreamExt, stream};
use model::{Batch, Labels, LogBatch, MetricMetadata, Span, SpanBatch, TenantId, span::SpanOrigin};

/// Spans of one piece of the stream.
const PIECE: usize = 2;

pub struct Dealt(Vec<Fake>);

impl Dealt {
    pub fn new(members: usize) -> Self {
        Dealt((0..members).map(|_| Fake::new()).collect())
    }

    /// Gives each span to one member.
    pub async fn load(&self, tenant: &TenantId, batch: &SpanBatch) {
        let mut parts = vec![SpanBatch::default(); self.0.len()];
        for span in &batch.spans {
            let mut h = DefaultHasher::new();
            (span.trace_id, span.span_id).hash(&mut h);
            let part = &mut parts[h.finish() as usize % self.0.len()];
            part.spans.push(Span { origin: part.origins.len() as u32, ..span.clone() });
            part.origins.push(batch.origins[span.origin as usize].clone());
        }
        for (member, part) in self.0.iter().zip(parts) {
            append(member, tenant, part).await;
        }
    }
}

pub async fn append(fake: &Fake, tenant: &TenantId, batch: SpanBatch) {
    let unit = AppendUnit { batch_id: None, received_ns: 0, batches: vec![Batch::Spans(batch)] };
    fake.append(tenant, unit).await.unwrap();
}

fn refused<T>() -> Result<T> {
    Err(Error::invalid("only spans are kept here"))
}

#[async_trait]
impl Select for Dealt {
    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        let mut coverage = Coverage::default();
        let mut all: Vec<(Span, SpanOrigin)> = Vec::new();
        for member in &self.0 {
            let request = SpansRequest { max_traces: None, ..r.clone() };
            let (batches, of_it) = member.spans(request).await?.collect().await?;
            coverage.merge(of_it);
            for batch in batches {
                let origins = batch.origins;
                all.extend(batch.spans.into_iter().map(|s| (s.clone(), origins[s.origin as usize].clone())));
            }
        }
        all.sort_by_key(|(s, _)| std::cmp::Reverse(s.start_ns));
        let mut traces = HashSet::new();
        all.retain(|(s, _)| {
            let room = traces.len() < r.max_traces.unwrap_or(usize::MAX);
            if room {
                traces.insert(s.trace_id);
            }
            traces.contains(&s.trace_id)
        });
        let piece = |some: &[(Span, SpanOrigin)]| {
            let spans = some.iter().enumerate().map(|(i, (s, _))| Span { origin: i as u32, ..s.clone() });
            Ok(SpanBatch { origins: some.iter().map(|(_, o)| o.clone()).collect(), spans: spans.collect() })
        };
        let pieces: Vec<Result<SpanBatch>> = all.chunks(PIECE).map(piece).collect();
        Ok(Selection::with_coverage(stream::iter(pieces).boxed(), coverage))
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        refused()
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        refused()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        refused()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        refused()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        refused()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        refused()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { filters_spans: true, ..Capabilities::default() }
    }
}

/// The same spans in one place, and dealt over four.
pub async fn both(tenant: &TenantId, batches: &[SpanBatch]) -> [(&'static str, Arc<dyn Select>); 2] {
    let (one, four) = (Fake::new(), Dealt::new(4));
    for batch in batches {
        append(&one, tenant, batch.clone()).await;
        four.load(tenant, batch).await;
    }
    [("one", Arc::new(one)), ("dealt", Arc::new(four))]
}
