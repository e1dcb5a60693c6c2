//! Values written in a query.

use std::borrow::Cow;

use model::{SpanKind, StatusCode};

use super::Parser;
use crate::{lex::Token, value::Value};

impl Parser<'_> {
    /// The value that the next token is.
    pub(super) fn literal(&self) -> Option<Value<'static>> {
        Some(match self.peek() {
            Token::Str(s) => Value::Str(Cow::Owned(s.clone())),
            Token::Int(i) => Value::Int(*i),
            Token::Float(v) => Value::Float(*v),
            Token::Duration(d) => Value::Duration(*d),
            Token::Word(w) => return word(w),
            _ => return None,
        })
    }
}

fn word(word: &str) -> Option<Value<'static>> {
    let kind = |k: SpanKind| (k.as_str() == word).then_some(Value::Kind(k));
    Some(match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "nil" => Value::Nil,
        "ok" => Value::Status(StatusCode::Ok),
        "error" => Value::Status(StatusCode::Error),
        "unset" => Value::Status(StatusCode::Unset),
        "minInt" => Value::Int(i64::MIN),
        "maxInt" => Value::Int(i64::MAX),
        _ => return (0..=5).map(SpanKind::from_number).find_map(kind),
    })
}
