//! Arrow Flight SQL (`arrow.apache.org/docs/format/FlightSql.html`), as ADBC, JDBC and Grafana's data source speak it.
//!
//! Nothing is kept between calls: the handle of a statement, prepared or not, is the statement itself, so a client may go
//! on at another replica or after a restart. Statements change nothing and take no parameters.
//!
//! What an answer covers stands in the `app_metadata` of its last message:
//! `{"rows":3,"truncated":false,"complete":true,"coverage":"dev-01 logs complete"}`.

mod lists;

use arrow_flight::{
    FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket,
    encode::FlightDataEncoderBuilder,
    error::FlightError,
    flight_service_server::{FlightService, FlightServiceServer},
    sql::{
        ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
        ActionCreatePreparedStatementResult, CommandGetCatalogs, CommandGetCrossReference,
        CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
        CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
        CommandPreparedStatementQuery, CommandStatementQuery, ProstMessageExt, SqlInfo, TicketStatementQuery,
        server::FlightSqlService,
    },
};
use base::Kind;
use contract::{SqlCaller, SqlFormat, SqlRequest};
use datafusion::arrow::{array::RecordBatch, datatypes::Schema, ipc::writer::IpcWriteOptions};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::{Code, Request, Response, Status, service::Routes};

use crate::{Engine, running::Running};
use lists::Lists;

/// Coverage of many sources is told in this many bytes at most.
const MAX_SUMMARY_BYTES: usize = 8 << 10;

/// The code of an error, as the listener tells it for all that it serves.
type CodeOf = fn(Kind) -> Code;

/// The service, for a listener that puts a [`SqlCaller`] into each request's extensions.
pub fn routes(engine: Engine, version: &str, code: CodeOf) -> Routes {
    let service = FlightSql { engine, lists: Lists::new(version), code };
    Routes::new(FlightServiceServer::new(service))
}

struct FlightSql {
    engine: Engine,
    lists: Lists,
    code: CodeOf,
}

type Data = <FlightSql as FlightService>::DoGetStream;

impl FlightSql {
    fn request<T>(request: &Request<T>, statement: String) -> Result<(SqlRequest, SqlCaller), Status> {
        let caller = request.extensions().get::<SqlCaller>();
        let caller = caller.ok_or_else(|| Status::internal("nobody said who asks"))?;
        let request = SqlRequest {
            statement,
            tenants: caller.tenants.clone(),
            limits: caller.limits.clone(),
            from: None,
            to: None,
            limit: None,
            format: SqlFormat::Arrow,
        };
        Ok((request, caller.clone()))
    }

    /// The schema that the rows will have, to the bit: clients compare.
    async fn schema<T>(&self, request: &Request<T>, statement: String) -> Result<Schema, Status> {
        let (request, _) = Self::request(request, statement)?;
        let planned = self.engine.plan(&request).await.map_err(|e| status(e.into(), self.code))?;
        Ok(planned.plan.schema().as_ref().clone())
    }

    async fn info(
        &self,
        request: Request<FlightDescriptor>,
        statement: String,
        ticket: impl ProstMessageExt,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = self.schema(&request, statement).await?;
        described(request, &schema, ticket)
    }

    async fn rows(&self, request: Request<Ticket>, statement: String) -> Result<Response<Data>, Status> {
        let (asked, caller) = Self::request(&request, statement)?;
        let running = self.engine.run(&asked).await.map_err(|e| status(e.into(), self.code))?;
        Ok(Response::new(Box::pin(sent(running, caller, self.code))))
    }
}

/// The messages of an answer. The last one is held back until it can say what the answer covers.
fn sent(
    running: Running,
    caller: SqlCaller,
    code: CodeOf,
) -> impl Stream<Item = Result<FlightData, Status>> + Send {
    let Running { schema, batches, end, .. } = running;
    let batches = batches.map_err(move |e| FlightError::Tonic(Box::new(status(e, code))));
    let messages = FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(Status::from);
    let state = (messages, None::<FlightData>, end, caller, false);
    stream::unfold(state, |(mut messages, mut held, end, caller, has_ended)| async move {
        if has_ended {
            return None;
        }
        loop {
            match messages.next().await {
                Some(Ok(next)) => {
                    if let Some(ready) = held.replace(next) {
                        return Some((Ok(ready), (messages, held, end, caller, false)));
                    }
                }
                Some(Err(e)) => return Some((Err(e), (messages, None, end, caller, true))),
                None => {
                    let mut last = held.take()?;
                    let told = {
                        let end = end.lock();
                        serde_json::json!({
                            "rows": end.rows,
                            "truncated": end.is_cut,
                            "complete": end.coverage.is_complete(),
                            "coverage": end.coverage.summary(MAX_SUMMARY_BYTES),
                        })
                    };
                    last.app_metadata = told.to_string().into_bytes().into();
                    return Some((Ok(last), (messages, None, end, caller, true)));
                }
            }
        }
    })
}

/// Rows that are at hand.
fn at_hand(batch: Result<RecordBatch, FlightError>) -> Result<Response<Data>, Status> {
    let batch = batch.map_err(Status::from)?;
    let schema = batch.schema();
    let messages = FlightDataEncoderBuilder::new().with_schema(schema).build(stream::iter([Ok(batch)]));
    Ok(Response::new(Box::pin(messages.map_err(Status::from))))
}

fn described(
    request: Request<FlightDescriptor>,
    schema: &Schema,
    ticket: impl ProstMessageExt,
) -> Result<Response<FlightInfo>, Status> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|e| Status::internal(format!("writing the schema: {e}")))?
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        .with_descriptor(request.into_inner())
        // All rows come from one place, in the order that the statement names.
        .with_ordered(true);
    Ok(Response::new(info))
}

fn text(handle: &[u8]) -> Result<String, Status> {
    let text = std::str::from_utf8(handle);
    text.map(str::to_owned).map_err(|e| Status::invalid_argument(format!("the handle is no statement: {e}")))
}

fn status(e: contract::Error, code: CodeOf) -> Status {
    let code = code(e.kind());
    let message = match e.limit {
        Some(limit) if !e.message.contains(limit) => format!("{limit}: {}", e.message),
        _ => e.message,
    };
    Status::new(code, message)
}

macro_rules! listed {
    ($($info:ident, $get:ident, $command:ty, $list:ident;)*) => {
        /// What is listed is known beforehand; each list has its two calls.
        #[tonic::async_trait]
        impl FlightSqlService for FlightSql {
            type FlightService = FlightSql;

            $(
                async fn $info(
                    &self,
                    query: $command,
                    request: Request<FlightDescriptor>,
                ) -> Result<Response<FlightInfo>, Status> {
                    let batch = self.lists.$list(query.clone()).map_err(Status::from)?;
                    described(request, &batch.schema(), query)
                }

                async fn $get(&self, query: $command, _: Request<Ticket>) -> Result<Response<Data>, Status> {
                    at_hand(self.lists.$list(query))
                }
            )*

            async fn get_flight_info_statement(
                &self,
                query: CommandStatementQuery,
                request: Request<FlightDescriptor>,
            ) -> Result<Response<FlightInfo>, Status> {
                let handle = query.query.clone().into_bytes().into();
                self.info(request, query.query, TicketStatementQuery { statement_handle: handle }).await
            }

            async fn do_get_statement(
                &self,
                ticket: TicketStatementQuery,
                request: Request<Ticket>,
            ) -> Result<Response<Data>, Status> {
                self.rows(request, text(&ticket.statement_handle)?).await
            }

            async fn do_action_create_prepared_statement(
                &self,
                query: ActionCreatePreparedStatementRequest,
                request: Request<arrow_flight::Action>,
            ) -> Result<ActionCreatePreparedStatementResult, Status> {
                let schema = self.schema(&request, query.query.clone()).await?;
                let options = IpcWriteOptions::default();
                let ipc = |schema: &Schema| {
                    let message: Result<IpcMessage, _> = SchemaAsIpc::new(schema, &options).try_into();
                    message.map(|m| m.0).map_err(|e| Status::internal(format!("writing the schema: {e}")))
                };
                Ok(ActionCreatePreparedStatementResult {
                    prepared_statement_handle: query.query.into_bytes().into(),
                    dataset_schema: ipc(&schema)?,
                    parameter_schema: ipc(&Schema::empty())?,
                })
            }

            /// There is nothing to close.
            async fn do_action_close_prepared_statement(
                &self,
                _: ActionClosePreparedStatementRequest,
                _: Request<arrow_flight::Action>,
            ) -> Result<(), Status> {
                Ok(())
            }

            async fn get_flight_info_prepared_statement(
                &self,
                query: CommandPreparedStatementQuery,
                request: Request<FlightDescriptor>,
            ) -> Result<Response<FlightInfo>, Status> {
                let statement = text(&query.prepared_statement_handle)?;
                self.info(request, statement, query).await
            }

            async fn do_get_prepared_statement(
                &self,
                query: CommandPreparedStatementQuery,
                request: Request<Ticket>,
            ) -> Result<Response<Data>, Status> {
                self.rows(request, text(&query.prepared_statement_handle)?).await
            }

            async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
        }
    };
}

listed! {
    get_flight_info_catalogs, do_get_catalogs, CommandGetCatalogs, catalogs;
    get_flight_info_schemas, do_get_schemas, CommandGetDbSchemas, schemas;
    get_flight_info_tables, do_get_tables, CommandGetTables, tables;
    get_flight_info_table_types, do_get_table_types, CommandGetTableTypes, table_types;
    get_flight_info_sql_info, do_get_sql_info, CommandGetSqlInfo, sql_info;
    get_flight_info_xdbc_type_info, do_get_xdbc_type_info, CommandGetXdbcTypeInfo, types;
    get_flight_info_primary_keys, do_get_primary_keys, CommandGetPrimaryKeys, primary_keys;
    get_flight_info_exported_keys, do_get_exported_keys, CommandGetExportedKeys, exported_keys;
    get_flight_info_imported_keys, do_get_imported_keys, CommandGetImportedKeys, imported_keys;
    get_flight_info_cross_reference, do_get_cross_reference, CommandGetCrossReference, cross_reference;
}
