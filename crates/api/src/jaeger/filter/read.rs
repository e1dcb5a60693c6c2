//! From a message or its JSON to a filter that is known to make sense; what does not is refused, with what was wrong.

use model::{MatchOp, Matcher};
use proto::jaeger::expression::{
    AttributeReference, Call, Expression, FieldReference, List, NestedReference, Scalar, expression::Term,
};
use serde_json::Value as Json;

use super::{Comparison, Constant, Field, Filter, Level, Nested, OPERATORS, Operand, Predicate, Reference};
use crate::{Error, jaeger::names, params::rfc3339_ns};

impl Filter {
    pub fn read(call: Call) -> Result<Self, Error> {
        predicate(call, None).map(Filter).map_err(|why| Error::invalid(format!("filter: {why}")))
    }

    /// The same from protobuf's JSON: `{"op":"eq","args":[{"attr":{"key":"a"}},{"scalar":{"value":"1"}}]}`.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let unreadable = |why: String| Error::invalid(format!("malformed parameter query.filter: {why}"));
        let json: Json = serde_json::from_str(text).map_err(|e| unreadable(e.to_string()))?;
        Self::read(call_of(&json).map_err(unreadable)?)
    }
}

type Read<T> = Result<T, String>;

/// `bound` is what a `some` around it quantifies over.
fn predicate(call: Call, bound: Option<Nested>) -> Read<Predicate> {
    let Call { op, args } = call;
    if !OPERATORS.contains(&op.as_str()) {
        return Err(format!("unknown operator {op:?}"));
    }
    let count = args.len();
    let wrong = |wanted: &str| format!("{op} takes {wanted}, it has {count}");
    match op.as_str() {
        "and" | "or" if count < 2 => Err(wrong("two or more predicates")),
        "and" => all(args, bound).map(Predicate::All),
        "or" => all(args, bound).map(Predicate::Any),
        "not" => {
            let [p] = <[Expression; 1]>::try_from(args).map_err(|_| wrong("one predicate"))?;
            Ok(Predicate::Not(Box::new(nested_predicate(p, bound)?)))
        }
        "exists" => {
            let [r] = <[Expression; 1]>::try_from(args).map_err(|_| wrong("one reference"))?;
            reference(term(r)?).map(Predicate::Exists)
        }
        _ => {
            let [left, right] = <[Expression; 2]>::try_from(args).map_err(|_| wrong("two arguments"))?;
            binary(&op, term(left)?, term(right)?, bound)
        }
    }
}

fn all(args: Vec<Expression>, bound: Option<Nested>) -> Read<Vec<Predicate>> {
    args.into_iter().map(|p| nested_predicate(p, bound)).collect()
}

fn nested_predicate(e: Expression, bound: Option<Nested>) -> Read<Predicate> {
    match term(e)? {
        Term::Call(call) => predicate(call, bound),
        _ => Err("a predicate is expected where a value stands".to_owned()),
    }
}

fn term(e: Expression) -> Read<Term> {
    e.term.ok_or_else(|| "an argument is empty".to_owned())
}

fn binary(op: &str, left: Term, right: Term, bound: Option<Nested>) -> Read<Predicate> {
    match op {
        "some" => {
            let Term::Nested(NestedReference { level }) = left else {
                return Err("some takes events or links first".to_owned());
            };
            let nested = match level.as_str() {
                "event" => Nested::Events,
                "link" => Nested::Links,
                other => return Err(format!("{other:?} are not events or links")),
            };
            if bound.is_some() {
                return Err("some inside some".to_owned());
            }
            let Term::Call(call) = right else { return Err("some takes a predicate second".to_owned()) };
            Ok(Predicate::Some(nested, Box::new(predicate(call, Some(nested))?)))
        }
        "regex" => {
            let of = reference(left)?;
            let Term::Scalar(Scalar { value, .. }) = right else {
                return Err("regex takes a string second".to_owned());
            };
            // Found anywhere in the text, as RE2 searches.
            let pattern = Matcher::new("filter", MatchOp::Regex, format!("(?s:.*(?:{value}).*)"));
            Ok(Predicate::Regex(of, pattern.map_err(|e| format!("{value:?} is no regular expression: {e}"))?))
        }
        "in" | "not_in" => {
            let of = reference(left)?;
            let Term::List(List { values, r#type }) = right else {
                return Err(format!("{op} takes a list second"));
            };
            if values.is_empty() {
                return Err(format!("{op} takes a list that is not empty"));
            }
            let list = values.into_iter().map(|v| constant(&of, v, &r#type)).collect::<Read<Vec<_>>>()?;
            Ok(if op == "in" { Predicate::In(of, list) } else { Predicate::NotIn(of, list) })
        }
        op => compared(comparison(op)?, left, right),
    }
}

fn comparison(op: &str) -> Read<Comparison> {
    Ok(match op {
        "eq" => Comparison::Eq,
        "ne" => Comparison::Ne,
        "gt" => Comparison::Gt,
        "lt" => Comparison::Lt,
        "gte" => Comparison::Gte,
        "lte" => Comparison::Lte,
        other => return Err(format!("unknown operator {other:?}")),
    })
}

/// The reference comes first, whichever side it was written on.
fn compared(op: Comparison, left: Term, right: Term) -> Read<Predicate> {
    let (op, left, right) = match (left, right) {
        (l @ Term::Scalar(_), r @ (Term::Attr(_) | Term::Field(_))) => (op.reversed(), r, l),
        sides => (op, sides.0, sides.1),
    };
    if let (Term::Scalar(l), Term::Scalar(r)) = (&left, &right) {
        let of = |s: &Scalar| typed(s.value.clone(), &s.r#type).map(Operand::Constant);
        return Ok(Predicate::Compare(op, of(l)?, of(r)?));
    }
    let left = reference(left)?;
    let right = match right {
        Term::Scalar(Scalar { value, r#type }) => Operand::Constant(constant(&left, value, &r#type)?),
        other => Operand::Reference(reference(other)?),
    };
    if let (Reference::Field(l), Operand::Reference(Reference::Field(r))) = (&left, &right)
        && l.holds() != r.holds()
    {
        return Err(format!("{l:?} and {r:?} hold different kinds of values"));
    }
    Ok(Predicate::Compare(op, Operand::Reference(left), right))
}

fn reference(term: Term) -> Read<Reference> {
    match term {
        Term::Attr(AttributeReference { key, .. }) if key.is_empty() => {
            Err("an attribute has no key".to_owned())
        }
        Term::Attr(AttributeReference { key, level }) if level.is_empty() => {
            Ok(Reference::Attribute(None, key))
        }
        Term::Attr(AttributeReference { key, level }) => {
            Ok(Reference::Attribute(Some(level_of(&level)?), key))
        }
        Term::Field(FieldReference { name, level }) => field(&level, &name).map(Reference::Field),
        _ => Err("an attribute or a field is expected".to_owned()),
    }
}

fn level_of(level: &str) -> Read<Level> {
    Ok(match level {
        "span" => Level::Span,
        "resource" => Level::Resource,
        "scope" => Level::Scope,
        "event" => Level::Event,
        "link" => Level::Link,
        other => return Err(format!("unknown level {other:?}")),
    })
}

fn field(level: &str, name: &str) -> Read<Field> {
    Ok(match (level, name) {
        ("span", "traceID") => Field::TraceId,
        ("span", "spanID") => Field::SpanId,
        ("span", "parentSpanID") => Field::ParentSpanId,
        ("span", "traceState") => Field::TraceState,
        ("span", "name") => Field::Name,
        ("span", "kind") => Field::Kind,
        ("span", "startTime") => Field::StartTime,
        ("span", "endTime") => Field::EndTime,
        ("span", "status") => Field::Status,
        ("span", "statusMessage") => Field::StatusMessage,
        ("span", "duration") => Field::Duration,
        ("resource", "service") => Field::Service,
        ("resource", "schemaURL") => Field::ResourceSchemaUrl,
        ("scope", "name") => Field::ScopeName,
        ("scope", "version") => Field::ScopeVersion,
        ("scope", "schemaURL") => return Err("the schema URL of a scope is not kept".to_owned()),
        ("event", "name") => Field::EventName,
        ("event", "time") => Field::EventTime,
        ("event", "timeSinceStart") => Field::EventTimeSinceStart,
        ("link", "traceID") => Field::LinkTraceId,
        ("link", "spanID") => Field::LinkSpanId,
        ("link", "traceState") => Field::LinkTraceState,
        _ => return Err(format!("level {level:?} has no field {name:?}")),
    })
}

/// What kind of value a field holds.
#[derive(PartialEq, Eq)]
enum Holds {
    Text,
    Kind,
    Status,
    Time,
    Duration,
}

impl Field {
    fn holds(self) -> Holds {
        match self {
            Field::StartTime | Field::EndTime | Field::EventTime => Holds::Time,
            Field::Duration | Field::EventTimeSinceStart => Holds::Duration,
            Field::Kind => Holds::Kind,
            Field::Status => Holds::Status,
            _ => Holds::Text,
        }
    }
}

/// A constant opposite a reference: a field says what it has to be.
fn constant(of: &Reference, value: String, declared: &str) -> Read<Constant> {
    let Reference::Field(field) = of else { return typed(value, declared) };
    match field.holds() {
        Holds::Duration => {
            let ns = logql::units::parse_duration(&value);
            ns.map(Constant::Ns).ok_or_else(|| format!("{value:?} is not a duration such as 2s"))
        }
        Holds::Time => {
            rfc3339_ns(&value).map(Constant::Ns).ok_or_else(|| format!("{value:?} is not an RFC 3339 time"))
        }
        Holds::Kind if names::kind(&value).is_none() => Err(format!("{value:?} is not a span kind")),
        Holds::Status if !matches!(value.as_str(), "unset" | "ok" | "error") => {
            Err(format!("{value:?} is not a status: unset, ok or error"))
        }
        Holds::Text | Holds::Kind | Holds::Status => match declared {
            "" | "string" => Ok(Constant::Text(value)),
            other => Err(format!("{field:?} holds text, the constant is declared {other}")),
        },
    }
}

fn typed(value: String, declared: &str) -> Read<Constant> {
    let not = |value: &str| format!("{value:?} is not of type {declared}");
    match declared {
        "" => Ok(Constant::Any(value)),
        "string" => Ok(Constant::Text(value)),
        "int" => value.parse().map(Constant::Int).map_err(|_| not(&value)),
        "double" => value.parse().map(Constant::Double).map_err(|_| not(&value)),
        "bool" => value.parse().map(Constant::Bool).map_err(|_| not(&value)),
        other => Err(format!("unknown type {other:?}")),
    }
}

fn call_of(json: &Json) -> Read<Call> {
    let args = match json.get("args") {
        None => Vec::new(),
        Some(Json::Array(args)) => args.iter().map(expression_of).collect::<Read<_>>()?,
        Some(other) => return Err(format!("args are a list, not {other}")),
    };
    Ok(Call { op: text_of(json, "op")?, args })
}

fn expression_of(json: &Json) -> Read<Expression> {
    let members = json.as_object().ok_or_else(|| format!("{json} is no argument"))?;
    let Some((name, value)) = members.iter().next().filter(|_| members.len() == 1) else {
        return Err(format!("an argument is one of attr, field, nested, scalar, list, call, not {json}"));
    };
    let term = match name.as_str() {
        "attr" => {
            Term::Attr(AttributeReference { key: text_of(value, "key")?, level: text_of(value, "level")? })
        }
        "field" => {
            Term::Field(FieldReference { name: text_of(value, "name")?, level: text_of(value, "level")? })
        }
        "nested" => Term::Nested(NestedReference { level: text_of(value, "level")? }),
        "scalar" => Term::Scalar(Scalar { value: text_of(value, "value")?, r#type: text_of(value, "type")? }),
        "list" => Term::List(List { values: texts_of(value, "values")?, r#type: text_of(value, "type")? }),
        "call" => Term::Call(call_of(value)?),
        other => return Err(format!("unknown argument {other:?}")),
    };
    Ok(Expression { term: Some(term) })
}

fn text_of(json: &Json, name: &str) -> Read<String> {
    match json.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(s)) => Ok(s.clone()),
        Some(other) => Err(format!("{name} is a string, not {other}")),
    }
}

fn texts_of(json: &Json, name: &str) -> Read<Vec<String>> {
    let Some(Json::Array(all)) = json.get(name) else { return Err(format!("{name} are a list")) };
    all.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(|| format!("{v} is no string"))).collect()
}
