//! Spans on their way into a batch, for protocols whose spans name their origin one by one: each origin is kept
//! once, each span is checked, and what breaks a limit is refused with its place in the request.

pub(crate) mod tags;

use std::collections::HashMap;

use model::{
    AnyValue, Attributes, Span, SpanBatch,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};
use xxhash_rust::xxh3::Xxh3;

use crate::{Decoded, Limits, Reason, Refusals, text::quoted};

/// Takes the spans of one request.
pub(crate) struct Gathered<'a> {
    limits: &'a Limits,
    decoded: Decoded<SpanBatch>,
    seen: u64,
    origins: Vec<Origin>,
    /// Where an origin of this content stands.
    known: HashMap<u128, usize>,
    last: usize,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        let batch = SpanBatch::default();
        Gathered {
            limits,
            decoded: Decoded { batch, refused: Refusals::default(), all_timed: true },
            seen: 0,
            origins: Vec::new(),
            known: HashMap::new(),
            last: 0,
        }
    }

    /// Takes the next span of the request, or refuses it; its field `origin` is set here. `timed` where it came with a time.
    pub(crate) fn push(&mut self, resource: &Resource, scope: Scope, mut span: Span, timed: bool) {
        if let Err((reason, why)) = check(&span, self.limits) {
            return self.refuse(reason, why);
        }
        match self.origin(resource, scope) {
            Ok(index) => {
                span.origin = index;
                self.seen += 1;
                self.decoded.batch.spans.push(span);
                self.decoded.all_timed &= timed;
            }
            Err(why) => self.refuse(Reason::InvalidLabels, why),
        }
    }

    /// Counts the next span of the request as one that is left out.
    pub(crate) fn refuse(&mut self, reason: Reason, why: String) {
        self.decoded.refused.add(reason, self.seen, || why);
        self.seen += 1;
    }

    pub(crate) fn finish(self) -> Decoded<SpanBatch> {
        self.decoded
    }

    /// The index of an origin in the batch, or why its spans are refused.
    fn origin(&mut self, resource: &Resource, scope: Scope) -> Result<u32, String> {
        let is = |o: &Origin| o.of.resource == *resource && o.of.scope == scope;
        if let Some(last) = self.origins.get(self.last).filter(|o| is(o)) {
            return last.index.clone();
        }
        let print = fingerprint(resource, &scope);
        let found = self.known.get(&print).and_then(|at| Some((*at, self.origins.get(*at)?)));
        if let Some((at, known)) = found.filter(|(_, o)| is(o)) {
            self.last = at;
            return known.index.clone();
        }
        let checked = self
            .limits
            .check_attributes("resource", &resource.attributes)
            .and_then(|()| self.limits.check_attributes("scope", &scope.attributes));
        let of = SpanOrigin { resource: resource.clone(), scope };
        let index = checked.map(|()| {
            self.decoded.batch.origins.push(of.clone());
            (self.decoded.batch.origins.len() - 1) as u32
        });
        self.last = self.origins.len();
        self.known.insert(print, self.last);
        self.origins.push(Origin { of, index: index.clone() });
        index
    }
}

/// An origin that was named.
struct Origin {
    of: SpanOrigin,
    /// Its index in the batch, or why its spans are refused.
    index: Result<u32, String>,
}

/// Names an origin by its content, so that finding one again costs no comparison with all others.
fn fingerprint(resource: &Resource, scope: &Scope) -> u128 {
    let mut hash = Xxh3::new();
    attributes(&mut hash, &resource.attributes);
    attributes(&mut hash, &scope.attributes);
    for part in [&resource.schema_url, &scope.name, &scope.version] {
        text(&mut hash, part);
    }
    hash.digest128()
}

fn attributes(hash: &mut Xxh3, all: &Attributes) {
    hash.update(&(all.len() as u64).to_le_bytes());
    for (key, value) in all.iter() {
        text(hash, key);
        text(hash, value.type_name());
        match value {
            AnyValue::String(s) => text(hash, s),
            other => text(hash, &other.to_string()),
        }
    }
}

fn text(hash: &mut Xxh3, s: &str) {
    hash.update(&(s.len() as u64).to_le_bytes());
    hash.update(s.as_bytes());
}

/// What every span must satisfy, whichever way it came in.
pub(crate) fn check(span: &Span, limits: &Limits) -> Result<(), (Reason, String)> {
    let zero = |what: &str| {
        (Reason::InvalidItem, format!("span {} has a {what} that is all zero", quoted(&span.name)))
    };
    if span.trace_id == [0; 16] {
        return Err(zero("trace id"));
    }
    if span.span_id == [0; 8] {
        return Err(zero("span id"));
    }
    let children = span.events.len() + span.links.len();
    if children > limits.max_span_children {
        return Err(too_many_children(&span.name, children, limits));
    }
    check_sizes(span, limits)
}

fn too_many_children(name: &str, children: usize, limits: &Limits) -> (Reason, String) {
    let max = limits.max_span_children;
    let why = format!("span {} has {children} events and links, at most {max} are taken", quoted(name));
    (Reason::TooLarge, why)
}

/// Texts and attributes within their limits.
fn check_sizes(span: &Span, limits: &Limits) -> Result<(), (Reason, String)> {
    for (what, text) in
        [("name", &span.name), ("trace state", &span.trace_state), ("status message", &span.status.message)]
    {
        if text.len() > limits.max_label_value_bytes {
            let (n, max) = (text.len(), limits.max_label_value_bytes);
            let why = format!("span {what} {} of {n} bytes, ingest.max_label_value is {max}", quoted(text));
            return Err((Reason::TooLarge, why));
        }
    }
    let carriers = [("span", &span.attributes)]
        .into_iter()
        .chain(span.events.iter().map(|e| ("span event", &e.attributes)))
        .chain(span.links.iter().map(|l| ("span link", &l.attributes)));
    for (what, attributes) in carriers {
        limits.check_attributes(what, attributes).map_err(|why| (Reason::InvalidLabels, why))?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
