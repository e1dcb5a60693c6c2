//! What is searched for, whichever API it was asked by: conditions on one span, and how a `Select` is asked for the
//! traces that have such a span.

use contract::SpanFilter;
use model::{AnyValue, MatchOp, Matcher, Span, StatusCode, TimeRange, span::SpanOrigin};

use super::{filter::Filter, names, tags};
use crate::{Error, params::bad};

/// Traces an answer holds where the client names no number, as in Jaeger.
pub const DEFAULT_LIMIT: usize = 100;
/// Traces an answer may hold at most.
pub const MAX_LIMIT: usize = 10_000;

/// Traces with a span for which all of this holds.
#[derive(Debug, Clone)]
pub struct Search {
    /// None: any.
    pub service: Option<String>,
    pub operation: Option<String>,
    pub tags: Vec<(String, String)>,
    /// In which the span begins.
    pub range: TimeRange,
    pub min_duration_ns: Option<i64>,
    pub max_duration_ns: Option<i64>,
    pub limit: usize,
    /// Stands alone: beside it there is no other condition but the time.
    pub filter: Option<Filter>,
}

/// How a search is put to a `Select`.
pub struct Plan {
    /// A span passes all filters of one of these. Something is an error by its status or by a tag, so there may be two.
    pub alternatives: Vec<Vec<SpanFilter>>,
    /// What only the span as Jaeger shows it can answer; looked at here, once more.
    rest: Vec<Tag>,
    filter: Option<Filter>,
}

/// A tag whose value is found in more than attributes, or that is a pattern.
#[derive(Debug)]
pub struct Tag {
    key: String,
    value: String,
    pattern: Option<Matcher>,
}

impl Search {
    /// Whether there is any condition beside the time.
    pub fn has_condition(&self) -> bool {
        let durations = self.min_duration_ns.or(self.max_duration_ns).is_some();
        self.service.is_some() || self.operation.is_some() || !self.tags.is_empty() || durations
    }

    /// The search, unless it has a filter and what a filter replaces.
    pub fn checked(self) -> Result<Self, Error> {
        match self.filter.is_some() && self.has_condition() {
            true => Err(Error::invalid(
                "filter cannot be combined with service_name, operation_name, attributes or durations",
            )),
            false => Ok(self),
        }
    }

    /// Puts what a column can decide into filters.
    pub fn plan(&self) -> Plan {
        let mut base: Vec<SpanFilter> = self.service.clone().map(SpanFilter::Service).into_iter().collect();
        base.extend(self.operation.clone().map(SpanFilter::Name));
        base.extend(self.min_duration_ns.map(SpanFilter::MinDurationNs));
        base.extend(self.max_duration_ns.map(SpanFilter::MaxDurationNs));
        base.extend(self.filter.iter().flat_map(Filter::necessary));
        let filter = self.filter.clone();
        let (mut rest, mut error) = (Vec::new(), None);
        for (key, value) in &self.tags {
            let plain = SpanFilter::Attribute(key.clone(), AnyValue::String(value.clone()));
            let kind = names::kind(value);
            match (key.as_str(), value.as_str()) {
                ("error", "true") => error = Some(plain),
                ("error", "false") => base.push(SpanFilter::Error(false)),
                ("otel.status_code", "ERROR") => base.push(SpanFilter::Error(true)),
                ("span.status", v) if v.eq_ignore_ascii_case("error") => base.push(SpanFilter::Error(true)),
                ("span.kind", _) if kind.is_some() => base.extend(kind.map(SpanFilter::Kind)),
                _ => match Tag::beyond_attributes(key, value) {
                    Some(tag) => rest.push(tag),
                    None => base.push(plain),
                },
            }
        }
        let Some(tag) = error else { return Plan { alternatives: vec![base], rest, filter } };
        let (mut by_status, mut by_tag) = (base.clone(), base);
        by_status.push(SpanFilter::Error(true));
        by_tag.push(tag);
        Plan { alternatives: vec![by_status, by_tag], rest, filter }
    }
}

impl Plan {
    /// Whether what the filters let through passes the rest.
    pub fn passes(&self, span: &Span, origin: &SpanOrigin) -> bool {
        self.rest.iter().all(|tag| tag.is_on(span, origin))
            && self.filter.as_ref().is_none_or(|f| f.passes(span, origin))
    }

    /// Whether the filters say it all.
    pub fn is_exact(&self) -> bool {
        self.rest.is_empty() && self.filter.is_none()
    }
}

/// Keys under which more is found than attributes: tags made of other fields, the names of events, and those by which
/// Jaeger's own storage is asked for a field or a level.
const MADE_OR_FIELDS: [&str; 6] =
    ["event", "span.status", "scope.name", "scope.version", "span.kind", tags::WARNINGS];

impl Tag {
    /// None where the tag is an attribute and nothing else, as most are.
    fn beyond_attributes(key: &str, value: &str) -> Option<Self> {
        let pattern = pattern(value);
        let beyond =
            tags::MADE.contains(&key) || MADE_OR_FIELDS.contains(&key) || key.starts_with(RESOURCE_PREFIX);
        (beyond || pattern.is_some()).then(|| Tag { key: key.to_owned(), value: value.to_owned(), pattern })
    }

    fn is_on(&self, span: &Span, origin: &SpanOrigin) -> bool {
        let same = |text: &str| {
            text == self.value || self.pattern.as_ref().is_some_and(|pattern| pattern.matches(text))
        };
        let of_resource = |key: &str| origin.resource.attributes.get(key);
        let carriers = [&span.attributes, &origin.resource.attributes, &origin.scope.attributes]
            .into_iter()
            .chain(span.events.iter().map(|e| &e.attributes))
            .chain(span.links.iter().map(|l| &l.attributes));
        let mut values = carriers.flat_map(|c| c.iter()).filter(|(k, _)| *k == self.key).map(|(_, v)| v);
        if values.any(|v| same(&v.to_string())) {
            return true;
        }
        match self.key.as_str() {
            "event" => span.events.iter().any(|e| !e.name.is_empty() && same(&e.name)),
            "span.status" => status_name(span.status.code).eq_ignore_ascii_case(&self.value),
            "scope.name" => same(&origin.scope.name),
            "scope.version" => same(&origin.scope.version),
            key if tags::MADE.contains(&key) || key == "span.kind" => {
                tags::of_span(span, origin).iter().any(|t| t.key == key && same(&t.text()))
            }
            key => {
                key.strip_prefix(RESOURCE_PREFIX).and_then(of_resource).is_some_and(|v| same(&v.to_string()))
            }
        }
    }
}

const RESOURCE_PREFIX: &str = "resource.";

pub fn status_name(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}

/// The expression a value is with Jaeger on Elasticsearch, where tags are asked for by regular expression. Only values
/// that say so by `.*`, `.+` or an escaped character are taken for one, and then beside the text they are.
fn pattern(value: &str) -> Option<Matcher> {
    let escapes = value.as_bytes().windows(2).any(|w| matches!(w, [b'\\', c] if c.is_ascii_punctuation()));
    if !(escapes || value.contains(".*") || value.contains(".+")) {
        return None;
    }
    // What is no expression is text.
    Matcher::new("tag", MatchOp::Regex, value).ok()
}

/// A number of traces; none is the default.
pub fn limit(name: &str, text: Option<&str>) -> Result<usize, Error> {
    match text.map(str::parse::<usize>) {
        None => Ok(DEFAULT_LIMIT),
        Some(Ok(n)) if n > 0 => Ok(n.min(MAX_LIMIT)),
        Some(_) => Err(bad(name, text.unwrap_or_default(), "it must be a positive number")),
    }
}

/// 1 to 32 hexadecimal digits, of which shorter ones are the low end, or base64 as protobuf's JSON has bytes.
pub fn trace_id(text: &str) -> Result<[u8; 16], Error> {
    let hexadecimal = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let id = match hexadecimal {
        true => wire::jaeger_json::id(text),
        false if (22..=24).contains(&text.len()) => wire::jaeger_json::base64_id(text),
        false => None,
    };
    id.ok_or_else(|| bad("traceID", text, "it must be 1 to 32 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use model::{Attributes, SpanEvent};

    use super::*;

    fn search(tags: &[(&str, &str)]) -> Search {
        Search {
            service: Some("a".to_owned()),
            operation: None,
            tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            range: TimeRange::ALL,
            min_duration_ns: None,
            max_duration_ns: None,
            limit: 1,
            filter: None,
        }
    }

    #[test]
    fn an_error_is_a_status_or_a_tag() {
        let plan = search(&[("error", "true"), ("otel.scope.name", "lib")]).plan();
        assert_eq!(plan.alternatives.len(), 2);
        assert!(plan.alternatives[0].contains(&SpanFilter::Error(true)));
        assert_eq!(plan.rest.len(), 1);
    }

    #[test]
    fn values_that_say_so_are_patterns_and_all_others_text() {
        for plain in ["sameplacevalue", "http://a.b/c?d=1", "1.2.3", "a*", "x+y", "C:\\dir", "a|b"] {
            assert!(pattern(plain).is_none(), "{plain}");
        }
        let same = pattern("same.*").unwrap();
        assert!(same.matches("sameplace") && !same.matches("not the same"));
        let star = pattern("same\\*").unwrap();
        assert!(star.matches("same*") && !star.matches("sameplace"));
        assert!(pattern(".*(").is_none());
    }

    #[test]
    fn fields_are_found_under_the_names_jaegers_storage_asks_by() {
        let mut origin = SpanOrigin::default();
        origin.scope.name = "lib".to_owned();
        origin.resource.attributes = Attributes::from_iter([("host", "h1")]);
        let mut span = Span { attributes: Attributes::from_iter([("resource.x", "y")]), ..Span::default() };
        span.events.push(SpanEvent { name: "boom".to_owned(), ..SpanEvent::default() });
        for (key, value, found) in [
            ("scope.name", "lib", true),
            ("scope.name", "other", false),
            ("resource.host", "h1", true),
            ("resource.host", "h2", false),
            ("resource.x", "y", true),
            ("event", "boom", true),
            ("event", "bo.*", true),
            ("span.status", "UNSET", true),
            ("span.status", "ok", false),
        ] {
            let plan = search(&[(key, value)]).plan();
            assert_eq!(plan.passes(&span, &origin), found, "{key}={value}");
        }
    }

    #[test]
    fn trace_ids_are_hexadecimal_or_base64() {
        assert_eq!(trace_id("ab").unwrap()[15], 0xab);
        assert_eq!(trace_id("AAAAAAAAAAAAAAAAAAAAqw==").unwrap()[15], 0xab);
        assert_eq!(trace_id("AAAAAAAAAAAAAAAAAAAAqw").unwrap()[15], 0xab);
        for wrong in ["", "xyz", "+f", &"0".repeat(33)] {
            assert!(trace_id(wrong).is_err(), "{wrong}");
        }
    }
}
