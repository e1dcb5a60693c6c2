//! Spans that pass what is certain of a query somebody is still writing, for lists of names and values that fit it.
//!
//! A list over all that is kept would have to read all that is kept; what is seen in the newest traces is what people
//! choose from. Of an unfinished query the conditions that can be read count, and of nonsense none.

use contract::{Coverage, Scope, Select, SpansRequest};
use futures::StreamExt;
use model::{Span, span::SpanOrigin};
use traceql::{Query, SpanTest, lenient};

use super::params::short_enough;
use crate::Error;

/// Traces that are looked at, the newest that fit. More: rarer names and values, for more time. Fewer: the opposite.
const NEWEST_TRACES: usize = 1000;

/// What a query asks of single spans; `None` where it asks nothing of them.
pub(super) fn filter(text: &str) -> Result<Option<Query>, Error> {
    short_enough(text)?;
    let read = lenient(text.trim());
    Ok((Some(&read) != traceql::parse("{}").ok().as_ref()).then_some(read))
}

/// One reading.
pub(super) struct Fitting {
    test: SpanTest,
    /// Of the spans that were read.
    pub bytes: u64,
    pub coverage: Coverage,
}

impl Fitting {
    pub fn new(query: &Query) -> Self {
        Fitting { test: SpanTest::of(query), bytes: 0, coverage: Coverage::default() }
    }

    /// Calls `each` for spans that pass.
    pub async fn read(
        &mut self,
        select: &dyn Select,
        scope: Scope,
        mut each: impl FnMut(&Span, &SpanOrigin) + Send,
    ) -> Result<(), Error> {
        let request = SpansRequest {
            filters: self.test.filters(),
            any_of: self.test.any_of(),
            max_traces: Some(NEWEST_TRACES),
            ..SpansRequest::new(scope)
        };
        let mut found = select.spans(request).await?;
        while let Some(batch) = found.items.next().await {
            let batch = batch?;
            for span in &batch.spans {
                let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
                self.bytes += span.heap_bytes() as u64;
                if self.test.passes(span, origin) {
                    each(span, origin);
                }
            }
        }
        self.coverage.merge(found.coverage());
        Ok(())
    }
}
