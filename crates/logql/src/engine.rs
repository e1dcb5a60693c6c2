//! A query over a [`Select`].

use std::sync::Arc;

use base::Clock;
use contract::{Direction, QueryLimits, Select, Tenants};

use crate::{Answer, Error, Result};

/// What an engine is told once.
#[derive(Clone)]
pub struct EngineOptions {
    /// What the template function `now` answers with.
    pub clock: Clock,
    /// Points per series a range query may ask for.
    pub max_steps: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { clock: Clock::system(), max_steps: 11_000 }
    }
}

/// Whose data one query reads and what it may cost.
#[derive(Clone)]
pub struct QueryContext {
    pub tenants: Tenants,
    pub limits: QueryLimits,
}

/// Evaluates LogQL. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    #[allow(dead_code)]
    select: Arc<dyn Select>,
    #[allow(dead_code)]
    options: EngineOptions,
}

impl Engine {
    pub fn new(select: Arc<dyn Select>, options: EngineOptions) -> Self {
        Engine { select, options }
    }

    /// A metric query at one point in time. Log queries have no instant form and are `Kind::Invalid`, as in
    /// Loki. `limit` and `direction` are taken for symmetry with [`Engine::range`].
    pub async fn instant(
        &self,
        _query: &str,
        _at_ns: i64,
        _limit: usize,
        _direction: Direction,
        _ctx: &QueryContext,
    ) -> Result<Answer> {
        Err(Error::NotYetSupported("evaluation".into()))
    }

    /// A log query over `[start_ns, end_ns)` or a metric query at `start_ns, start_ns + step_ns, ... end_ns`.
    /// `limit` counts lines of a log query, `direction` says which end they are taken from.
    #[allow(clippy::too_many_arguments)]
    pub async fn range(
        &self,
        _query: &str,
        _start_ns: i64,
        _end_ns: i64,
        _step_ns: i64,
        _limit: usize,
        _direction: Direction,
        _ctx: &QueryContext,
    ) -> Result<Answer> {
        Err(Error::NotYetSupported("evaluation".into()))
    }
}
