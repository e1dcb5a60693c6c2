//! One map of a `prometheus.yml` being read: keys are taken one by one, and what is left at the end is not known.

use std::time::Duration;

use crate::{
    check::Checker,
    scalar,
    yaml::{At, Entry, Node, Value},
};

pub(crate) struct Section<'n> {
    /// Dotted, for messages.
    pub(crate) field: String,
    pub(crate) at: At,
    entries: &'n [Entry],
    taken: Vec<bool>,
}

impl<'n> Section<'n> {
    /// Reads `node` as a map; null is an empty one.
    pub(crate) fn open(node: &'n Node, field: impl Into<String>, c: &mut Checker<'_>) -> Option<Self> {
        let field = field.into();
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                c.problem_at(&field, node.at, "must be a map of keys and values");
                return None;
            }
        };
        Some(Section { field, at: node.at, entries, taken: vec![false; entries.len()] })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<&'n Node> {
        let i = self.entries.iter().position(|e| e.key == key)?;
        if let Some(t) = self.taken.get_mut(i) {
            *t = true;
        }
        self.entries.get(i).map(|e| &e.node)
    }

    /// Where the value of a key is, or the section itself.
    pub(crate) fn place(&self, key: &str) -> At {
        self.entries.iter().find(|e| e.key == key).map_or(self.at, |e| e.node.at)
    }

    pub(crate) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.field)
    }

    /// A problem with the value of a key.
    pub(crate) fn problem(&self, key: &str, c: &mut Checker<'_>, message: impl Into<String>) {
        c.problem_at(&self.name(key), self.place(key), message);
    }

    /// A problem with the section as a whole.
    pub(crate) fn wrong(&self, c: &mut Checker<'_>, message: impl Into<String>) {
        c.problem_at(&self.field, self.at, message);
    }

    /// Names every key that nobody took.
    pub(crate) fn finish(self, c: &mut Checker<'_>) {
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            if !taken {
                let place = if self.field.is_empty() { "here" } else { &self.field };
                let message = format!("{:?} is not a key of {place}; correct or remove it", entry.key);
                c.problem_at(&self.name(&entry.key), entry.at, message);
            }
        }
    }

    /// Text, where it is there and not empty.
    pub(crate) fn text(&mut self, key: &str, c: &mut Checker<'_>) -> Option<String> {
        self.written_text(key, c).filter(|t| !t.is_empty())
    }

    /// Text as written, which may be empty.
    pub(crate) fn written_text(&mut self, key: &str, c: &mut Checker<'_>) -> Option<String> {
        match &self.take(key)?.value {
            Value::Null => None,
            Value::Scalar(text, _) => Some(text.clone()),
            _ => {
                self.problem(key, c, "must be a single value");
                None
            }
        }
    }

    fn parsed<T>(
        &mut self,
        key: &str,
        c: &mut Checker<'_>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.written_text(key, c)?;
        match parse(&text) {
            Ok(v) => Some(v),
            Err(message) => {
                self.problem(key, c, message);
                None
            }
        }
    }

    pub(crate) fn flag(&mut self, key: &str, c: &mut Checker<'_>) -> Option<bool> {
        self.parsed(key, c, |t| match t.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Ok(true),
            "false" | "no" | "off" | "n" => Ok(false),
            _ => Err(format!("{t:?} is neither true nor false")),
        })
    }

    pub(crate) fn count(&mut self, key: &str, c: &mut Checker<'_>) -> Option<u64> {
        let number = |t: &str| t.replace('_', "").parse();
        self.parsed(key, c, |t| number(t).map_err(|_| format!("{t:?} is not a whole number of at least 0")))
    }

    pub(crate) fn integer(&mut self, key: &str, c: &mut Checker<'_>) -> Option<i64> {
        let number = |t: &str| t.replace('_', "").parse();
        self.parsed(key, c, |t| number(t).map_err(|_| format!("{t:?} is not a whole number")))
    }

    pub(crate) fn number(&mut self, key: &str, c: &mut Checker<'_>) -> Option<f64> {
        self.parsed(key, c, |t| t.parse().map_err(|_| format!("{t:?} is not a number")))
    }

    pub(crate) fn duration(&mut self, key: &str, c: &mut Checker<'_>) -> Option<Duration> {
        self.parsed(key, c, scalar::duration)
    }

    /// A size with its unit, in powers of 1024 whatever the unit is called, as Prometheus has it.
    pub(crate) fn size(&mut self, key: &str, c: &mut Checker<'_>) -> Option<u64> {
        self.parsed(key, c, size)
    }

    /// A size, or a share of something, as the node's own keys have it.
    pub(crate) fn amount(&mut self, key: &str, c: &mut Checker<'_>) -> Option<scalar::Amount> {
        self.parsed(key, c, scalar::amount)
    }

    pub(crate) fn list(&mut self, key: &str, c: &mut Checker<'_>) -> Option<&'n [Node]> {
        match &self.take(key)?.value {
            Value::Null => None,
            Value::List(items) => Some(items),
            _ => {
                self.problem(key, c, "must be a list");
                None
            }
        }
    }

    pub(crate) fn texts(&mut self, key: &str, c: &mut Checker<'_>) -> Option<Vec<String>> {
        let items = self.list(key, c)?;
        Some(items.iter().filter_map(|n| text_of(n, &self.name(key), c)).collect())
    }

    /// A map of names and single values, in the order written.
    pub(crate) fn pairs(&mut self, key: &str, c: &mut Checker<'_>) -> Vec<(String, String, At)> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let name = self.name(key);
        let Some(mut inner) = Section::open(node, name.clone(), c) else { return Vec::new() };
        let mut out = Vec::new();
        for e in inner.entries {
            inner.take(&e.key);
            if let Some(text) = text_of(&e.node, &name, c) {
                out.push((e.key.clone(), text, e.at));
            }
        }
        out
    }

    /// A map of names and lists of values.
    pub(crate) fn lists(&mut self, key: &str, c: &mut Checker<'_>) -> Vec<(String, Vec<String>)> {
        let Some(mut inner) = self.section(key, c) else { return Vec::new() };
        let names: Vec<&str> = inner.entries.iter().map(|e| e.key.as_str()).collect();
        names.into_iter().map(|n| (n.to_owned(), inner.texts(n, c).unwrap_or_default())).collect()
    }

    /// A map inside this one.
    pub(crate) fn section(&mut self, key: &str, c: &mut Checker<'_>) -> Option<Section<'n>> {
        let node = self.take(key)?;
        if node.value == Value::Null {
            return None;
        }
        Section::open(node, self.name(key), c)
    }

    /// The maps of a list; an empty entry is a problem.
    pub(crate) fn sections(&mut self, key: &str, c: &mut Checker<'_>) -> Vec<Section<'n>> {
        let Some(items) = self.list(key, c) else { return Vec::new() };
        let mut out = Vec::new();
        for node in items {
            match Section::open(node, self.name(key), c) {
                Some(s) if s.is_empty() => s.wrong(c, "has an empty entry; fill or remove it"),
                Some(s) => out.push(s),
                None => {}
            }
        }
        out
    }

    /// Names of the keys of this section.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'n str> + use<'n> {
        self.entries.iter().map(|e| e.key.as_str())
    }
}

fn text_of(node: &Node, field: &str, c: &mut Checker<'_>) -> Option<String> {
    match &node.value {
        Value::Scalar(text, _) => Some(text.clone()),
        Value::Null => Some(String::new()),
        _ => {
            c.problem_at(field, node.at, "must be a single value");
            None
        }
    }
}

fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size, write for example 512MiB or 15MB");
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut total) = (text, 0f64);
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest.get(..digits).and_then(|d| d.parse().ok()).ok_or_else(bad)?;
        rest = rest.get(digits..).unwrap_or_default();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let power = match rest.get(..letters).unwrap_or_default() {
            "B" => 0,
            "KiB" | "KB" => 1,
            "MiB" | "MB" => 2,
            "GiB" | "GB" => 3,
            "TiB" | "TB" => 4,
            "PiB" | "PB" => 5,
            "EiB" | "EB" => 6,
            _ => return Err(bad()),
        };
        total += number * 1024f64.powi(power);
        rest = rest.get(letters..).unwrap_or_default();
    }
    match total < i64::MAX as f64 {
        true => Ok(total as u64),
        false => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_count_in_powers_of_1024() {
        assert_eq!(size("15MB"), Ok(15 << 20));
        assert_eq!(size("1KiB512B"), Ok(1536));
        assert_eq!(size("0"), Ok(0));
        for bad in ["100", "", "1XB", "-1MB", "9999999EB", "MB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
