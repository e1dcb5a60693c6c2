//! Record batches to spans.

use arrow::{
    array::RecordBatch,
    datatypes::{TimestampNanosecondType, UInt8Type, UInt32Type},
};
use model::{AnyValue, Attributes, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode};

use contract::SpanParts;

use super::{Layout, Selection};
use crate::{
    Result,
    arrays::{Dictionary, at, primitive, str_at, strings},
    attrs,
    file::File,
    logs::decode::Ids,
    origin, text,
};

/// Columns the conditions of a selection look at.
pub(super) fn filter_columns(s: &Selection) -> Vec<&'static str> {
    let mut names = vec!["start"];
    let mut add = |wanted: bool, name| {
        if wanted {
            names.push(name);
        }
    };
    add(s.service.is_some(), "service");
    add(s.name.is_some(), "name");
    add(s.kind.is_some(), "kind");
    add(s.min_duration_ns.is_some() || s.max_duration_ns.is_some(), "end");
    add(s.error.is_some(), "status_code");
    names
}

/// Which rows of a batch satisfy the conditions on columns.
pub(super) fn mask(file: &File, batch: &RecordBatch, s: &Selection) -> Result<Vec<bool>> {
    let start = primitive::<TimestampNanosecondType>(file, batch, "start")?;
    let mut mask: Vec<bool> = (0..batch.num_rows())
        .map(|row| at(start, row).is_some_and(|t| s.range.contains(model::TimestampNs(t))))
        .collect();
    let mut and = |accepted: Vec<bool>| mask.iter_mut().zip(accepted).for_each(|(m, a)| *m &= a);
    for (name, wanted) in [("service", &s.service), ("name", &s.name)] {
        if let Some(wanted) = wanted {
            and(Dictionary::of(file, batch, name)?.map_rows(false, |v| v == wanted));
        }
    }
    let codes = |name: &str, accept: &dyn Fn(u8) -> bool| -> Result<Vec<bool>> {
        let column = primitive::<UInt8Type>(file, batch, name)?;
        Ok((0..batch.num_rows()).map(|row| at(column, row).is_some_and(accept)).collect())
    };
    if let Some(kind) = s.kind {
        and(codes("kind", &|k| SpanKind::from_number(i32::from(k)) == kind)?);
    }
    if let Some(error) = s.error {
        and(codes("status_code", &|c| (c == StatusCode::Error as u8) == error)?);
    }
    if s.min_duration_ns.is_some() || s.max_duration_ns.is_some() {
        let end = primitive::<TimestampNanosecondType>(file, batch, "end")?;
        let long = |row| {
            let duration = at(end, row)?.saturating_sub(at(start, row)?).max(0);
            Some(
                s.min_duration_ns.is_none_or(|d| duration >= d)
                    && s.max_duration_ns.is_none_or(|d| duration <= d),
            )
        };
        and((0..batch.num_rows()).map(|row| long(row).unwrap_or(false)).collect());
    }
    Ok(mask)
}

/// The spans of a batch, with the wanted parts; `origin` is the number in the segment's table.
pub(super) fn spans(
    file: &File,
    layout: &Layout,
    batch: &RecordBatch,
    wanted: &SpanParts,
) -> Result<Vec<Span>> {
    let trace_id = Ids::<16>::of(file, batch, "trace_id")?;
    let span_id = Ids::<8>::of(file, batch, "span_id")?;
    let parent_span_id = Ids::<8>::of(file, batch, "parent_span_id")?;
    let name = Dictionary::of(file, batch, "name")?;
    let trace_state = Dictionary::of(file, batch, "trace_state")?;
    let kind = primitive::<UInt8Type>(file, batch, "kind")?;
    let status_code = primitive::<UInt8Type>(file, batch, "status_code")?;
    let start = primitive::<TimestampNanosecondType>(file, batch, "start")?;
    let end = primitive::<TimestampNanosecondType>(file, batch, "end")?;
    let message = strings(file, batch, "status_message")?;
    let texts = |name, read: bool| read.then(|| strings(file, batch, name)).transpose();
    let (event_lists, link_lists) = (texts("events", wanted.events)?, texts("links", wanted.links)?);
    let count = |name| primitive::<UInt32Type>(file, batch, name);
    let (flags, origin) = (count("flags")?, count("origin")?);
    let (dropped_attributes, dropped_events, dropped_links) =
        (count("dropped_attributes")?, count("dropped_events")?, count("dropped_links")?);
    let time = |a, row| at(a, row).ok_or_else(|| file.corrupt("start and end of each span"));
    let attributes = match &wanted.attributes {
        None => attrs::decode(file, &layout.attributes, batch)?,
        Some(keys) => attrs::decode_some(file, &layout.attributes, batch, keys)?,
    };
    attributes
        .into_iter()
        .enumerate()
        .map(|(row, attributes)| {
            Ok(Span {
                origin: at(origin, row).ok_or_else(|| file.corrupt("an origin for each span"))?,
                trace_id: trace_id.get(row),
                span_id: span_id.get(row),
                parent_span_id: parent_span_id.get(row),
                trace_state: trace_state.get(row).unwrap_or_default().to_owned(),
                flags: at(flags, row).unwrap_or(0),
                name: name.get(row).unwrap_or_default().to_owned(),
                kind: SpanKind::from_number(i32::from(at(kind, row).unwrap_or(0))),
                start_ns: time(start, row)?,
                end_ns: time(end, row)?,
                attributes,
                dropped_attributes: at(dropped_attributes, row).unwrap_or(0),
                events: events(file, event_lists.and_then(|l| str_at(l, row)))?,
                dropped_events: at(dropped_events, row).unwrap_or(0),
                links: links(file, link_lists.and_then(|l| str_at(l, row)))?,
                dropped_links: at(dropped_links, row).unwrap_or(0),
                status: SpanStatus {
                    code: status(at(status_code, row).unwrap_or(0)),
                    message: str_at(message, row).unwrap_or_default().to_owned(),
                },
            })
        })
        .collect()
}

pub(super) fn events(file: &File, json: Option<&str>) -> Result<Vec<SpanEvent>> {
    list(file, "events", json, event)
}

pub(super) fn links(file: &File, json: Option<&str>) -> Result<Vec<SpanLink>> {
    list(file, "links", json, link)
}

pub(super) fn status(code: u8) -> StatusCode {
    match code {
        1 => StatusCode::Ok,
        2 => StatusCode::Error,
        _ => StatusCode::Unset,
    }
}

fn list<T>(
    file: &File,
    column: &str,
    json: Option<&str>,
    decode: impl Fn(&Attributes) -> Option<T>,
) -> Result<Vec<T>> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let bad = |e: &str| file.corrupt(format!("column {column}: {e}"));
    let AnyValue::Array(items) = text::decode(json).map_err(|e| bad(&e))? else {
        return Err(bad("an array"));
    };
    items
        .iter()
        .map(|item| match item {
            AnyValue::Map(a) => decode(a).ok_or_else(|| bad("complete items")),
            _ => Err(bad("objects in its array")),
        })
        .collect()
}

fn event(a: &Attributes) -> Option<SpanEvent> {
    Some(SpanEvent {
        timestamp_ns: origin::integer(a, "ts")?,
        name: origin::string(a, "name"),
        attributes: origin::map(a, "attributes"),
        dropped_attributes: origin::count(a, "dropped"),
    })
}

fn link(a: &Attributes) -> Option<SpanLink> {
    let id = |key| text::unhex(a.get_str(key)?);
    Some(SpanLink {
        trace_id: id("trace_id")?.try_into().ok()?,
        span_id: id("span_id")?.try_into().ok()?,
        trace_state: origin::string(a, "trace_state"),
        attributes: origin::map(a, "attributes"),
        dropped_attributes: origin::count(a, "dropped"),
        flags: origin::count(a, "flags"),
    })
}
