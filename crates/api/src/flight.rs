//! Arrow Flight SQL, on the ports of gRPC. What is said on it is not this crate's business: here a call gets its tenants,
//! its turn and its limits, as every other question does, and goes to who understands it.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use contract::SqlCaller;
use tower::ServiceExt;

use crate::{AppState, Error, otlp, tenant};

pub fn routes() -> Router<AppState> {
    Router::new().route("/arrow.flight.protocol.FlightService/{method}", post(call))
}

async fn call(State(state): State<AppState>, request: Request) -> Response {
    match serve(&state, request).await {
        Ok(response) => response,
        Err(e) => otlp::grpc::failure(&e),
    }
}

async fn serve(state: &AppState, mut request: Request) -> Result<Response, Error> {
    let Some(service) = state.flight.clone() else {
        return Err(Error::new(base::Kind::NotFound, crate::sql::LEFT_OUT));
    };
    let tenants = tenant::for_read(request.headers())?;
    let limits = state.query_limits(state.options.query_timeout);
    let turn = state.gate().enter(limits.deadline).await?;
    request.extensions_mut().insert(SqlCaller { tenants, limits, turn: Arc::new(turn) });
    let answering = async move {
        let answered: Result<_, Infallible> = service.oneshot(request).await;
        Ok(answered.unwrap_or_else(|never| match never {}))
    };
    let response = state.pool().run(answering).await?;
    Ok(response.map(axum::body::Body::new))
}
