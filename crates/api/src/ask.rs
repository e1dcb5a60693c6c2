//! What every read has in common: parameters, tenants, a turn at the gate, a deadline.

use std::{future::Future, marker::PhantomData, time::Duration};

use axum::{
    extract::{FromRequest, Request},
    response::IntoResponse,
};
use base::Kind;
use contract::{Coverage, QueryLimits, Tenants};
use http::HeaderMap;

use crate::{
    AppState, Error, coverage,
    gate::Pass,
    params::{Params, bad},
    state::Reads,
    tenant,
};

/// The parts of a read request. `E` is the protocol's own error answer.
pub struct Ask<E> {
    pub state: AppState,
    pub params: Params,
    pub tenants: Tenants,
    /// What this request is answered from: `dedup=false` shows every replica by itself.
    pub reads: Reads,
    /// An answer that is not complete is an error (`partial=deny`).
    denies_partial: bool,
    /// Request headers some protocols read flags from.
    pub headers: HeaderMap,
    error: PhantomData<fn() -> E>,
}

impl<E: From<Error> + IntoResponse> FromRequest<AppState> for Ask<E> {
    type Rejection = E;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, E> {
        let headers = request.headers().clone();
        // Before the body is read: whoever may not ask sends none.
        let tenants = tenant::for_read(&headers)?;
        let params = Params::read(state, request).await?;
        Ok(Self::new(state, headers, tenants, params)?)
    }
}

impl<E> Ask<E> {
    /// For requests whose parameters stand elsewhere than in a form.
    pub fn new(
        state: &AppState,
        headers: HeaderMap,
        tenants: Tenants,
        params: Params,
    ) -> Result<Self, Error> {
        let reads = if dedup(&params)? { &state.reads } else { &state.reads_apart };
        Ok(Ask {
            reads: reads.clone(),
            denies_partial: denies_partial(&params)?,
            state: state.clone(),
            params,
            tenants,
            headers,
            error: PhantomData,
        })
    }
}

/// `dedup=false`, as Thanos has it.
fn dedup(params: &Params) -> Result<bool, Error> {
    flag(params, "dedup").map(|d| d.unwrap_or(true))
}

/// `partial=deny`, or Thanos' `partial_response=false`.
fn denies_partial(params: &Params) -> Result<bool, Error> {
    match params.get("partial") {
        Some("deny") => Ok(true),
        Some("allow") => Ok(false),
        Some(other) => Err(bad("partial", other, "it must be allow or deny")),
        None => flag(params, "partial_response").map(|p| p == Some(false)),
    }
}

fn flag(params: &Params, name: &str) -> Result<Option<bool>, Error> {
    match params.get(name) {
        None | Some("") => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(other) => Err(bad(name, other, "it must be true or false")),
    }
}

/// An answer that knows what it covers; `None` where no telemetry was read.
pub trait Covered {
    fn covered(&self) -> Option<&Coverage>;
}

/// Engines check their deadline; this is for the one that forgets.
pub(crate) const OVERTIME: Duration = Duration::from_secs(5);

impl<E> Ask<E> {
    /// Takes a turn at the gate and runs `work` with limits whose deadline is the client's `timeout` or the
    /// node's, counted from now, the wait included.
    ///
    /// An answer that is not complete is an error where the client said `partial=deny`.
    pub async fn run<T, F>(&self, work: impl FnOnce(QueryLimits) -> F) -> Result<T, Error>
    where
        T: Covered + Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.run_within(self.state.options.query_timeout, work).await
    }

    /// The same in a shorter time, for requests that ask more than once.
    pub async fn run_within<T, F>(
        &self,
        most: Duration,
        work: impl FnOnce(QueryLimits) -> F,
    ) -> Result<T, Error>
    where
        T: Covered + Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let Turn { pass, limits, timeout } = self.turn(most).await?;
        let work = work(limits);
        let turn = async move {
            let done = work.await;
            drop(pass);
            done
        };
        let ran = self.state.pool().run(turn);
        match tokio::time::timeout(timeout + OVERTIME, ran).await {
            Ok(done) => self.whole(done?),
            Err(_) => Err(Error::new(Kind::Timeout, "the query did not finish within query.timeout")),
        }
    }

    /// A turn at the gate for what outlasts its handler, in a time as [`Ask::run_within`] has it.
    pub async fn turn(&self, most: Duration) -> Result<Turn, Error> {
        let timeout = self.params.duration("timeout")?.unwrap_or(most);
        let timeout = timeout.min(most).min(self.state.options.query_timeout);
        let limits = self.state.query_limits(timeout);
        let pass = self.state.gate().enter(limits.deadline).await?;
        Ok(Turn { pass, limits, timeout })
    }

    /// Whether an answer that is not complete is an error.
    pub fn denies_partial(&self) -> bool {
        self.denies_partial
    }

    /// The answer, unless it is less than the client will have.
    fn whole<T: Covered>(&self, answer: T) -> Result<T, Error> {
        match answer.covered() {
            Some(c) if self.denies_partial => complete(c).map(|()| answer),
            _ => Ok(answer),
        }
    }
}

/// The right to run, and what bounds it. Time counts from when it was asked for, the wait included.
pub struct Turn {
    pub pass: Pass,
    pub limits: QueryLimits,
    pub timeout: Duration,
}

/// An error unless every source answered for all it was asked.
pub fn complete(c: &Coverage) -> Result<(), Error> {
    match c.is_complete() {
        true => Ok(()),
        false => Err(Error::unavailable(format!("partial=deny: {}", coverage::warnings(c).join("; ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_answer_is_allowed_and_replicas_are_merged_unless_the_client_says_otherwise() {
        let p = |q: &str| Params::from_query(q);
        assert!(!denies_partial(&p("")).unwrap() && dedup(&p("")).unwrap());
        assert!(denies_partial(&p("partial=deny")).unwrap());
        assert!(!denies_partial(&p("partial=allow&partial_response=false")).unwrap());
        assert!(denies_partial(&p("partial_response=false")).unwrap());
        assert!(!dedup(&p("dedup=false")).unwrap() && !dedup(&p("dedup=0")).unwrap());
        for wrong in ["partial=no", "partial_response=deny"] {
            assert!(denies_partial(&p(wrong)).is_err(), "{wrong}");
        }
        assert!(dedup(&p("dedup=maybe")).is_err());
    }
}
