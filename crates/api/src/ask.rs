//! What every read has in common: parameters, tenants, a turn at the gate, a deadline.

use std::{future::Future, marker::PhantomData, time::Duration};

use axum::{
    extract::{FromRequest, Request},
    response::IntoResponse,
};
use base::Kind;
use contract::{QueryLimits, Tenants};

use crate::{AppState, Error, params::Params, tenant};

/// The parts of a read request. `E` is the protocol's own error answer.
pub struct Ask<E> {
    pub state: AppState,
    pub params: Params,
    pub tenants: Tenants,
    /// Request headers some protocols read flags from.
    pub headers: http::HeaderMap,
    error: PhantomData<fn() -> E>,
}

impl<E: From<Error> + IntoResponse> FromRequest<AppState> for Ask<E> {
    type Rejection = E;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, E> {
        let headers = request.headers().clone();
        let tenants = tenant::for_read(&headers)?;
        let params = Params::read(state, request).await?;
        Ok(Ask { state: state.clone(), params, tenants, headers, error: PhantomData })
    }
}

/// Engines check their deadline; this is for the one that forgets.
const OVERTIME: Duration = Duration::from_secs(5);

impl<E> Ask<E> {
    /// Takes a turn at the gate and runs `work` with limits whose deadline is the client's `timeout` or the
    /// node's, counted from now, the wait included.
    pub async fn run<T, F>(&self, work: impl FnOnce(QueryLimits) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let timeout = self.params.duration("timeout")?.unwrap_or(self.state.options.query_timeout);
        let timeout = timeout.min(self.state.options.query_timeout);
        let limits = self.state.query_limits(timeout);
        let pass = self.state.gate().enter(limits.deadline).await?;
        let work = work(limits);
        let turn = async move {
            let done = work.await;
            drop(pass);
            done
        };
        let ran = self.state.pool().run(turn);
        match tokio::time::timeout(timeout + OVERTIME, ran).await {
            Ok(done) => done,
            Err(_) => Err(Error::new(Kind::Timeout, "the query did not finish within query.timeout")),
        }
    }
}
