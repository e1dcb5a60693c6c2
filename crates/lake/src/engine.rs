//! From a statement to a plan.
//!
//! Each statement has a session of its own: its tables know whose question it is. What all have in common, the functions,
//! is made once.

use std::{future::poll_fn, panic::AssertUnwindSafe, pin::pin, sync::Arc};

use async_trait::async_trait;
use base::Clock;
use contract::{Direction, Select, Sql, SqlAnswer, SqlColumn, SqlFormat, SqlRequest};
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{
        CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
        MemorySchemaProvider, SchemaProvider,
    },
    common::tree_node::{TreeNode, TreeNodeRecursion},
    config::Dialect,
    error::DataFusionError,
    execution::{
        FunctionRegistry, SessionState, SessionStateBuilder, TaskContext,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder},
    physical_plan::ExecutionPlan,
    prelude::{SQLOptions, SessionConfig},
};
use futures::FutureExt;
use model::{TimeRange, TimestampNs};

use crate::{
    Error,
    asked::Asked,
    format::Writer,
    guard,
    memory::Pool,
    running::{self, Running},
    scan::Provider,
    tables::Table,
};

/// How a statement sees its tables: `orrery.public.logs`.
pub const CATALOG: &str = "orrery";
pub const SCHEMA: &str = "public";

/// Functions that make much out of little, whose texts and lists no budget sees before they are there.
const WITHOUT: [&str; 10] = [
    "repeat",
    "lpad",
    "rpad",
    "range",
    "generate_series",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "array_pad",
];

/// Answers SQL over one `Select`. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    select: Arc<dyn Select>,
    clock: Clock,
    template: Arc<SessionState>,
}

/// A plan, and what it was made for.
pub(crate) struct Planned {
    pub plan: Arc<dyn ExecutionPlan>,
    pub asked: Arc<Asked>,
    pub context: Arc<TaskContext>,
    pub limit: Option<u64>,
}

impl Engine {
    pub fn new(select: Arc<dyn Select>, clock: Clock) -> Self {
        Engine { select, clock, template: Arc::new(template()) }
    }

    /// Without the rules that hand conditions to tables: everything is read, and filtered then.
    #[cfg(test)]
    pub(crate) fn without_rules(&self) -> Self {
        let bare =
            SessionStateBuilder::new_from_existing((*self.template).clone()).with_optimizer_rules(Vec::new());
        Engine { template: Arc::new(bare.build()), ..self.clone() }
    }

    pub(crate) async fn plan(&self, request: &SqlRequest) -> Result<Planned, Error> {
        caught(async {
            let (state, plan, asked) = self.understand(request).await?;
            asked.set_direction(direction(&plan)?);
            let limited = limited(plan, request.limit)?;
            let plan = state.create_physical_plan(&limited).await?;
            Ok(Planned { plan, asked, context: state.task_ctx(), limit: request.limit })
        })
        .await
    }

    /// Begins to answer; the rows come as the engine makes them.
    pub(crate) async fn run(&self, request: &SqlRequest) -> Result<Running, Error> {
        Ok(running::batches(self.plan(request).await?))
    }

    async fn understand(
        &self,
        request: &SqlRequest,
    ) -> Result<(SessionState, LogicalPlan, Arc<Asked>), Error> {
        guard::check_size(&request.statement)?;
        let now_ns = self.clock.now_ns();
        let within = TimeRange::new(
            request.from.unwrap_or(TimestampNs(i64::MIN)),
            request.to.unwrap_or(TimestampNs(i64::MAX)),
        );
        let asked = Arc::new(Asked::new(
            self.select.clone(),
            request.tenants.clone(),
            request.limits.clone(),
            now_ns,
            within,
        ));
        let state = self.session(&asked)?;
        let statement = state.sql_to_statement(&request.statement, &Dialect::Generic)?;
        guard::check_kind(&statement)?;
        let plan = state.statement_to_plan(statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        Ok((state, plan, asked))
    }

    fn session(&self, asked: &Arc<Asked>) -> Result<SessionState, Error> {
        let nowhere = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(Pool::new(asked.limits.memory.clone())))
            .with_disk_manager_builder(nowhere)
            .build()?;
        let tables = MemorySchemaProvider::new();
        for table in Table::ALL {
            let provider = Arc::new(Provider { table, asked: asked.clone() });
            tables.register_table(table.name().to_owned(), provider)?;
        }
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(tables))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        let mut state = SessionStateBuilder::new_from_existing((*self.template).clone())
            .with_runtime_env(Arc::new(runtime))
            .with_catalog_list(Arc::new(catalogs))
            .build();
        state.execution_props_mut().query_execution_start_time =
            Some(chrono::DateTime::from_timestamp_nanos(asked.now_ns));
        Ok(state)
    }
}

/// Functions and settings that every statement has.
fn template() -> SessionState {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        // Rows come from one place in one order; what is computed of them is not worth handing around.
        .with_target_partitions(1);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    let mut state = SessionStateBuilder::new_with_default_features().with_config(config).build();
    for name in WITHOUT {
        // It is there or it is not: either way it is gone.
        let _ = state.deregister_udf(name);
    }
    state
}

/// Log records are read from the end that a statement begins with. Only a hint: the plan says which order it gets.
fn direction(plan: &LogicalPlan) -> Result<Direction, DataFusionError> {
    let mut found = Direction::NewestFirst;
    plan.apply(|node| {
        if let LogicalPlan::Sort(sort) = node
            && let Some(first) = sort.expr.first()
            && first.asc
            && matches!(&first.expr, Expr::Column(c) if c.name == "timestamp")
        {
            found = Direction::OldestFirst;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// One row more than asked for is enough to know that there are more.
fn limited(plan: LogicalPlan, limit: Option<u64>) -> Result<LogicalPlan, DataFusionError> {
    let rows = limit.and_then(|l| usize::try_from(l.saturating_add(1)).ok());
    match (rows, &plan) {
        (None, _)
        | (_, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)) => Ok(plan),
        (rows, _) => LogicalPlanBuilder::from(plan).limit(0, rows)?.build(),
    }
}

/// Bytes of stack for planning: it recurses as deep as a statement nests, and [`guard`] bounds that by what fits here even where
/// nothing is optimised. Threads of a runtime have a quarter of it.
const PLANNING_STACK: usize = 8 << 20;

/// A defect of the engine ends the statement, not the node; nor does a deep statement.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let deep = poll_fn(|cx| stacker::maybe_grow(PLANNING_STACK, PLANNING_STACK, || work.as_mut().poll(cx)));
    match deep.await {
        Ok(done) => done,
        Err(panic) => Err(Error::Internal(panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the engine panicked: {}", text.unwrap_or("no message"))
}

#[async_trait]
impl Sql for Engine {
    async fn query(&self, request: SqlRequest) -> contract::Result<SqlAnswer> {
        let planned = self.plan(&request).await?;
        let schema = planned.plan.schema();
        let columns = schema
            .fields()
            .iter()
            .map(|f| SqlColumn { name: f.name().clone(), kind: f.data_type().to_string() })
            .collect();
        let reads = planned.asked.reads();
        let writer = match request.format {
            SqlFormat::JsonRows => Writer::json(),
            SqlFormat::Csv => Writer::csv(&schema),
            SqlFormat::Arrow => Writer::arrow(&schema)?,
        };
        let (pieces, end) = running::pieces(planned, writer);
        Ok(SqlAnswer { columns, reads, pieces, end })
    }
}

/// The tables and their columns, for clients that list them.
pub(crate) fn tables() -> Vec<(&'static str, SchemaRef)> {
    Table::ALL.iter().map(|t| (t.name(), t.schema())).collect()
}
