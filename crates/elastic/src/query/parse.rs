//! The query DSL: JSON to [`Query`].

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Bool, Phrase, Query, Range, Term, Words, text};
use crate::{Error, field::Field, pattern, token};

/// Queries nest no deeper.
const MAX_DEPTH: usize = 32;
/// Clauses of one query, and words of one clause.
const MAX_CLAUSES: usize = 4096;
/// Values of one `terms`, as in Elasticsearch.
const MAX_TERMS: usize = 65_536;

/// What a query is read in.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    pub now_ns: i64,
}

/// Reads one query.
pub fn parse(value: &Value, context: &Context) -> Result<Query, Error> {
    Reader { context, depth: 0, clauses: 0 }.query(value)
}

struct Reader<'a> {
    context: &'a Context,
    depth: usize,
    clauses: usize,
}

type Object = Map<String, Value>;

impl Reader<'_> {
    fn query(&mut self, value: &Value) -> Result<Query, Error> {
        self.depth += 1;
        self.clauses += 1;
        if self.depth > MAX_DEPTH || self.clauses > MAX_CLAUSES {
            return Err(Error::illegal(format!(
                "the query nests deeper than {MAX_DEPTH} or has more than {MAX_CLAUSES} clauses"
            )));
        }
        let (name, body) = only(value, "query")?;
        let out = self.named(name, body)?;
        self.depth -= 1;
        Ok(out)
    }

    fn named(&mut self, name: &str, body: &Value) -> Result<Query, Error> {
        match name {
            "match_all" => Ok(Query::All),
            "match_none" => Ok(Query::Nothing),
            "bool" => self.bool(object(body, name)?),
            "constant_score" => match object(body, name)?.get("filter") {
                Some(filter) => self.query(filter),
                None => Err(Error::parsing("[constant_score] requires a filter element")),
            },
            "dis_max" => {
                let should = self.list(object(body, name)?.get("queries"))?;
                Ok(Query::Bool(Bool { should, at_least: 1, ..Bool::default() }))
            }
            // Lists of objects are looked into as a whole: their fields are not paired.
            "nested" => match object(body, name)?.get("query") {
                Some(inner) => self.query(inner),
                None => Err(Error::parsing("[nested] requires a query")),
            },
            "term" => term(body),
            "terms" => terms(body),
            "match" => words(body, name, false),
            "match_bool_prefix" => words(body, name, true),
            "match_phrase" => phrase(body, name, false),
            "match_phrase_prefix" => phrase(body, name, true),
            "multi_match" => multi_match(object(body, name)?),
            "range" => {
                let (field, body) = only(body, name)?;
                Ok(Query::Range(Range::parse(field, body, self.context)?))
            }
            "exists" => {
                let field = object(body, name)?.get("field").and_then(Value::as_str);
                let field =
                    field.ok_or_else(|| Error::parsing("[exists] must be provided with a [field]"))?;
                Ok(Query::Exists(Field::parse(field)))
            }
            "prefix" => value_of(body, name, pattern::prefix),
            "wildcard" => value_of(body, name, pattern::wildcard),
            "regexp" => value_of(body, name, pattern::lucene),
            "fuzzy" => fuzzy(body),
            "ids" => ids(object(body, name)?),
            "query_string" => text::query_string(object(body, name)?, self.context),
            "simple_query_string" => text::simple_query_string(object(body, name)?),
            other => {
                let name: String = other.chars().take(100).collect();
                Err(Error::parsing(format!("unknown query [{name}]")))
            }
        }
    }

    fn bool(&mut self, body: &Object) -> Result<Query, Error> {
        let mut out = Bool::default();
        for (key, value) in body {
            match key.as_str() {
                "must" | "filter" => out.must.extend(self.list(Some(value))?),
                "should" => out.should = self.list(Some(value))?,
                "must_not" => out.must_not = self.list(Some(value))?,
                "minimum_should_match" | "boost" | "_name" | "adjust_pure_negative" => {}
                other => return Err(Error::parsing(format!("[bool] query does not support [{other}]"))),
            }
        }
        let implied = usize::from(out.must.is_empty() && !out.should.is_empty());
        out.at_least = match body.get("minimum_should_match") {
            Some(v) => minimum(v, out.should.len())?,
            None => implied,
        };
        Ok(Query::Bool(out))
    }

    fn list(&mut self, value: Option<&Value>) -> Result<Vec<Query>, Error> {
        match value {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(all)) => all.iter().map(|q| self.query(q)).collect(),
            Some(one) => Ok(vec![self.query(one)?]),
        }
    }
}

pub(super) fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Object, Error> {
    value.as_object().ok_or_else(|| Error::parsing(format!("[{name}] must be an object")))
}

/// The one key of an object, and what it holds.
fn only<'a>(value: &'a Value, name: &str) -> Result<(&'a str, &'a Value), Error> {
    let mut keys = object(value, name)?.iter().filter(|(k, _)| !["boost", "_name"].contains(&k.as_str()));
    match (keys.next(), keys.next()) {
        (Some((k, v)), None) => Ok((k, v)),
        (None, _) => Err(Error::illegal(format!("[{name}] malformed, it is empty"))),
        (_, Some((more, _))) => {
            Err(Error::parsing(format!("[{name}] malformed query, expected one key but found [{more}] too")))
        }
    }
}

/// A text, number or boolean as text.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

/// A number, or a text that is one.
pub(crate) fn count(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// `{"field": {"query": …, …}}` or `{"field": …}`.
fn field_and<'a>(
    body: &'a Value,
    name: &str,
    key: &str,
) -> Result<(&'a str, String, Option<&'a Object>), Error> {
    let (field, body) = only(body, name)?;
    let options = body.as_object();
    let value = options.map_or(Some(body), |o| o.get(key));
    match value.and_then(text_of) {
        Some(v) => Ok((field, v, options)),
        None => Err(Error::parsing(format!("[{name}] query of [{field}] needs a [{key}]"))),
    }
}

fn is_set(options: Option<&Object>, key: &str) -> bool {
    options.and_then(|o| o.get(key)).is_some_and(|v| v.as_bool() == Some(true) || v == "true")
}

fn term(body: &Value) -> Result<Query, Error> {
    let (field, value, options) = field_and(body, "term", "value")?;
    let fold = is_set(options, "case_insensitive");
    Ok(Query::Term(Term { field: Field::parse(field), value, fold }))
}

fn terms(body: &Value) -> Result<Query, Error> {
    let (field, values) = only(body, "terms")?;
    let values = values.as_array().ok_or_else(|| {
        Error::parsing(format!("[terms] query of [{field}] needs a list of values; lookups are not served"))
    })?;
    if values.len() > MAX_TERMS {
        let n = values.len();
        return Err(Error::illegal(format!("[terms] of {n} values, at most {MAX_TERMS} are allowed")));
    }
    let values: HashSet<String> = values.iter().filter_map(text_of).collect();
    Ok(match (field, values) {
        ("_id", ids) => Query::Ids(ids),
        (field, values) => Query::Terms { field: Field::parse(field), values },
    })
}

fn words(body: &Value, name: &str, prefix: bool) -> Result<Query, Error> {
    let (field, query, options) = field_and(body, name, "query")?;
    let all = is_and(options);
    let zero_all = options.and_then(|o| o.get("zero_terms_query")).is_some_and(|v| v == "all");
    let minimum_match = options.and_then(|o| o.get("minimum_should_match"));
    words_of(Field::parse(field), &query, all, minimum_match, prefix, zero_all)
}

fn is_and(options: Option<&Object>) -> bool {
    let operator = options.and_then(|o| o.get("operator").or_else(|| o.get("default_operator")));
    operator.and_then(Value::as_str).is_some_and(|o| o.eq_ignore_ascii_case("and"))
}

pub(super) fn words_of(
    field: Field,
    query: &str,
    all: bool,
    minimum_match: Option<&Value>,
    prefix: bool,
    zero_all: bool,
) -> Result<Query, Error> {
    let mut words = token::folded(query);
    let whole = query.to_owned();
    if !prefix {
        words.sort_unstable();
        words.dedup();
    }
    if words.len() > MAX_CLAUSES {
        return Err(Error::illegal(format!("a match of {} words, at most {MAX_CLAUSES}", words.len())));
    }
    if words.is_empty() {
        return Ok(if zero_all { Query::All } else { Query::Nothing });
    }
    let at_least = match minimum_match {
        Some(v) => minimum(v, words.len())?.max(1),
        None if all => words.len(),
        None => 1,
    };
    Ok(Query::Words(Words { field, words, at_least, prefix, whole }))
}

fn phrase(body: &Value, name: &str, prefix: bool) -> Result<Query, Error> {
    let (field, query, options) = field_and(body, name, "query")?;
    let slop = options.and_then(|o| o.get("slop")).and_then(count).unwrap_or(0);
    Ok(phrase_of(Field::parse(field), &query, slop, prefix))
}

pub(super) fn phrase_of(field: Field, query: &str, slop: i64, prefix: bool) -> Query {
    let words = token::folded(query);
    let slop = slop.clamp(0, MAX_CLAUSES as i64) as usize;
    match words.is_empty() && !field.is_exact() {
        true => Query::Nothing,
        false => Query::Phrase(Phrase { field, words, slop, prefix, whole: query.to_owned() }),
    }
}

fn multi_match(body: &Object) -> Result<Query, Error> {
    let query = body.get("query").and_then(text_of);
    let query = query.ok_or_else(|| Error::parsing("[multi_match] requires a query"))?;
    let fields = fields(body.get("fields"))?.unwrap_or_else(|| vec![Field::Any]);
    let slop = body.get("slop").and_then(count).unwrap_or(0);
    let one = |field: Field| match body.get("type").and_then(Value::as_str) {
        Some("phrase") => Ok(phrase_of(field, &query, slop, false)),
        Some("phrase_prefix") => Ok(phrase_of(field, &query, slop, true)),
        kind => {
            let prefix = kind == Some("bool_prefix");
            let minimum_match = body.get("minimum_should_match");
            words_of(field, &query, is_and(Some(body)), minimum_match, prefix, false)
        }
    };
    any_of(fields.into_iter().map(one).collect::<Result<_, _>>()?)
}

/// One of several.
pub(super) fn any_of(mut should: Vec<Query>) -> Result<Query, Error> {
    Ok(match (should.len(), should.pop()) {
        (1, Some(only)) => only,
        (_, None) => Query::Nothing,
        (_, Some(last)) => {
            should.push(last);
            Query::Bool(Bool { should, at_least: 1, ..Bool::default() })
        }
    })
}

/// A list of names, or one; `None` where nothing is said.
pub(super) fn fields(value: Option<&Value>) -> Result<Option<Vec<Field>>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(one)) => Ok(Some(vec![Field::parse(one)])),
        Some(Value::Array(all)) if all.is_empty() => Err(Error::illegal("[fields] must not be empty")),
        Some(Value::Array(all)) if all.len() <= 256 => {
            Ok(Some(all.iter().filter_map(Value::as_str).map(Field::parse).collect()))
        }
        Some(_) => Err(Error::parsing("[fields] must be a name or a list of at most 256 names")),
    }
}

fn value_of(
    body: &Value,
    name: &str,
    compile: impl Fn(&str, bool) -> Result<regex::Regex, Error>,
) -> Result<Query, Error> {
    let key = match only(body, name)?.1.get("wildcard") {
        Some(_) => "wildcard",
        None => "value",
    };
    let (field, value, options) = field_and(body, name, key)?;
    let regex = compile(&value, is_set(options, "case_insensitive"))?;
    Ok(Query::Pattern { field: Field::parse(field), regex })
}

fn fuzzy(body: &Value) -> Result<Query, Error> {
    let (field, value, options) = field_and(body, "fuzzy", "value")?;
    let asked = options.and_then(|o| o.get("fuzziness")).and_then(count);
    Ok(fuzzy_of(Field::parse(field), &value, asked))
}

/// Where nothing is asked, as many changes as a word of its length may have.
pub(super) fn fuzzy_of(field: Field, word: &str, asked: Option<i64>) -> Query {
    let changes = match (asked, word.chars().count()) {
        (Some(n), _) => n.clamp(0, 2) as usize,
        (None, 0..=2) => 0,
        (None, 3..=5) => 1,
        (None, _) => 2,
    };
    Query::Fuzzy { field, word: word.to_lowercase(), changes }
}

fn ids(body: &Object) -> Result<Query, Error> {
    let values = body.get("values").and_then(Value::as_array);
    let values = values.ok_or_else(|| Error::parsing("[ids] requires values"))?;
    Ok(Query::Ids(values.iter().take(MAX_TERMS).filter_map(text_of).collect()))
}

/// `2`, `-1`, `75%`, `-25%`: so many of `all`.
fn minimum(value: &Value, all: usize) -> Result<usize, Error> {
    let text = text_of(value).unwrap_or_default();
    let bad = || Error::illegal(format!("minimum_should_match [{text}] is not a number or a share"));
    let all = all as i64;
    let wanted = match text.strip_suffix('%') {
        Some(share) => {
            let share: i64 = share.parse().map_err(|_| bad())?;
            let part = all.saturating_mul(share.clamp(-100, 100)) / 100;
            if share < 0 { all + part } else { part }
        }
        None => {
            let n: i64 = text.parse().map_err(|_| bad())?;
            if n < 0 { all.saturating_add(n) } else { n }
        }
    };
    Ok(wanted.max(0) as usize)
}
