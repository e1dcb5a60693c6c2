//! From text to answer.

use std::sync::Arc;

use contract::Select;

use crate::{Answer, EngineOptions, Error, QueryContext, parse};

/// Evaluates PromQL over a [`Select`]. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    select: Arc<dyn Select>,
    options: EngineOptions,
}

impl Engine {
    pub fn new(select: Arc<dyn Select>, options: EngineOptions) -> Self {
        Engine { select, options }
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates at one instant.
    pub async fn instant(&self, q: &str, at_ms: i64, ctx: &QueryContext) -> Result<Answer, Error> {
        let _ = (&self.select, at_ms, ctx);
        parse(q, &self.options.parser())?;
        Err(Error::NotYetSupported { what: "evaluation".to_owned() })
    }

    /// Evaluates at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; the answer is always a matrix.
    pub async fn range(
        &self,
        q: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        ctx: &QueryContext,
    ) -> Result<Answer, Error> {
        let _ = (start_ms, end_ms, step_ms, ctx);
        parse(q, &self.options.parser())?;
        Err(Error::NotYetSupported { what: "evaluation".to_owned() })
    }
}
