//! Conditions, decided on columns: only what they look at is read, and no span is put together for them.

use std::{cell::RefCell, collections::BTreeSet};

use arrow::{
    array::RecordBatch,
    datatypes::{TimestampNanosecondType, UInt8Type, UInt32Type},
};
use contract::{Comparison, SpanCondition, SpanField, SpanScope, SpanTest, SpanValue, spans::Seen};
use model::{AnyValue, Attributes, SpanKind, span::SpanOrigin};

use super::{Layout, Selection, decode, tables::Keys};
use crate::{
    Result,
    arrays::{Dictionary, at, primitive, str_at, strings},
    attrs::{self, Read as Column, may_have},
    file::File,
    logs::decode::Ids,
    terms::Need,
};

/// What one value of a field is looked at with.
trait Accept {
    fn value(&self, seen: Seen<'_>) -> bool;

    /// The same of an attribute's value.
    fn attribute(&self, value: &AnyValue) -> bool {
        Seen::any_of(value, &mut |seen| self.value(seen))
    }
}

impl Accept for SpanTest {
    fn value(&self, seen: Seen<'_>) -> bool {
        match self {
            // Answered the other way round by whoever asks.
            SpanTest::Absent => true,
            test => test.accepts(seen),
        }
    }
}

/// An attribute that equals a value, or its text.
struct Same<'a>(&'a AnyValue);

impl Accept for Same<'_> {
    fn value(&self, seen: Seen<'_>) -> bool {
        match (seen, self.0) {
            (Seen::Text(t), AnyValue::String(s)) => t == s,
            (Seen::Text(_), _) => false,
            // The text of a number is made only where it can be the one.
            (Seen::Int(i), AnyValue::String(s)) => s.parse() == Ok(i) && i.to_string() == *s,
            (Seen::Int(i), _) => self.attribute(&AnyValue::Int(i)),
            (Seen::Float(f), _) => self.attribute(&AnyValue::Double(f)),
            (Seen::Bool(b), _) => self.attribute(&AnyValue::Bool(b)),
            _ => false,
        }
    }

    fn attribute(&self, value: &AnyValue) -> bool {
        value == self.0 || matches!(self.0, AnyValue::String(s) if value.to_string() == *s)
    }
}

/// Takes in every value and accepts none, so that it is shown all.
struct Collect<'a>(RefCell<&'a mut BTreeSet<SpanValue>>);

impl Accept for Collect<'_> {
    fn value(&self, seen: Seen<'_>) -> bool {
        self.0.borrow_mut().extend(seen.to_value());
        false
    }
}

/// Where a segment has what.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub layout: &'a Layout,
    /// Keys of attributes by where they stand; `None` in segments that do not say.
    pub keys: Option<&'a Keys>,
}

impl Shape<'_> {
    /// Whether an attribute of a scope may stand in one place. Most keys stand in one, and lists of events are much
    /// text to look through.
    fn may_stand(&self, scope: SpanScope, key: &str, one: SpanScope) -> bool {
        scope.takes_in(one) && self.keys.is_none_or(|k| k.contains(&(one, key.to_owned())))
    }
}

/// The columns that the conditions of a selection look at beside those of [`decode::filter_columns`].
pub(super) fn columns(shape: Shape<'_>, s: &Selection) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for c in s.any_of.iter().flatten() {
        add_columns(shape, &c.field, &mut out);
    }
    for (key, _) in &s.attributes {
        add_columns(shape, &SpanField::Attribute(SpanScope::Any, key.clone()), &mut out);
    }
    out
}

pub(super) fn add_columns(shape: Shape<'_>, field: &SpanField, out: &mut BTreeSet<String>) {
    let mut add = |names: &[&str]| out.extend(names.iter().map(|n| (*n).to_owned()));
    match field {
        SpanField::Attribute(scope, key) => {
            let is = |one| shape.may_stand(*scope, key, one);
            if is(SpanScope::Resource) || is(SpanScope::Instrumentation) {
                add(&["origin"]);
            }
            if is(SpanScope::Event) {
                add(&["events"]);
            }
            if is(SpanScope::Link) {
                add(&["links"]);
            }
            if is(SpanScope::Span) {
                add(&[attrs::REST]);
                out.extend(shape.layout.attributes.column(key).map(|c| c.name()));
            }
        }
        SpanField::Name => add(&["name"]),
        SpanField::Kind => add(&["kind"]),
        SpanField::Status => add(&["status_code"]),
        SpanField::StatusMessage => add(&["status_message"]),
        SpanField::Duration => add(&["end"]),
        SpanField::TraceId => add(&["trace_id"]),
        SpanField::SpanId => add(&["span_id"]),
        SpanField::ParentId | SpanField::Root => add(&["parent_span_id"]),
        SpanField::TraceState => add(&["trace_state"]),
        SpanField::ScopeName | SpanField::ScopeVersion => add(&["origin"]),
        SpanField::EventName | SpanField::EventOffset => add(&["events"]),
        SpanField::LinkTraceId | SpanField::LinkSpanId => add(&["links"]),
    }
}

/// A batch of rows with the columns that are looked at.
pub(super) struct Looked<'a> {
    pub file: &'a File,
    pub shape: Shape<'a>,
    pub origins: &'a [SpanOrigin],
    pub batch: &'a RecordBatch,
}

impl Looked<'_> {
    /// Takes from `mask` the rows that do not meet the conditions.
    pub fn sift(&self, s: &Selection, mask: &mut [bool]) -> Result<()> {
        for (key, value) in &s.attributes {
            let met = self.attribute(SpanScope::Any, key, &Same(value))?;
            mask.iter_mut().zip(met).for_each(|(m, met)| *m &= met);
        }
        if s.any_of.is_empty() || s.any_of.iter().any(Vec::is_empty) {
            return Ok(());
        }
        let mut any = vec![false; mask.len()];
        for all in s.any_of.iter() {
            let mut met = mask.to_vec();
            for c in all {
                let accepted = self.field(&c.field, &c.test)?;
                let absent = c.test == SpanTest::Absent;
                met.iter_mut().zip(accepted).for_each(|(m, a)| *m &= a != absent);
            }
            any.iter_mut().zip(met).for_each(|(a, m)| *a |= m);
        }
        mask.copy_from_slice(&any);
        Ok(())
    }

    /// Adds the values that a field has in any row.
    pub fn values(&self, field: &SpanField, values: &mut BTreeSet<SpanValue>) -> Result<()> {
        let collect = Collect(RefCell::new(values));
        self.field(field, &collect).map(drop)
    }

    /// Of each row whether the field has a value that is accepted.
    fn field(&self, field: &SpanField, accept: &dyn Accept) -> Result<Vec<bool>> {
        let (file, batch) = (self.file, self.batch);
        let codes = |name: &str, look: &dyn Fn(u8) -> bool| -> Result<Vec<bool>> {
            let column = primitive::<UInt8Type>(file, batch, name)?;
            let mut known = [None; 256];
            Ok(self.rows(|row| {
                let code = at(column, row);
                code.is_some_and(|c| *known[usize::from(c)].get_or_insert_with(|| look(c)))
            }))
        };
        let text = |seen: &str| !seen.is_empty() && accept.value(Seen::Text(seen));
        match field {
            SpanField::Attribute(scope, key) => self.attribute(*scope, key, accept),
            SpanField::Name => {
                let column = Dictionary::of(file, batch, "name")?;
                Ok(column.map_rows(false, |name| accept.value(Seen::Text(name))))
            }
            SpanField::Kind => {
                codes("kind", &|c| accept.value(Seen::Kind(SpanKind::from_number(i32::from(c)))))
            }
            SpanField::Status => codes("status_code", &|c| accept.value(Seen::Status(decode::status(c)))),
            SpanField::StatusMessage => {
                let column = strings(file, batch, "status_message")?;
                Ok(self.rows(|row| str_at(column, row).is_some_and(text)))
            }
            SpanField::Duration => {
                let start = primitive::<TimestampNanosecondType>(file, batch, "start")?;
                let end = primitive::<TimestampNanosecondType>(file, batch, "end")?;
                let duration = |row| Some(at(end, row)?.saturating_sub(at(start, row)?).max(0));
                Ok(self.rows(|row| duration(row).is_some_and(|d| accept.value(Seen::Int(d)))))
            }
            SpanField::TraceId => self.ids::<16>("trace_id", accept),
            SpanField::SpanId => self.ids::<8>("span_id", accept),
            SpanField::ParentId => {
                let ids = Ids::<8>::of(file, batch, "parent_span_id")?;
                let look = |id: [u8; 8]| id != [0; 8] && accept.value(Seen::Text(&hex(&id)));
                Ok(self.rows(|row| look(ids.get(row))))
            }
            SpanField::Root => {
                let ids = Ids::<8>::of(file, batch, "parent_span_id")?;
                Ok(self.rows(|row| accept.value(Seen::Bool(ids.get(row) == [0; 8]))))
            }
            SpanField::TraceState => {
                let column = Dictionary::of(file, batch, "trace_state")?;
                Ok(column.map_rows(false, text))
            }
            SpanField::ScopeName => self.by_origin(|o| text(&o.scope.name)),
            SpanField::ScopeVersion => self.by_origin(|o| text(&o.scope.version)),
            SpanField::EventName | SpanField::EventOffset => self.events(field, accept),
            SpanField::LinkTraceId | SpanField::LinkSpanId => self.links(field, accept),
        }
    }

    fn rows(&self, f: impl FnMut(usize) -> bool) -> Vec<bool> {
        (0..self.batch.num_rows()).map(f).collect()
    }

    fn ids<const N: usize>(&self, name: &str, accept: &dyn Accept) -> Result<Vec<bool>> {
        let ids = Ids::<N>::of(self.file, self.batch, name)?;
        Ok(self.rows(|row| accept.value(Seen::Text(&hex(&ids.get(row))))))
    }

    fn by_origin(&self, look: impl Fn(&SpanOrigin) -> bool) -> Result<Vec<bool>> {
        let column = primitive::<UInt32Type>(self.file, self.batch, "origin")?;
        let mut known = vec![None; self.origins.len()];
        Ok(self.rows(|row| {
            let Some(n) = at(column, row).map(|n| n as usize) else { return false };
            match (known.get_mut(n), self.origins.get(n)) {
                (Some(known), Some(origin)) => *known.get_or_insert_with(|| look(origin)),
                _ => false,
            }
        }))
    }

    fn attribute(&self, scope: SpanScope, key: &str, accept: &dyn Accept) -> Result<Vec<bool>> {
        let of = |a: &Attributes| a.iter().any(|(k, v)| k == key && accept.attribute(v));
        let is = |one| self.shape.may_stand(scope, key, one);
        let mut found = vec![false; self.batch.num_rows()];
        let mut or = |more: Vec<bool>| found.iter_mut().zip(more).for_each(|(f, m)| *f |= m);
        if is(SpanScope::Resource) {
            or(self.by_origin(|o| of(&o.resource.attributes))?);
        }
        if is(SpanScope::Instrumentation) {
            or(self.by_origin(|o| of(&o.scope.attributes))?);
        }
        if is(SpanScope::Span) {
            or(self.own(key, accept)?);
        }
        if is(SpanScope::Event) {
            let look = |e: &model::SpanEvent| of(&e.attributes);
            or(self.listed("events", Some(key), |_, json| {
                Ok(decode::events(self.file, Some(json))?.iter().any(look))
            })?);
        }
        if is(SpanScope::Link) {
            let look = |l: &model::SpanLink| of(&l.attributes);
            or(self.listed("links", Some(key), |_, json| {
                Ok(decode::links(self.file, Some(json))?.iter().any(look))
            })?);
        }
        Ok(found)
    }

    /// Attributes of the spans themselves.
    fn own(&self, key: &str, accept: &dyn Accept) -> Result<Vec<bool>> {
        let mut found = match self.shape.layout.attributes.column(key) {
            None => vec![false; self.batch.num_rows()],
            Some(c) => match Column::of(self.file, self.batch, c)? {
                Column::Text(d) => d.map_rows(false, |text| accept.value(Seen::Text(text))),
                Column::Int(a) => {
                    let mut last = None;
                    self.rows(|row| {
                        at(a, row).is_some_and(|v| once(&mut last, v, || accept.value(Seen::Int(v))))
                    })
                }
                Column::Float(a) => self.rows(|row| at(a, row).is_some_and(|v| accept.value(Seen::Float(v)))),
                other @ Column::Bool(_) => {
                    self.rows(|row| other.get(row).is_some_and(|v| accept.attribute(&v)))
                }
            },
        };
        let rest = strings(self.file, self.batch, attrs::REST)?;
        for (row, found) in found.iter_mut().enumerate().filter(|(_, f)| !**f) {
            let Some(json) = str_at(rest, row).filter(|json| may_have(json, key)) else { continue };
            let pairs = crate::text::decode_pairs(json);
            let pairs = pairs.map_err(|e| self.file.corrupt(format!("{}: {e}", attrs::REST)))?;
            *found = pairs.iter().any(|(k, v)| k == key && accept.attribute(v));
        }
        Ok(found)
    }

    fn events(&self, field: &SpanField, accept: &dyn Accept) -> Result<Vec<bool>> {
        let start = primitive::<TimestampNanosecondType>(self.file, self.batch, "start")?;
        self.listed("events", None, |row, json| {
            let began = at(start, row).unwrap_or_default();
            let look = |e: &model::SpanEvent| match field {
                SpanField::EventName => accept.value(Seen::Text(&e.name)),
                _ => accept.value(Seen::Int(e.timestamp_ns.saturating_sub(began))),
            };
            Ok(decode::events(self.file, Some(json))?.iter().any(look))
        })
    }

    fn links(&self, field: &SpanField, accept: &dyn Accept) -> Result<Vec<bool>> {
        self.listed("links", None, |_, json| {
            let look = |l: &model::SpanLink| match field {
                SpanField::LinkTraceId => accept.value(Seen::Text(&hex(&l.trace_id))),
                _ => accept.value(Seen::Text(&hex(&l.span_id))),
            };
            Ok(decode::links(self.file, Some(json))?.iter().any(look))
        })
    }

    /// Looks at lists that are not empty, and can have the key where there is one.
    fn listed(
        &self,
        column: &str,
        key: Option<&str>,
        look: impl Fn(usize, &str) -> Result<bool>,
    ) -> Result<Vec<bool>> {
        let lists = strings(self.file, self.batch, column)?;
        let one = |row| match str_at(lists, row).filter(|json| key.is_none_or(|k| may_have(json, k))) {
            Some(json) => look(row, json),
            None => Ok(false),
        };
        (0..self.batch.num_rows()).map(one).collect()
    }
}

/// The verdict on a value, asked for where it differs from the last one: most repeat, as codes of answers do.
fn once(last: &mut Option<(i64, bool)>, value: i64, verdict: impl FnOnce() -> bool) -> bool {
    match *last {
        Some((known, verdict)) if known == value => verdict,
        _ => last.insert((value, verdict())).1,
    }
}

/// Origins are terms under this name, by their numbers.
pub(super) const ORIGIN: &str = "span origin";

/// Terms without which no row of the segment is selected.
pub(super) fn need(s: &Selection, origins: &[SpanOrigin]) -> Need {
    let all = s.attributes.iter().map(|(key, value)| {
        let field = SpanField::Attribute(SpanScope::Any, key.clone());
        attribute_need(&field, SpanScope::Any, key, Some(value.to_string()), &Same(value), origins)
    });
    let service = s.service.as_ref().map(|name| origin_need(origins, |o| o.service_name() == name));
    let name = s.name.as_ref().map(|name| Need::field(NAME, name));
    let alternatives: Vec<Need> =
        s.any_of.iter().map(|all| Need::all(all.iter().map(|c| condition_need(c, origins)))).collect();
    let one = if alternatives.is_empty() { Need::Any } else { Need::one_of(alternatives) };
    Need::all(all.chain(service).chain(name).chain([one]).collect::<Vec<_>>())
}

/// The name of a span is a term under this name.
pub(super) const NAME: &str = "span name";

fn condition_need(c: &SpanCondition, origins: &[SpanOrigin]) -> Need {
    let wanted = match &c.test {
        SpanTest::Is(Comparison::Equal, value) => text_of(value),
        _ => None,
    };
    match &c.field {
        SpanField::Attribute(scope, key) if c.test != SpanTest::Absent => {
            attribute_need(&c.field, *scope, key, wanted, &c.test, origins)
        }
        SpanField::Name => wanted.map_or(Need::Any, |name| Need::field(NAME, &name)),
        SpanField::EventName => wanted.map_or(Need::Any, |name| Need::field(EVENT, &name)),
        _ => Need::Any,
    }
}

/// Names of events are terms under this name.
pub(super) const EVENT: &str = "event name";

fn attribute_need(
    field: &SpanField,
    scope: SpanScope,
    key: &str,
    wanted: Option<String>,
    accept: &dyn Accept,
    origins: &[SpanOrigin],
) -> Need {
    let of = |a: &Attributes| a.iter().any(|(k, v)| k == key && accept.attribute(v));
    let by_origin = |o: &SpanOrigin| {
        scope.takes_in(SpanScope::Resource) && of(&o.resource.attributes)
            || scope.takes_in(SpanScope::Instrumentation) && of(&o.scope.attributes)
    };
    if field.is_of_origin() {
        return origin_need(origins, by_origin);
    }
    let Some(wanted) = wanted else { return Need::Any };
    let own = Need::field(key, &wanted);
    if scope != SpanScope::Any || !origins.iter().any(by_origin) {
        return own;
    }
    match origin_need(origins, by_origin) {
        Need::OneOf(mut all) => {
            all.push(own);
            Need::one_of(all)
        }
        other => Need::one_of(vec![other, own]),
    }
}

/// One of the origins that pass; [`Need::Any`] where they are many. A term that nothing has where none does.
fn origin_need(origins: &[SpanOrigin], passes: impl Fn(&SpanOrigin) -> bool) -> Need {
    let passing: Vec<Need> = origins
        .iter()
        .enumerate()
        .filter(|(_, o)| passes(o))
        .map(|(n, _)| Need::field(ORIGIN, &n.to_string()))
        .collect();
    if passing.is_empty() { Need::field(ORIGIN, "none") } else { Need::one_of(passing) }
}

/// The text under which an equal value of an attribute is a term, where equal values have one text.
fn text_of(value: &SpanValue) -> Option<String> {
    match value {
        SpanValue::Text(s) => Some(s.clone()),
        SpanValue::Int(i) if i.unsigned_abs() < 1 << 53 && *i != 0 => Some(i.to_string()),
        SpanValue::Float(f) if f.abs() < (1u64 << 53) as f64 && *f != 0.0 => {
            Some(AnyValue::Double(*f).to_string())
        }
        SpanValue::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}
