//! Queries people type: Lucene's syntax (`query_string`, the parameter `q`) and its forgiving sister
//! (`simple_query_string`).
//!
//! ```text
//! level:error AND (path:/a.*/ OR NOT "not found"~2) +host.name:web* -status:[400 TO 499} _exists_:user size:>=5
//! ```
//! `AND` binds before `OR`.

use serde_json::{Map, Value};

use super::{
    Bool, Context, Query, Range,
    parse::{any_of, fields, fuzzy_of, phrase_of, text_of, words_of},
};
use crate::{Error, field::Field, pattern};

/// Parentheses nest no deeper, and a text has no more clauses.
const MAX_DEPTH: usize = 32;
const MAX_CLAUSES: usize = 1024;

/// `{"query": …, "default_field": …, "fields": […], "default_operator": …}`.
pub(super) fn query_string(body: &Map<String, Value>, context: &Context) -> Result<Query, Error> {
    let query = body.get("query").and_then(text_of);
    let query = query.ok_or_else(|| Error::parsing("[query_string] must be provided with a [query]"))?;
    let named = fields(body.get("fields"))?.or(fields(body.get("default_field"))?);
    let and =
        body.get("default_operator").and_then(Value::as_str).is_some_and(|o| o.eq_ignore_ascii_case("and"));
    parse_lucene(&query, named, and, context)
}

/// A text in Lucene's syntax; words without a field are looked for in `fields`, or everywhere.
pub fn parse_lucene(
    text: &str,
    fields: Option<Vec<Field>>,
    and: bool,
    context: &Context,
) -> Result<Query, Error> {
    if text.trim().is_empty() {
        return Ok(Query::Nothing);
    }
    let fields = fields.unwrap_or_else(|| vec![Field::Any]);
    let mut p = Parser { text, rest: text, fields, and, now_ns: context.now_ns, depth: 0, clauses: 0 };
    let query = p.any()?;
    match p.rest.trim_start().is_empty() {
        true => Ok(query),
        false => Err(p.error("unexpected")),
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    fields: Vec<Field>,
    and: bool,
    now_ns: i64,
    depth: usize,
    clauses: usize,
}

#[derive(PartialEq, Clone, Copy)]
enum Occur {
    Should,
    Must,
    Not,
}

/// What ends a word.
const SPECIAL: &[char] = &['(', ')', '[', ']', '{', '}', '"', '^', '~', ':'];

impl<'a> Parser<'a> {
    fn error(&self, what: &str) -> Error {
        let at = self.text.len() - self.rest.len();
        let text: String = self.text.chars().take(200).collect();
        Error::Request {
            name: "query_shard_exception",
            reason: format!("Failed to parse query [{text}]: {what} at byte {at}"),
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A word in capitals that stands by itself.
    fn keyword(&mut self, words: &[&str]) -> bool {
        self.skip_spaces();
        for word in words {
            if let Some(rest) = self.rest.strip_prefix(word) {
                let symbol = !word.starts_with(char::is_alphabetic);
                if symbol || rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '(') {
                    self.rest = rest;
                    return true;
                }
            }
        }
        false
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(self.error("parentheses nest too deep")),
            false => Ok(()),
        }
    }

    /// Alternatives.
    fn any(&mut self) -> Result<Query, Error> {
        self.enter()?;
        let mut all = vec![self.sequence()?];
        while self.keyword(&["OR", "||"]) {
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        any_of(all)
    }

    /// Clauses one after the other up to `OR`, `)` or the end; those that `AND` joins belong together.
    fn sequence(&mut self) -> Result<Query, Error> {
        let mut groups: Vec<Vec<(Occur, Query)>> = vec![vec![self.clause()?]];
        loop {
            if self.keyword(&["AND", "&&"]) {
                let next = self.clause()?;
                if let Some(last) = groups.last_mut() {
                    last.push(next);
                }
                continue;
            }
            self.skip_spaces();
            let before = self.rest;
            if self.rest.is_empty() || self.rest.starts_with(')') || self.keyword(&["OR", "||"]) {
                self.rest = before;
                break;
            }
            groups.push(vec![self.clause()?]);
        }
        let mut out = Bool::default();
        for mut group in groups {
            let (occur, query) = match group.pop() {
                Some(one) if group.is_empty() => one,
                Some(last) => {
                    group.push(last);
                    (Occur::Should, all_of(group))
                }
                None => continue,
            };
            match occur {
                Occur::Must => out.must.push(query),
                Occur::Not => out.must_not.push(query),
                Occur::Should if self.and => out.must.push(query),
                Occur::Should => out.should.push(query),
            }
        }
        Ok(simplified(out))
    }

    fn clause(&mut self) -> Result<(Occur, Query), Error> {
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return Err(self.error("too many clauses"));
        }
        let mut occur = Occur::Should;
        loop {
            if self.keyword(&["NOT", "!", "-"]) {
                occur = if occur == Occur::Not { Occur::Must } else { Occur::Not };
            } else if self.keyword(&["+"]) {
                occur = Occur::Must;
            } else {
                break;
            }
        }
        self.skip_spaces();
        let field = self.field()?;
        let query = match field {
            Some(name) => {
                let before = std::mem::replace(&mut self.fields, vec![Field::parse(&name)]);
                let inner = if name == "_exists_" { self.exists() } else { self.value() };
                self.fields = before;
                inner?
            }
            None => self.value()?,
        };
        if self.eat("^") {
            let digits = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
            self.rest = self.rest.get(digits..).unwrap_or_default();
        }
        Ok((occur, query))
    }

    /// The name before a colon, if one is there.
    fn field(&mut self) -> Result<Option<String>, Error> {
        let before = self.rest;
        let name = self.word(&[]);
        if !name.is_empty() && self.rest.starts_with(':') {
            self.rest = self.rest.get(1..).unwrap_or_default();
            self.skip_spaces();
            return Ok(Some(unescaped(name)));
        }
        self.rest = before;
        Ok(None)
    }

    fn exists(&mut self) -> Result<Query, Error> {
        let name =
            if self.rest.starts_with('"') { self.quoted('"')?.to_owned() } else { self.word(&[]).to_owned() };
        match name.is_empty() {
            true => Err(self.error("a field is missing")),
            false => Ok(Query::Exists(Field::parse(&unescaped(&name)))),
        }
    }

    /// A word as it stands there, escapes included.
    fn word(&mut self, also: &[char]) -> &'a str {
        let mut end = self.rest.len();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c.is_whitespace() || SPECIAL.contains(&c) || also.contains(&c) {
                end = at;
                break;
            }
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn quoted(&mut self, quote: char) -> Result<&'a str, Error> {
        let inner = self.rest.get(1..).unwrap_or_default();
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                let (text, rest) = inner.split_at(at);
                self.rest = rest.get(1..).unwrap_or_default();
                return Ok(text);
            }
        }
        Err(self.error("a quote is not closed"))
    }

    fn value(&mut self) -> Result<Query, Error> {
        self.skip_spaces();
        match self.rest.chars().next() {
            None => Err(self.error("a value is missing")),
            Some('(') => {
                self.eat("(");
                let inner = self.any()?;
                self.skip_spaces();
                if self.eat(")") { Ok(inner) } else { Err(self.error("a parenthesis is not closed")) }
            }
            Some('"') => {
                let text = unescaped(self.quoted('"')?);
                let slop = self.number_behind_tilde().unwrap_or(0);
                self.each(|field| Ok(phrase_of(field, &text, slop, false)))
            }
            Some('/') => {
                let text = self.quoted('/')?.to_owned();
                self.each(|field| Ok(Query::Pattern { field, regex: pattern::lucene(&text, false)? }))
            }
            Some('[' | '{') => self.range(),
            Some('>' | '<') => self.comparison(),
            Some(_) => self.plain(),
        }
    }

    fn number_behind_tilde(&mut self) -> Option<i64> {
        if !self.eat("~") {
            return None;
        }
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        number.parse().ok().or(Some(-1))
    }

    fn plain(&mut self) -> Result<Query, Error> {
        let word = self.word(&[]);
        if word.is_empty() {
            return Err(self.error("a value is missing"));
        }
        if word == "*" {
            return self.each(|field| {
                Ok(if matches!(field, Field::Any) { Query::All } else { Query::Exists(field) })
            });
        }
        if is_pattern(word) {
            // Escapes mean in patterns what they mean here.
            return self.each(|field| Ok(Query::Pattern { field, regex: pattern::wildcard(word, true)? }));
        }
        let text = unescaped(word);
        if self.rest.starts_with('~') {
            let changes = self.number_behind_tilde().filter(|n| *n >= 0);
            return self.each(|field| Ok(fuzzy_of(field, &text, changes)));
        }
        // Of one word that is taken apart all parts must be there.
        self.each(|field| words_of(field, &text, true, None, false, false))
    }

    fn each(&self, make: impl Fn(Field) -> Result<Query, Error>) -> Result<Query, Error> {
        any_of(self.fields.iter().cloned().map(make).collect::<Result<_, _>>()?)
    }

    fn range(&mut self) -> Result<Query, Error> {
        let from_inclusive = self.rest.starts_with('[');
        self.rest = self.rest.get(1..).unwrap_or_default();
        let from = self.bound()?;
        if !self.keyword(&["TO"]) {
            return Err(self.error("a range needs TO"));
        }
        let to = self.bound()?;
        self.skip_spaces();
        let to_inclusive = self.rest.starts_with(']');
        if !to_inclusive && !self.rest.starts_with('}') {
            return Err(self.error("a range is not closed"));
        }
        self.rest = self.rest.get(1..).unwrap_or_default();
        let now = self.now_ns;
        self.each(|field| {
            let (from, to) = (Some((from.as_str(), from_inclusive)), Some((to.as_str(), to_inclusive)));
            Ok(Query::Range(Range::of_texts(field, from, to, now)?))
        })
    }

    fn bound(&mut self) -> Result<String, Error> {
        self.skip_spaces();
        if self.rest.starts_with('"') {
            return Ok(unescaped(self.quoted('"')?));
        }
        let end =
            self.rest.find(|c: char| c.is_whitespace() || c == ']' || c == '}').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if text.is_empty() { Err(self.error("a bound is missing")) } else { Ok(unescaped(text)) }
    }

    fn comparison(&mut self) -> Result<Query, Error> {
        let greater = self.eat(">");
        if !greater {
            self.eat("<");
        }
        let inclusive = self.eat("=");
        self.skip_spaces();
        let end = self.rest.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        if text.is_empty() {
            return Err(self.error("a bound is missing"));
        }
        self.rest = rest;
        let bound = unescaped(text.trim_matches('"'));
        let now = self.now_ns;
        self.each(|field| {
            let side = Some((bound.as_str(), inclusive));
            let (from, to) = if greater { (side, None) } else { (None, side) };
            Ok(Query::Range(Range::of_texts(field, from, to, now)?))
        })
    }
}

fn all_of(group: Vec<(Occur, Query)>) -> Query {
    let mut out = Bool::default();
    for (occur, query) in group {
        match occur {
            Occur::Not => out.must_not.push(query),
            _ => out.must.push(query),
        }
    }
    Query::Bool(out)
}

/// One clause is itself; what should be there must, where nothing else must.
fn simplified(mut b: Bool) -> Query {
    b.at_least = usize::from(b.must.is_empty() && !b.should.is_empty());
    match (b.must.len(), b.should.len(), b.must_not.len()) {
        (1, 0, 0) => b.must.pop().unwrap_or(Query::Nothing),
        (0, 1, 0) => b.should.pop().unwrap_or(Query::Nothing),
        _ => Query::Bool(b),
    }
}

fn is_pattern(word: &str) -> bool {
    let mut escaped = false;
    word.chars().any(|c| {
        let special = !escaped && (c == '*' || c == '?');
        escaped = !escaped && c == '\\';
        special
    })
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Never an error: `+` and, `|` or, `-` not, quotes, a star behind a word, parentheses passed over.
pub(super) fn simple_query_string(body: &Map<String, Value>) -> Result<Query, Error> {
    let query = body.get("query").and_then(text_of);
    let query =
        query.ok_or_else(|| Error::parsing("[simple_query_string] must be provided with a [query]"))?;
    let named = fields(body.get("fields"))?.unwrap_or_else(|| vec![Field::Any]);
    let and =
        body.get("default_operator").and_then(Value::as_str).is_some_and(|o| o.eq_ignore_ascii_case("and"));
    let mut groups: Vec<Bool> = vec![Bool::default()];
    let mut rest = query.as_str();
    let mut clauses = 0;
    let mut must_next = false;
    while let Some(c) = rest.trim_start().chars().next() {
        rest = rest.trim_start();
        clauses += 1;
        if clauses > MAX_CLAUSES {
            return Err(Error::illegal(format!("[simple_query_string] has more than {MAX_CLAUSES} clauses")));
        }
        if c == '|' {
            groups.push(Bool::default());
        } else if c == '+' {
            must_next = true;
        }
        if "|+()".contains(c) {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let not = c == '-';
        if not {
            rest = rest.get(1..).unwrap_or_default();
        }
        let (query, left) = simple_value(rest, &named)?;
        rest = left;
        let (Some(query), Some(group)) = (query, groups.last_mut()) else { continue };
        if not {
            group.must_not.push(query);
        } else if and || std::mem::take(&mut must_next) {
            // What stands before a plus must be there as well.
            group.must.append(&mut group.should);
            group.must.push(query);
        } else {
            group.should.push(query);
        }
    }
    let empty = |b: &Bool| b.must.is_empty() && b.should.is_empty() && b.must_not.is_empty();
    any_of(groups.into_iter().filter(|b| !empty(b)).map(simplified).collect())
}

fn simple_value<'a>(text: &'a str, fields: &[Field]) -> Result<(Option<Query>, &'a str), Error> {
    if let Some(inner) = text.strip_prefix('"')
        && let Some((phrase, rest)) = inner.split_once('"')
    {
        let digits =
            rest.strip_prefix('~').map_or(0, |r| 1 + r.bytes().take_while(u8::is_ascii_digit).count());
        let (slop, rest) = rest.split_at(digits);
        let slop = slop.get(1..).and_then(|s| s.parse().ok()).unwrap_or(0);
        let each = fields.iter().cloned().map(|f| phrase_of(f, phrase, slop, false)).collect();
        return Ok((Some(any_of(each)?), rest));
    }
    let text = text.trim_start_matches('"');
    let end = text.find(|c: char| c.is_whitespace() || "|()\"".contains(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.is_empty() {
        return Ok((None, rest));
    }
    let one = |field: Field| match word.strip_suffix('*') {
        Some("") => Ok(Query::Exists(field)),
        Some(prefix) => Ok(Query::Pattern { field, regex: pattern::prefix(prefix, true)? }),
        None => words_of(field, word, true, None, false, false),
    };
    let each = fields.iter().cloned().map(one).collect::<Result<_, _>>()?;
    Ok((Some(any_of(each)?), rest))
}
