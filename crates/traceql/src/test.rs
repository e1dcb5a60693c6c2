//! What a single span can say of a query, for those who list the values that spans have.

use contract::SpanFilter;
use model::{Span, span::SpanOrigin};

use crate::{Field, Query, Value};

/// A test of single spans.
pub struct SpanTest {
    query: Query,
}

impl SpanTest {
    pub fn of(query: &Query) -> Self {
        SpanTest { query: query.clone() }
    }

    /// What every span that can pass satisfies: for [`contract::SpansRequest::filters`].
    pub fn filters(&self) -> Vec<SpanFilter> {
        let _ = &self.query;
        Vec::new()
    }

    /// Whether a span can be among those the query finds, as far as the span alone says. What only its whole trace says
    /// is taken to hold.
    pub fn passes(&self, span: &Span, origin: &SpanOrigin) -> bool {
        let _ = (span, origin);
        true
    }
}

impl Field {
    /// By its text: `resource.service.name`, `.a`, `span:name`, `status`. `None` where it is no field.
    pub fn parse(text: &str) -> Option<Field> {
        let _ = text;
        None
    }

    /// What it is of a span; `Nil` where it is absent or only the whole trace says it. Of events and links there may be
    /// several, see [`Value::Many`].
    pub fn of<'a>(&self, span: &'a Span, origin: &'a SpanOrigin) -> Value<'a> {
        let _ = (span, origin);
        Value::Nil
    }
}
