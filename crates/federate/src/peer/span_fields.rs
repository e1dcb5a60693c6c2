//! Conditions on fields of spans, and lists of fields and their values, as messages and back.

use contract::{
    Comparison, Error, QueryLimits, Result, SpanCondition, SpanField, SpanKeysRequest, SpanParts,
    SpanPattern, SpanScope, SpanTest, SpanValue, SpanValuesRequest,
};
use model::{SpanKind, StatusCode};
use proto::peer as pb;

use super::{
    convert::{limit_from, limit_to, scope_from, scope_to},
    pack::{Parts, pieces},
};

/// Conditions of one question.
const MAX_CONDITIONS: usize = 10_000;
/// Keys of attributes that one question wants.
const MAX_WANTED: usize = 10_000;

const COMPARISONS: [(Comparison, pb::span_comparison::Op); 6] = [
    (Comparison::Equal, pb::span_comparison::Op::Equal),
    (Comparison::NotEqual, pb::span_comparison::Op::NotEqual),
    (Comparison::Less, pb::span_comparison::Op::Less),
    (Comparison::LessOrEqual, pb::span_comparison::Op::LessOrEqual),
    (Comparison::Greater, pb::span_comparison::Op::Greater),
    (Comparison::GreaterOrEqual, pb::span_comparison::Op::GreaterOrEqual),
];

const SCOPES: [(SpanScope, pb::SpanScope); 6] = [
    (SpanScope::Any, pb::SpanScope::Any),
    (SpanScope::Span, pb::SpanScope::Span),
    (SpanScope::Resource, pb::SpanScope::Resource),
    (SpanScope::Instrumentation, pb::SpanScope::Instrumentation),
    (SpanScope::Event, pb::SpanScope::Event),
    (SpanScope::Link, pb::SpanScope::Link),
];

fn intrinsics() -> [(SpanField, pb::span_field::Intrinsic); 16] {
    use pb::span_field::Intrinsic;
    [
        (SpanField::Name, Intrinsic::Name),
        (SpanField::Kind, Intrinsic::Kind),
        (SpanField::Status, Intrinsic::Status),
        (SpanField::StatusMessage, Intrinsic::StatusMessage),
        (SpanField::Duration, Intrinsic::Duration),
        (SpanField::TraceId, Intrinsic::TraceId),
        (SpanField::SpanId, Intrinsic::SpanId),
        (SpanField::ParentId, Intrinsic::ParentId),
        (SpanField::Root, Intrinsic::Root),
        (SpanField::TraceState, Intrinsic::TraceState),
        (SpanField::ScopeName, Intrinsic::ScopeName),
        (SpanField::ScopeVersion, Intrinsic::ScopeVersion),
        (SpanField::EventName, Intrinsic::EventName),
        (SpanField::EventOffset, Intrinsic::EventOffset),
        (SpanField::LinkTraceId, Intrinsic::LinkTraceId),
        (SpanField::LinkSpanId, Intrinsic::LinkSpanId),
    ]
}

fn unknown(what: &str) -> Error {
    Error::invalid(format!("{what} is of a kind this version does not know"))
}

fn scope_no(scope: SpanScope) -> i32 {
    SCOPES.iter().find(|(ours, _)| *ours == scope).map_or(pb::SpanScope::Any, |(_, theirs)| *theirs).into()
}

fn scope_of(no: i32) -> Result<SpanScope> {
    let found = SCOPES.iter().find(|(_, theirs)| i32::from(*theirs) == no);
    found.map(|(ours, _)| *ours).ok_or_else(|| unknown("a scope of attributes"))
}

fn field_to(field: &SpanField) -> pb::SpanField {
    use pb::span_field::{Field, Intrinsic};
    let field = match field {
        SpanField::Attribute(scope, key) => {
            Field::Attribute(pb::SpanKey { scope: scope_no(*scope), key: key.clone() })
        }
        other => {
            let known = intrinsics().into_iter().find(|(ours, _)| ours == other);
            Field::Intrinsic(known.map_or(Intrinsic::Name, |(_, theirs)| theirs).into())
        }
    };
    pb::SpanField { field: Some(field) }
}

fn field_from(field: Option<pb::SpanField>) -> Result<SpanField> {
    use pb::span_field::Field;
    match field.and_then(|f| f.field) {
        Some(Field::Attribute(k)) => Ok(SpanField::Attribute(scope_of(k.scope)?, k.key)),
        Some(Field::Intrinsic(no)) => {
            let known = intrinsics().into_iter().find(|(_, theirs)| i32::from(*theirs) == no);
            known.map(|(ours, _)| ours).ok_or_else(|| unknown("a field of spans"))
        }
        None => Err(unknown("a field of spans")),
    }
}

fn value_to(value: &SpanValue) -> pb::SpanValue {
    use pb::span_value::Value;
    let value = match value {
        SpanValue::Text(s) => Value::Text(s.clone()),
        SpanValue::Int(i) => Value::Int(*i),
        SpanValue::Float(f) => Value::Float(*f),
        SpanValue::Bool(b) => Value::Bool(*b),
        SpanValue::Status(s) => Value::Status(*s as i32),
        SpanValue::Kind(k) => Value::Kind(k.number()),
    };
    pb::SpanValue { value: Some(value) }
}

fn value_from(value: Option<pb::SpanValue>) -> Result<SpanValue> {
    use pb::span_value::Value;
    Ok(match value.and_then(|v| v.value).ok_or_else(|| unknown("a value of spans"))? {
        Value::Text(s) => SpanValue::Text(s),
        Value::Int(i) => SpanValue::Int(i),
        Value::Float(f) => SpanValue::Float(f),
        Value::Bool(b) => SpanValue::Bool(b),
        Value::Status(0) => SpanValue::Status(StatusCode::Unset),
        Value::Status(1) => SpanValue::Status(StatusCode::Ok),
        Value::Status(2) => SpanValue::Status(StatusCode::Error),
        Value::Status(_) => return Err(unknown("a status of spans")),
        Value::Kind(k) => SpanValue::Kind(SpanKind::from_number(k)),
    })
}

fn condition_to(c: &SpanCondition) -> pb::SpanCondition {
    use pb::span_condition::Test;
    let op = |how: Comparison| {
        let known = COMPARISONS.iter().find(|(ours, _)| *ours == how);
        known.map_or(pb::span_comparison::Op::Equal, |(_, theirs)| *theirs)
    };
    let test = match &c.test {
        SpanTest::Exists => Test::Exists(true),
        SpanTest::Absent => Test::Exists(false),
        SpanTest::Is(how, value) => {
            Test::Is(pb::SpanComparison { op: op(*how).into(), value: Some(value_to(value)) })
        }
        SpanTest::Matches(p) => Test::Matches(p.as_str().to_owned()),
        SpanTest::MatchesNot(p) => Test::MatchesNot(p.as_str().to_owned()),
    };
    pb::SpanCondition { field: Some(field_to(&c.field)), test: Some(test) }
}

fn condition_from(c: pb::SpanCondition) -> Result<SpanCondition> {
    use pb::span_condition::Test;
    let field = field_from(c.field)?;
    let test = match c.test.ok_or_else(|| unknown("a condition on spans"))? {
        Test::Exists(true) => SpanTest::Exists,
        Test::Exists(false) => SpanTest::Absent,
        Test::Is(c) => {
            let known = COMPARISONS.iter().find(|(_, theirs)| i32::from(*theirs) == c.op);
            let (how, _) = known.ok_or_else(|| unknown("a comparison of spans"))?;
            SpanTest::Is(*how, value_from(c.value)?)
        }
        Test::Matches(p) => SpanTest::Matches(SpanPattern::new(p)?),
        Test::MatchesNot(p) => SpanTest::MatchesNot(SpanPattern::new(p)?),
    };
    Ok(SpanCondition { field, test })
}

pub(super) fn any_of_to(any_of: &[Vec<SpanCondition>]) -> Vec<pb::SpanConditions> {
    let all = |all: &Vec<SpanCondition>| pb::SpanConditions { all: all.iter().map(condition_to).collect() };
    any_of.iter().map(all).collect()
}

pub(super) fn any_of_from(any_of: Vec<pb::SpanConditions>) -> Result<Vec<Vec<SpanCondition>>> {
    let count = any_of.iter().map(|all| all.all.len() + 1).sum::<usize>();
    if count > MAX_CONDITIONS {
        return Err(Error::invalid(format!(
            "any_of has {count} conditions, at most {MAX_CONDITIONS} are taken"
        )));
    }
    any_of.into_iter().map(|all| all.all.into_iter().map(condition_from).collect()).collect()
}

pub(super) fn parts_to(parts: &SpanParts) -> pb::SpanParts {
    pb::SpanParts {
        some_attributes: parts.attributes.is_some(),
        attributes: parts.attributes.iter().flatten().cloned().collect(),
        without_events: !parts.events,
        without_links: !parts.links,
    }
}

/// What cannot be told apart comes whole.
pub(super) fn parts_from(parts: Option<pb::SpanParts>) -> SpanParts {
    let Some(p) = parts else { return SpanParts::everything() };
    let some = p.some_attributes && p.attributes.len() <= MAX_WANTED;
    SpanParts {
        attributes: some.then(|| p.attributes.into_iter().collect()),
        events: !p.without_events,
        links: !p.without_links,
    }
}

pub(super) fn keys_to(r: &SpanKeysRequest) -> pb::SpanKeysRequest {
    let (scope, of) = (Some(scope_to(&r.scope)), scope_no(r.of));
    pb::SpanKeysRequest { scope, of, limit: limit_to(r.limit) }
}

pub(super) fn keys_from(r: pb::SpanKeysRequest, own: &QueryLimits) -> Result<SpanKeysRequest> {
    let (scope, of) = (scope_from(r.scope, own)?, scope_of(r.of)?);
    Ok(SpanKeysRequest { scope, of, limit: limit_from(r.limit) })
}

pub(super) fn values_to(r: &SpanValuesRequest) -> pb::SpanValuesRequest {
    pb::SpanValuesRequest {
        scope: Some(scope_to(&r.scope)),
        field: Some(field_to(&r.field)),
        any_of: any_of_to(&r.any_of),
        limit: limit_to(r.limit),
    }
}

pub(super) fn values_from(r: pb::SpanValuesRequest, own: &QueryLimits) -> Result<SpanValuesRequest> {
    Ok(SpanValuesRequest {
        scope: scope_from(r.scope, own)?,
        field: field_from(r.field)?,
        any_of: any_of_from(r.any_of)?,
        limit: limit_from(r.limit),
    })
}

pub(super) fn heap_bytes(fields: &pb::SpanFields) -> usize {
    let text = |v: &pb::SpanValue| match &v.value {
        Some(pb::span_value::Value::Text(s)) => s.len(),
        _ => 0,
    };
    let keys = fields.keys.iter().map(|k| k.key.len() + size_of::<pb::SpanKey>());
    keys.sum::<usize>() + fields.values.iter().map(|v| text(v) + size_of::<pb::SpanValue>()).sum::<usize>()
}

fn part(fields: pb::SpanFields) -> pb::Part {
    pb::Part { part: Some(pb::part::Part::SpanFields(fields)) }
}

pub(super) fn pack_keys(keys: Vec<(SpanScope, String)>) -> Result<Parts> {
    let runs = pieces(keys, |(_, key)| key.len() + 16).into_iter();
    let key = |(scope, key)| pb::SpanKey { scope: scope_no(scope), key };
    Ok(runs
        .map(|(run, _)| pb::SpanFields { keys: run.into_iter().map(key).collect(), values: Vec::new() })
        .map(part)
        .collect())
}

pub(super) fn unpack_keys(fields: pb::SpanFields) -> Result<Vec<(SpanScope, String)>> {
    fields.keys.into_iter().map(|k| Ok((scope_of(k.scope)?, k.key))).collect()
}

pub(super) fn pack_values(values: Vec<SpanValue>) -> Result<Parts> {
    let bytes = |v: &SpanValue| if let SpanValue::Text(s) = v { s.len() + 16 } else { 16 };
    let runs = pieces(values, bytes).into_iter();
    Ok(runs
        .map(|(run, _)| pb::SpanFields { keys: Vec::new(), values: run.iter().map(value_to).collect() })
        .map(part)
        .collect())
}

pub(super) fn unpack_values(fields: pb::SpanFields) -> Result<Vec<SpanValue>> {
    fields.values.into_iter().map(|v| value_from(Some(v))).collect()
}

#[cfg(test)]
mod tests;
