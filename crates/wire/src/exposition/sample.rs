//! One sample line. Both formats share its shape and differ in how much they forgive:
//!
//! ```text
//! name{label="value",...} value [time] [# {label="value"} value [time]]
//! {"quoted.name","quoted.label"="value",...} value ...
//! ```

use std::borrow::Cow;

use model::labels::{is_classic_label_name, is_classic_metric_name};

use crate::text::quoted;

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// How much a format forgives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Any run of blanks, commas after the last label or none between labels.
    Text,
    /// One space exactly, exemplars; a comma after the last label, which Prometheus forgives.
    OpenMetrics,
    /// The same without that comma.
    OpenMetricsStrict,
}

#[derive(Debug)]
pub(super) struct Sample<'a> {
    pub name: Cow<'a, str>,
    pub labels: Pairs<'a>,
    pub value: f64,
    /// As written; milliseconds in one format, seconds in the other.
    pub time: Option<&'a str>,
    pub exemplar: Option<ExemplarText<'a>>,
}

#[derive(Debug)]
pub(super) struct ExemplarText<'a> {
    pub labels: Pairs<'a>,
    pub value: f64,
    pub time: Option<&'a str>,
}

/// Reads one line without its line feed.
pub(super) fn read(line: &str, dialect: Dialect) -> Result<Sample<'_>, String> {
    let mut c = Cursor { rest: line, dialect };
    let mut name: Option<Cow<'_, str>> = None;
    if !c.rest.starts_with('{') {
        name = Some(Cow::Borrowed(c.metric_name()?));
        c.blanks();
    }
    let mut labels = Pairs::new();
    if c.eat('{') {
        c.labels(&mut name, &mut labels)?;
    }
    let name = name.filter(|n| !n.is_empty()).ok_or("a sample has no name")?;
    c.separator()?;
    let value = number(c.word()).ok_or_else(|| format!("value of {} is not a number", quoted(&name)))?;
    let mut out = Sample { name, labels, value, time: None, exemplar: None };
    if c.at_end()? {
        return Ok(out);
    }
    if !c.rest.starts_with('#') {
        out.time = Some(c.word());
        if c.at_end()? {
            return Ok(out);
        }
    }
    if dialect == Dialect::Text {
        return Err(format!("unexpected {} after the sample", quoted(c.rest)));
    }
    out.exemplar = Some(c.exemplar()?);
    Ok(out)
}

/// A float as both formats write it: `NaN` in Prometheus' own bit pattern, no digit separators, no hex.
pub(super) fn number(word: &str) -> Option<f64> {
    let v: f64 = word.parse().ok()?;
    Some(if v.is_nan() { f64::from_bits(0x7ff8_0000_0000_0001) } else { v })
}

/// Reads a name that may be quoted (in metadata lines); returns it and what follows.
pub(super) fn leading_name(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let mut c = Cursor { rest: text, dialect: Dialect::OpenMetrics };
    if c.eat('"') {
        let name = c.quoted()?;
        return Ok((name, c.rest));
    }
    let name = c.metric_name()?;
    Ok((Cow::Borrowed(name), c.rest))
}

/// Resolves `\\`, `\n` and, where `quotes`, `\"`; any other backslash stands for itself.
pub(super) fn unescape(s: &str, quotes: bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', s.as_bytes()).is_none() {
        return Cow::Borrowed(s);
    }
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.clone().next() {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('"') if quotes => out.push('"'),
            _ => {
                out.push('\\');
                continue;
            }
        }
        chars.next();
    }
    Cow::Owned(out)
}

struct Cursor<'a> {
    rest: &'a str,
    dialect: Dialect,
}

impl<'a> Cursor<'a> {
    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Skips blanks where the format does not count them.
    fn blanks(&mut self) {
        if self.dialect == Dialect::Text {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
        }
    }

    /// What stands between name and value, value and time.
    fn separator(&mut self) -> Result<(), String> {
        // In text, `a{b="c"}1` is read by Prometheus too.
        if self.dialect == Dialect::Text {
            self.blanks();
        } else if !self.eat(' ') {
            return Err(format!("expected a space before {}", quoted(self.rest)));
        }
        Ok(())
    }

    /// Whether the line ends here; otherwise moves past the separator.
    fn at_end(&mut self) -> Result<bool, String> {
        self.blanks();
        if self.rest.is_empty() {
            return Ok(true);
        }
        self.separator()?;
        Ok(false)
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        self.split(end)
    }

    fn split(&mut self, at: usize) -> &'a str {
        let (head, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, ""));
        self.rest = rest;
        head
    }

    fn metric_name(&mut self) -> Result<&'a str, String> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(self.rest.len());
        let name = self.split(end);
        if is_classic_metric_name(name) {
            Ok(name)
        } else {
            Err(format!(
                "expected a metric name at {}",
                quoted(if name.is_empty() { self.rest } else { name })
            ))
        }
    }

    /// The rest of a quoted string whose opening quote is gone.
    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        let bytes = self.rest.as_bytes();
        let mut from = 0;
        loop {
            let at = bytes.get(from..).and_then(|b| memchr::memchr2(b'"', b'\\', b));
            let Some(at) = at.map(|a| a + from) else {
                return Err(format!("a quote is not closed in {}", quoted(self.rest)));
            };
            if bytes.get(at) == Some(&b'"') {
                let raw = self.split(at);
                self.eat('"');
                return Ok(unescape(raw, true));
            }
            from = at + 2;
        }
    }

    /// Everything up to and with the closing brace.
    fn labels(&mut self, name: &mut Option<Cow<'a, str>>, out: &mut Pairs<'a>) -> Result<(), String> {
        let mut first = true;
        loop {
            self.blanks();
            let trailing_ok = first || self.dialect != Dialect::OpenMetricsStrict;
            if self.rest.starts_with('}') && trailing_ok {
                self.eat('}');
                return Ok(());
            }
            self.label(name, out)?;
            first = false;
            self.blanks();
            if !self.eat(',') {
                if self.dialect == Dialect::Text && !self.rest.is_empty() && !self.rest.starts_with('}') {
                    continue;
                }
                return if self.eat('}') {
                    Ok(())
                } else {
                    Err(format!("expected ',' or '}}' before {}", quoted(self.rest)))
                };
            }
        }
    }

    fn label(&mut self, name: &mut Option<Cow<'a, str>>, out: &mut Pairs<'a>) -> Result<(), String> {
        let key = if self.eat('"') {
            let key = self.quoted()?;
            self.blanks();
            if !self.rest.starts_with('=') {
                // A quoted word alone is the metric's name.
                if name.is_some() {
                    return Err(format!("a second metric name {}", quoted(&key)));
                }
                *name = Some(key);
                return Ok(());
            }
            key
        } else {
            let end =
                self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
            let key = self.split(end);
            if !is_classic_label_name(key) {
                return Err(format!(
                    "expected a label name at {}",
                    quoted(if key.is_empty() { self.rest } else { key })
                ));
            }
            Cow::Borrowed(key)
        };
        self.blanks();
        if !self.eat('=') {
            return Err(format!("expected '=' after label {}", quoted(&key)));
        }
        self.blanks();
        if !self.eat('"') {
            return Err(format!("expected a quoted value for label {}", quoted(&key)));
        }
        let value = self.quoted()?;
        if key == model::labels::METRIC_NAME {
            return Err("the label __name__ is not allowed in an exposition".to_owned());
        }
        out.push((key, value));
        Ok(())
    }

    fn exemplar(&mut self) -> Result<ExemplarText<'a>, String> {
        if !self.rest.starts_with("# {") {
            return Err(format!("expected an exemplar at {}", quoted(self.rest)));
        }
        self.split(3);
        let mut labels = Pairs::new();
        let mut none = None;
        self.labels(&mut none, &mut labels)?;
        if none.is_some() {
            return Err("an exemplar has no name".to_owned());
        }
        self.separator()?;
        let value = number(self.word()).ok_or("the value of an exemplar is not a number")?;
        let mut out = ExemplarText { labels, value, time: None };
        if !self.at_end()? {
            out.time = Some(self.word());
            if !self.at_end()? {
                return Err(format!("unexpected {} after the exemplar", quoted(self.rest)));
            }
        }
        Ok(out)
    }
}
