//! Search by tags, as Tempo had it before TraceQL, written as TraceQL: every tag stands in some span of the trace, and
//! its text contains the value, whatever the case; durations are those of the whole trace.

use crate::Error;

/// What is asked: `tags`, `minDuration` and `maxDuration`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TagSearch {
    pub tags: Vec<(String, String)>,
    pub min_duration_ns: Option<i64>,
    pub max_duration_ns: Option<i64>,
}

impl TagSearch {
    /// Reads `key=value key="other value"`. A tag given twice is an error.
    pub fn read_tags(text: &str) -> Result<Vec<(String, String)>, Error> {
        let mut tags: Vec<(String, String)> = Vec::new();
        let mut twice = None;
        logql::pipeline::logfmt::decode(
            text,
            true,
            &mut |key, value| match tags.iter().any(|(k, _)| k == key) {
                true => twice = Some(key.to_owned()),
                false => tags.push((key.to_owned(), value.to_owned())),
            },
        )
        .map_err(|e| Error::invalid(format!("invalid tags: {e}")))?;
        match twice {
            Some(tag) => Err(Error::invalid(format!("invalid tags: tag {tag} has been set twice"))),
            None => Ok(tags),
        }
    }

    /// The query that finds these traces.
    pub fn query(&self) -> String {
        let mut spansets: Vec<String> =
            self.tags.iter().map(|(key, value)| format!("{{ {} }}", condition(key, value))).collect();
        let bound = |how: &str, ns: Option<i64>| ns.map(|ns| format!("{{ traceDuration {how} {ns}ns }}"));
        spansets.extend(bound(">=", self.min_duration_ns));
        spansets.extend(bound("<=", self.max_duration_ns));
        if spansets.is_empty() { "{}".to_owned() } else { spansets.join(" && ") }
    }
}

/// What holds for a span that has the tag. Some names are no attributes.
fn condition(key: &str, value: &str) -> String {
    let status = |word: &str| ["ok", "error", "unset"].into_iter().find(|s| *s == word.to_ascii_lowercase());
    match key {
        "service.name" => contains("resource.service.name", value),
        "name" => contains("name", value),
        "root.name" => contains("rootName", value),
        "root.service.name" => contains("rootServiceName", value),
        "status.code" if status(value).is_some() => format!("status = {}", status(value).unwrap_or_default()),
        "error" if value.is_empty() || value == "true" => "status = error".to_owned(),
        _ => {
            let field = traceql::Field::attribute(traceql::Scope::Any, key).to_string();
            let text = contains(&field, value);
            match (value.parse::<f64>(), value) {
                // In plain digits, of which every number in use has few.
                (Ok(n), _) if n.abs() < 1e15 => format!("{text} || {field} = {n}"),
                (_, "true" | "false") => format!("{text} || {field} = {value}"),
                _ => text,
            }
        }
    }
}

fn contains(field: &str, value: &str) -> String {
    if value.is_empty() {
        return format!("{field} != nil");
    }
    let mut pattern = String::from("(?i).*");
    for c in value.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push_str(".*");
    format!("{field} =~ {}", quoted(&pattern))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(tags: &str) -> String {
        TagSearch { tags: TagSearch::read_tags(tags).unwrap(), ..TagSearch::default() }.query()
    }

    #[test]
    fn every_tag_stands_in_some_span_and_contains_the_value() {
        for (tags, want) in [
            ("", "{}"),
            ("service.name=cart", r#"{ resource.service.name =~ "(?i).*cart.*" }"#),
            ("http.url=api/v1.2", r#"{ .http.url =~ "(?i).*api/v1\\.2.*" }"#),
            ("a=b name=GET", r#"{ .a =~ "(?i).*b.*" } && { name =~ "(?i).*GET.*" }"#),
            ("code=200", r#"{ .code =~ "(?i).*200.*" || .code = 200 }"#),
            ("up=true", r#"{ .up =~ "(?i).*true.*" || .up = true }"#),
            ("error status.code=Error", "{ status = error } && { status = error }"),
            (r#"a="x \"y\"""#, r#"{ .a =~ "(?i).*x \"y\".*" }"#),
            ("flag", "{ .flag != nil }"),
        ] {
            assert_eq!(query(tags), want, "{tags}");
        }
    }

    #[test]
    fn durations_are_those_of_the_trace() {
        let search = TagSearch {
            min_duration_ns: Some(1_500_000),
            max_duration_ns: Some(2_000_000_000),
            ..TagSearch::default()
        };
        assert_eq!(search.query(), "{ traceDuration >= 1500000ns } && { traceDuration <= 2000000000ns }");
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for (tags, what) in [
            ("service.name=foo =error", "unexpected '='"),
            ("service.name=foo=bar", "unexpected '='"),
            ("service.name=\"foo bar", "unterminated quoted value"),
            ("\"service name\"=foo", "unexpected '\"'"),
            ("a=1 a=2", "tag a has been set twice"),
        ] {
            let e = TagSearch::read_tags(tags).unwrap_err().to_string();
            assert!(e.starts_with("invalid tags: ") && e.contains(what), "{tags}: {e}");
        }
    }

    proptest! {
        #[test]
        fn whatever_tags_come_make_a_query_that_parses(key in "[^\\s=\"]{1,8}", value in "\\PC{0,8}") {
            let tags = vec![(key, value)];
            let query = TagSearch { tags, ..TagSearch::default() }.query();
            prop_assert!(traceql::parse(&query).is_ok(), "{}", query);
        }
    }
}
