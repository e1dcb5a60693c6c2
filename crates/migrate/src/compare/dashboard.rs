//! Grafana dashboards (classic JSON model): their expressions, and the variables in them.

use serde_json::Value;

/// One expression to replay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expression {
    /// Where it stands, for the report.
    pub source: String,
    pub text: String,
    /// Asked for the end of the range only.
    pub instant: bool,
}

/// A template variable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variable {
    pub name: String,
    /// `query`, `custom`, `constant`, `interval`, `textbox`, `datasource`, …
    pub kind: String,
    pub query: String,
    pub regex: String,
    /// What the dashboard was saved with.
    pub current: Vec<String>,
    pub multi: bool,
    pub include_all: bool,
    pub all_value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dashboard {
    pub name: String,
    pub expressions: Vec<Expression>,
    pub variables: Vec<Variable>,
}

/// Deepest nesting of rows, which Grafana itself never makes deeper than one.
const MAX_DEPTH: usize = 8;

/// Reads a dashboard; `name` is used in messages. A file as the API answers it (`{"dashboard": …}`) is read too.
///
/// # Errors
/// The text is no JSON, or no dashboard.
pub fn parse(text: &[u8], name: &str) -> Result<Dashboard, String> {
    let whole: Value = serde_json::from_slice(text).map_err(|e| format!("{name} is no JSON: {e}"))?;
    let d = whole.get("dashboard").unwrap_or(&whole);
    if d.get("panels").is_none() && d.get("rows").is_none() {
        return Err(format!("{name} is no dashboard: it has neither panels nor rows"));
    }
    let mut out = Dashboard { name: name.to_owned(), ..Dashboard::default() };
    let list = |path: [&str; 2]| d.get(path[0]).and_then(|t| t.get(path[1])).and_then(Value::as_array);
    out.variables = list(["templating", "list"]).into_iter().flatten().map(variable).collect();
    let loki = |v: &Value| is_foreign(v, &out.variables);
    let mut expressions = Vec::new();
    panels(d, name, 0, &loki, &mut expressions);
    for a in list(["annotations", "list"]).into_iter().flatten().filter(|a| !loki(a)) {
        if let Some(expr) = text_of(a, "expr") {
            let source = format!("{name} › annotation {}", text_of(a, "name").unwrap_or_default());
            expressions.push(Expression { source, text: expr, instant: false });
        }
    }
    out.expressions = expressions;
    Ok(out)
}

fn panels(
    at: &Value,
    place: &str,
    depth: usize,
    foreign: &dyn Fn(&Value) -> bool,
    out: &mut Vec<Expression>,
) {
    if depth > MAX_DEPTH {
        return;
    }
    let children = ["panels", "rows"].iter().filter_map(|k| at.get(k).and_then(Value::as_array)).flatten();
    for p in children {
        let title = text_of(p, "title").unwrap_or_default();
        let place = if title.is_empty() { place.to_owned() } else { format!("{place} › {title}") };
        panels(p, &place, depth + 1, foreign, out);
        for t in p.get("targets").and_then(Value::as_array).into_iter().flatten() {
            if foreign(t) || t.get("datasource").is_none_or(Value::is_null) && foreign(p) {
                continue;
            }
            let Some(expr) = text_of(t, "expr").filter(|e| !e.trim().is_empty()) else { continue };
            let flag = |name: &str| t.get(name).and_then(Value::as_bool).unwrap_or(false);
            out.push(Expression {
                source: format!("{place} › {}", text_of(t, "refId").unwrap_or_default()),
                text: expr,
                instant: flag("instant") && !flag("range"),
            });
        }
    }
}

/// Whether a panel, target or annotation asks something else than a Prometheus.
fn is_foreign(v: &Value, variables: &[Variable]) -> bool {
    let kind = match v.get("datasource") {
        Some(Value::Object(o)) => o.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Some(Value::String(s)) => match s.trim_start_matches('$').trim_matches(['{', '}']) {
            name if s.starts_with('$') => {
                let of = variables.iter().find(|x| x.name == name && x.kind == "datasource");
                of.map_or(String::new(), |x| x.query.clone())
            }
            _ => String::new(),
        },
        _ => String::new(),
    };
    !matches!(kind.as_str(), "" | "prometheus" | "mixed" | "datasource")
}

fn text_of(v: &Value, key: &str) -> Option<String> {
    v.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn variable(v: &Value) -> Variable {
    let query = match v.get("query") {
        Some(Value::String(s)) => s.clone(),
        Some(o) => text_of(o, "query").unwrap_or_default(),
        None => String::new(),
    };
    let current = match v.get("current").and_then(|c| c.get("value")) {
        Some(Value::String(s)) => vec![s.clone()],
        Some(Value::Array(a)) => a.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let flag = |name: &str| v.get(name).and_then(Value::as_bool).unwrap_or(false);
    Variable {
        name: text_of(v, "name").unwrap_or_default(),
        kind: text_of(v, "type").unwrap_or_default(),
        query: if query.is_empty() { text_of(v, "definition").unwrap_or_default() } else { query },
        regex: text_of(v, "regex").unwrap_or_default(),
        current,
        multi: flag("multi"),
        include_all: flag("includeAll"),
        all_value: text_of(v, "allValue").unwrap_or_default(),
    }
}
