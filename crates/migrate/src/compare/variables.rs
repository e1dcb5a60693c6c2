//! Values for the variables of a dashboard, found the way Grafana finds them, and put into expressions.
//!
//! A variable that allows several values takes all of them as one regular expression, any other the first of
//! its values in order. Variables may refer to others before them. Built-in ones follow from the range.

mod fill;

use std::{collections::BTreeMap, time::Duration};

use regex::Regex;

use super::{
    Options, Range,
    ask::{Asker, Refusal},
    dashboard::{Dashboard, Variable},
};
use crate::Result;

/// Values of one variable that are put into one expression.
const MAX_VALUES: usize = 500;
/// Larger patterns of a dashboard are refused.
const MAX_REGEX: usize = 1 << 20;

/// What stands for each name.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    found: BTreeMap<String, Value>,
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone)]
enum Value {
    /// Put in as it is.
    Raw(String),
    /// Chosen from a list; escaped as the place demands. Several become alternatives.
    Chosen(Vec<String>),
    /// Nothing was found: an expression with it cannot be asked.
    Nothing,
}

impl Values {
    pub(super) async fn find(d: &Dashboard, asker: &Asker, o: &Options, range: Range) -> Result<Self> {
        let mut values = Values { found: built_in(range, o.scrape_interval), notes: Vec::new() };
        for (name, value) in &o.variables {
            values.found.insert(name.clone(), Value::Raw(value.clone()));
        }
        for v in &d.variables {
            if o.variables.iter().any(|(n, _)| *n == v.name) || v.name.is_empty() {
                continue;
            }
            let value = values.of(v, asker, range).await;
            if let Value::Nothing = value {
                values.notes.push(format!("${} has no value ({} {:?})", v.name, v.kind, v.query));
            }
            values.found.insert(v.name.clone(), value);
        }
        Ok(values)
    }

    /// The expression with every variable replaced, or the name of one that has no value.
    pub(super) fn fill(&self, expr: &str) -> Result<String, String> {
        fill::fill(expr, &self.found)
    }

    async fn of(&mut self, v: &Variable, asker: &Asker, range: Range) -> Value {
        match v.kind.as_str() {
            "query" => match self.asked(v, asker, range).await {
                Ok(all) => chosen(v, all),
                Err(why) => {
                    self.notes.push(format!("${}: {why}", v.name));
                    Value::Nothing
                }
            },
            "custom" => chosen(v, custom(&v.query)),
            "interval" => {
                let first = v.query.split(',').map(str::trim).find(|s| !s.is_empty() && !s.starts_with('$'));
                Value::Raw(first.unwrap_or("1m").to_owned())
            }
            "textbox" | "constant" => {
                Value::Raw(v.current.first().filter(|c| !c.is_empty()).unwrap_or(&v.query).clone())
            }
            // Its name never stands inside an expression; ad hoc filters are empty until somebody adds one.
            _ => Value::Raw(v.current.first().cloned().unwrap_or_default()),
        }
    }

    async fn asked(&self, v: &Variable, asker: &Asker, range: Range) -> Result<Vec<String>, String> {
        let query = self.fill(&v.query)?;
        let span = (range.start_ms, range.end_ms);
        let answered = match parse(&query)? {
            Ask::Values { label, selector } => asker.label_values(&label, &selector, span).await,
            Ask::Names => asker.label_names(span).await,
            Ask::Metrics(pattern) => {
                let names = asker.label_values("__name__", "", span).await;
                let wanted = anchored(&pattern)?;
                names.map(|n| n.into_iter().filter(|n| wanted.is_match(n)).collect())
            }
            Ask::Result(expr) => asker.query_result(&expr, range.end_ms).await,
        };
        let mut all = answered.map_err(|e: Refusal| e.to_string())?;
        if !v.regex.is_empty() {
            all = filtered(all, &self.fill(&v.regex)?)?;
        }
        all.sort();
        all.dedup();
        Ok(all)
    }
}

fn chosen(v: &Variable, all: Vec<String>) -> Value {
    if (v.multi || v.include_all) && !v.all_value.is_empty() {
        return Value::Raw(v.all_value.clone());
    }
    match all.len() {
        0 => Value::Nothing,
        _ if v.multi || v.include_all => Value::Chosen(all.into_iter().take(MAX_VALUES).collect()),
        _ => Value::Chosen(all.into_iter().take(1).collect()),
    }
}

/// `a,b : 2,c`: values, with a text for people before a colon.
fn custom(query: &str) -> Vec<String> {
    let value = |s: &str| s.rsplit_once(" : ").map_or(s, |(_, v)| v).trim().to_owned();
    query.split(',').map(value).filter(|s| !s.is_empty()).collect()
}

/// What a query variable asks for, in the syntax of Grafana's Prometheus data source.
#[derive(Debug, PartialEq, Eq)]
enum Ask {
    Values { label: String, selector: String },
    Names,
    Metrics(String),
    Result(String),
}

fn parse(query: &str) -> Result<Ask, String> {
    let query = query.trim();
    let inner = |name: &str| {
        query
            .strip_prefix(name)
            .and_then(|r| r.trim_start().strip_prefix('('))
            .and_then(|r| r.strip_suffix(')'))
    };
    if let Some(args) = inner("label_values") {
        // The label is what follows the last comma outside the selector's braces.
        let (selector, label) = match args.rfind(',') {
            Some(at) if !args.get(at..).is_some_and(|t| t.contains(['}', '"'])) => args.split_at(at),
            _ => ("", args),
        };
        return Ok(Ask::Values {
            label: label.trim_start_matches(',').trim().to_owned(),
            selector: selector.trim().to_owned(),
        });
    }
    if inner("label_names").is_some() {
        return Ok(Ask::Names);
    }
    if let Some(pattern) = inner("metrics") {
        return Ok(Ask::Metrics(pattern.trim().to_owned()));
    }
    if let Some(expr) = inner("query_result") {
        return Ok(Ask::Result(expr.trim().to_owned()));
    }
    match query {
        "" => Err("its query is empty".to_owned()),
        expr => Ok(Ask::Result(expr.to_owned())),
    }
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    compiled(&format!("^(?:{pattern})$"))
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX)
        .build()
        .map_err(|e| format!("pattern {pattern:?}: {e}"))
}

/// `/pattern/flags`: values that match, or of them the group named `value`, else the first group.
fn filtered(all: Vec<String>, pattern: &str) -> Result<Vec<String>, String> {
    let (body, flags) = match pattern.strip_prefix('/').and_then(|p| p.rsplit_once('/')) {
        Some((body, flags)) => (body, flags),
        None => (pattern, ""),
    };
    let insensitive = if flags.contains('i') { "(?i)" } else { "" };
    let re = compiled(&format!("{insensitive}{body}"))?;
    Ok(all
        .into_iter()
        .filter_map(|v| {
            let c = re.captures(&v)?;
            let group = c.name("value").or_else(|| c.get(1));
            Some(group.map_or_else(|| v.clone(), |m| m.as_str().to_owned()))
        })
        .collect())
}

/// What Grafana sets by itself.
fn built_in(range: Range, scrape: Duration) -> BTreeMap<String, Value> {
    let step = range.step_ms;
    let scrape_ms = i64::try_from(scrape.as_millis()).unwrap_or(15_000);
    let rate = (step + scrape_ms).max(4 * scrape_ms);
    let length = range.end_ms - range.start_ms;
    let all = [
        ("__interval", duration(step)),
        ("__interval_ms", step.to_string()),
        ("__rate_interval", duration(rate)),
        ("__rate_interval_ms", rate.to_string()),
        ("__range", format!("{}s", length / 1000)),
        ("__range_s", (length / 1000).to_string()),
        ("__range_ms", length.to_string()),
        ("__from", range.start_ms.to_string()),
        ("__to", range.end_ms.to_string()),
        ("__dashboard", "dashboard".to_owned()),
        ("__org", "1".to_owned()),
        ("interval", duration(step)),
    ];
    all.into_iter().map(|(n, v)| (n.to_owned(), Value::Raw(v))).collect()
}

fn duration(ms: i64) -> String {
    if ms % 1000 == 0 { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queries_of_variables_are_understood() {
        let values =
            |label: &str, selector: &str| Ask::Values { label: label.into(), selector: selector.into() };
        assert_eq!(parse("label_values(up, job)").unwrap(), values("job", "up"));
        assert_eq!(parse("label_values(job)").unwrap(), values("job", ""));
        assert_eq!(
            parse(r#"label_values(up{a="x,y", b=~"z"}, instance)"#).unwrap(),
            values("instance", r#"up{a="x,y", b=~"z"}"#)
        );
        assert_eq!(parse("label_names()").unwrap(), Ask::Names);
        assert_eq!(parse("metrics(node_.*)").unwrap(), Ask::Metrics("node_.*".into()));
        assert_eq!(parse("query_result(topk(1, up))").unwrap(), Ask::Result("topk(1, up)".into()));
        assert!(parse(" ").is_err());
    }

    #[test]
    fn a_pattern_keeps_what_matches_and_takes_its_group() {
        let all = || vec!["db-1:9100".to_owned(), "web-1:80".to_owned()];
        assert_eq!(filtered(all(), "/^db/").unwrap(), ["db-1:9100"]);
        assert_eq!(filtered(all(), "/([^:]+):.*/").unwrap(), ["db-1", "web-1"]);
        assert_eq!(filtered(all(), "/DB-(?<value>\\d)/i").unwrap(), ["1"]);
        assert!(filtered(all(), "/(/").is_err());
    }
}
