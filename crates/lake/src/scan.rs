//! A table in a plan: asks the `Select` when the engine wants rows, and makes columns of what comes, piece by piece.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use contract::{Direction, LogsRequest, Selection, SeriesHints, SeriesRequest, SpansRequest};
use datafusion::{
    arrow::{
        array::{RecordBatch, RecordBatchOptions},
        compute::SortOptions,
        datatypes::SchemaRef,
    },
    catalog::{Session, TableProvider},
    common::tree_node::TreeNodeRecursion,
    error::{DataFusionError, Result},
    execution::{
        SendableRecordBatchStream, TaskContext,
        memory_pool::{MemoryConsumer, MemoryReservation},
    },
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr, expressions::Column},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
        execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use model::{MatchOp, Matcher, Signal, TimeRange, labels::METRIC_NAME};

use crate::{
    Error,
    asked::Asked,
    error::through,
    tables::{self, Piece, Table, next_rows},
    wanted::{self, Wanted},
};

/// A table as a statement names it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub table: Table,
    pub asked: Arc<Asked>,
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = Wanted::of(self.table, filters);
        let range = self.asked.range(self.table.name(), wanted.said);
        let all = self.table.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..all.fields().len()).collect());
        let scan = Scan {
            table: self.table,
            asked: self.asked.clone(),
            wanted,
            range,
            limit,
            direction: self.asked.direction(),
            properties: Arc::new(properties(
                self.table,
                self.asked.direction(),
                all.project(&columns)?.into(),
            )),
            columns,
        };
        Ok(Arc::new(scan))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(wanted::push_down(self.table, filters))
    }
}

/// Log records come in order of time; the engine is told, so that it neither sorts them nor reads past a limit.
fn properties(table: Table, direction: Direction, schema: SchemaRef) -> PlanProperties {
    let mut equivalences = EquivalenceProperties::new(schema.clone());
    if table == Table::Logs
        && let Ok(at) = schema.index_of("timestamp")
    {
        let options = SortOptions {
            descending: direction == Direction::NewestFirst,
            // The column has no nulls; this is what SQL means when it says nothing.
            nulls_first: direction == Direction::NewestFirst,
        };
        let by_time = PhysicalSortExpr { expr: Arc::new(Column::new("timestamp", at)), options };
        equivalences = EquivalenceProperties::new_with_orderings(schema, [[by_time]]);
    }
    PlanProperties::new(
        equivalences,
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        Boundedness::Bounded,
    )
}

#[derive(Debug, Clone)]
struct Scan {
    table: Table,
    asked: Arc<Asked>,
    wanted: Wanted,
    range: TimeRange,
    limit: Option<usize>,
    direction: Direction,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Scan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan: table={}, range={:?}", self.table.name(), self.range)?;
        if self.table == Table::Logs {
            write!(f, ", order={:?}", self.direction)?;
        }
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        write!(f, "{}", self.wanted)
    }
}

impl ExecutionPlan for Scan {
    fn name(&self) -> &str {
        "Scan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let limit = match (self.limit, limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Some(Arc::new(Scan { limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let held = MemoryConsumer::new(format!("scan[{}, {partition}]", self.table.name()))
            .register(context.memory_pool());
        let (scan, schema) = (self.clone(), self.schema());
        let batches = stream::once(async move { scan.open(held).await }).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

type Batches = BoxStream<'static, Result<RecordBatch>>;

impl Scan {
    async fn open(self, held: MemoryReservation) -> Result<Batches> {
        if self.range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let (scope, select) = (self.asked.scope(self.range), self.asked.select.clone());
        Ok(match self.table {
            Table::Logs => {
                let request = LogsRequest {
                    scope,
                    matchers: self.wanted.matchers.clone(),
                    line_filters: self.wanted.lines.clone(),
                    fields: self.wanted.fields.clone(),
                    direction: self.direction,
                    limit: self.limit,
                    passing: None,
                };
                let found = select.logs(request).await.map_err(through)?;
                self.batches(found, Signal::LOGS, held)
            }
            Table::Metrics => {
                let mut matchers = self.wanted.matchers.clone();
                if matchers.iter().all(Matcher::matches_empty) {
                    let named = Matcher::new(METRIC_NAME, MatchOp::NotEqual, "");
                    matchers.push(named.map_err(|e| DataFusionError::Plan(e.to_string()))?);
                }
                let request = SeriesRequest { scope, matchers, hints: SeriesHints::default() };
                let found = select.series(request).await.map_err(through)?;
                self.batches(found, Signal::METRICS, held)
            }
            Table::Spans => {
                let request = SpansRequest {
                    trace_ids: self.wanted.trace_ids.clone(),
                    filters: self.wanted.spans.clone(),
                    wanted: tables::span_parts(&self.columns),
                    ..SpansRequest::new(scope)
                };
                let found = select.spans(request).await.map_err(through)?;
                self.batches(found, Signal::TRACES, held)
            }
        })
    }

    fn batches<P: Piece>(self, found: Selection<P>, signal: Signal, held: MemoryReservation) -> Batches {
        let left = self.limit.unwrap_or(usize::MAX);
        let reading = Reading { found, signal, has_ended: false, piece: None, left, held, scan: self };
        stream::try_unfold(reading, |mut r| async move { Ok(r.next().await?.map(|b| (b, r))) }).boxed()
    }
}

/// A scan under way. Dropped, it says what it covered and gives everything back.
struct Reading<P: Piece> {
    scan: Scan,
    found: Selection<P>,
    signal: Signal,
    has_ended: bool,
    /// What is being made into columns, and from which row on.
    piece: Option<(P, usize)>,
    /// Rows that are still wanted.
    left: usize,
    /// What the batch made last occupies.
    held: MemoryReservation,
}

impl<P: Piece> Reading<P> {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let range: Range<i64> = self.scan.range.start.0..self.scan.range.end.0;
        loop {
            self.scan.asked.limits.check_deadline().map_err(through)?;
            let Some((piece, from)) = &mut self.piece else {
                if self.left == 0 && self.scan.table != Table::Logs {
                    return Ok(None);
                }
                match self.found.items.next().await.transpose().map_err(through)? {
                    // A source that was told the limit ends by itself, and its coverage is final then.
                    Some(_) if self.left == 0 => return Ok(None),
                    Some(piece) => self.piece = Some((piece, 0)),
                    None => {
                        self.has_ended = true;
                        return Ok(None);
                    }
                }
                continue;
            };
            let (to, rows) = next_rows(piece, *from, self.left, &range);
            let batch = if rows.is_empty() { None } else { Some(self.scan.batch(piece, &rows)?) };
            *from = to;
            if to >= piece.len() || self.left == 0 {
                self.piece = None;
            }
            if let Some(batch) = batch {
                self.left -= rows.len();
                self.held.try_resize(batch.get_array_memory_size())?;
                return Ok(Some(batch));
            }
        }
    }
}

impl Scan {
    fn batch<P: Piece>(&self, piece: &P, rows: &[usize]) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|c| piece.column(*c, rows));
        let columns = columns
            .collect::<std::result::Result<Vec<_>, Error>>()
            .map_err(|e| DataFusionError::Internal(e.to_string()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }
}

impl<P: Piece> Drop for Reading<P> {
    fn drop(&mut self) {
        let coverage = self.found.coverage();
        // Sources that several are asked through say what they cover when they have ended.
        if self.has_ended || !coverage.sources().is_empty() {
            return self.scan.asked.covered(coverage);
        }
        let matchers =
            if self.signal == Signal::TRACES { Vec::new() } else { self.scan.wanted.matchers.clone() };
        self.scan.asked.left(self.signal.clone(), self.scan.range, matchers);
    }
}
