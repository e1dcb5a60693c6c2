//! YAML as a tree in which every key and value knows its line. `prometheus.yml` is read this way rather than
//! through typed structures: its sections share long lists of inlined keys, all problems of a file are to be
//! named in one run, and scalars must keep the text they were written as (`1.10` is a fine label value).

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// Deepest nesting of a configuration; more is no configuration.
const MAX_DEPTH: usize = 64;
/// Nodes of a document, those that aliases repeat included: a few lines of aliases can stand for billions.
const MAX_NODES: usize = 500_000;

/// Where something is written, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct At {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    /// The text, and whether it was written without quotes.
    Scalar(String, bool),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: At,
    pub(crate) node: Node,
}

/// Why a text is no YAML, or none we take.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unread {
    pub(crate) at: At,
    pub(crate) message: String,
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.node),
            _ => None,
        }
    }
}

/// Reads the first document of a text; an empty one is null.
pub(crate) fn parse(text: &str) -> Result<Node, Unread> {
    let mut r = Reader::of(text);
    loop {
        let (event, span) = r.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node { at: at(&span), value: Value::Null }),
            event => return r.node(event, &span, 0),
        }
    }
}

/// Reads all documents of a text, such as a file of Kubernetes manifests.
pub(crate) fn parse_all(text: &str) -> Result<Vec<Node>, Unread> {
    let mut r = Reader::of(text);
    let mut documents = Vec::new();
    loop {
        let (event, span) = r.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            Event::StreamEnd => return Ok(documents),
            event => documents.push(r.node(event, &span, 0)?),
        }
    }
}

fn at(span: &Span) -> At {
    At { line: span.start.line() as u64, column: span.start.col() as u64 + 1 }
}

struct Reader<'t> {
    events: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn of(text: &'t str) -> Self {
        let options = granit_parser::options! { emit_comments: false };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Reader { events: Parser::new_from_str_with_options(text, options), anchors: HashMap::new(), nodes: 0 }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Unread> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(e)) => {
                let m = e.marker();
                let at = At { line: m.line() as u64, column: m.col() as u64 + 1 };
                let text = e.to_string();
                let message = text.split(" at char ").next().unwrap_or_default().to_owned();
                Err(Unread { at, message })
            }
            None => Err(Unread { at: At::default(), message: "the document ends too early".to_owned() }),
        }
    }

    fn count(&mut self, nodes: usize, at: At) -> Result<(), Unread> {
        self.nodes = self.nodes.saturating_add(nodes);
        match self.nodes > MAX_NODES {
            true => Err(Unread { at, message: format!("more than {MAX_NODES} values") }),
            false => Ok(()),
        }
    }

    /// The node that `event` begins.
    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Unread> {
        let at = at(span);
        if depth > MAX_DEPTH {
            return Err(Unread { at, message: format!("nested deeper than {MAX_DEPTH}") });
        }
        self.count(1, at)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let binary = tag.as_ref().is_some_and(|t| t.suffix() == "binary");
                let value = match text.as_ref() {
                    _ if binary => {
                        Value::Scalar(from_base64(&text).map_err(|message| Unread { at, message })?, false)
                    }
                    "" | "~" | "null" | "Null" | "NULL" if plain && tag.is_none() => Value::Null,
                    text => Value::Scalar(text.to_owned(), plain && tag.is_none()),
                };
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(Unread { at, message: "an alias to something that contains it".to_owned() });
                };
                self.count(size(&node), at)?;
                return Ok(Node { at, ..node });
            }
            other => return Err(Unread { at, message: format!("unexpected {other:?}") }),
        };
        let node = Node { at, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Unread> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Unread> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut names: std::collections::HashSet<String> = std::collections::HashSet::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, &span, depth + 1)?;
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            let (name, plain) = match key.value {
                Value::Scalar(name, plain) => (name, plain),
                Value::Null => (String::new(), false),
                _ => return Err(Unread { at: key.at, message: "a key must be a word".to_owned() }),
            };
            if name == "<<" && plain {
                merge(node, &mut merged)?;
                continue;
            }
            if !names.insert(name.clone()) {
                return Err(Unread { at: key.at, message: format!("key {name:?} is given twice") });
            }
            entries.push(Entry { key: name, at: key.at, node });
        }
        // What is written wins over what is merged, and of several merged the first.
        for entry in merged {
            if names.insert(entry.key.clone()) {
                entries.push(entry);
            }
        }
        Ok(Value::Map(entries))
    }
}

/// `<<: *anchor` or `<<: [*a, *b]`.
fn merge(node: Node, into: &mut Vec<Entry>) -> Result<(), Unread> {
    match node.value {
        Value::Map(entries) => into.extend(entries),
        Value::List(items) => {
            for item in items {
                match item.value {
                    Value::Map(entries) => into.extend(entries),
                    _ => return Err(Unread { at: item.at, message: "only maps can be merged".to_owned() }),
                }
            }
        }
        _ => return Err(Unread { at: node.at, message: "only maps can be merged".to_owned() }),
    }
    Ok(())
}

fn size(node: &Node) -> usize {
    // Nodes are at most MAX_DEPTH deep, so the recursion is bounded.
    match &node.value {
        Value::Null | Value::Scalar(..) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|e| size(&e.node)).sum::<usize>(),
    }
}

/// `!!binary`; our values are text, so its bytes must be some.
fn from_base64(text: &str) -> Result<String, String> {
    let mut bits: u32 = 0;
    let mut held = 0;
    let mut bytes = Vec::new();
    let body: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let digits = body.iter().rposition(|b| *b != b'=').map_or(0, |i| i + 1);
    if !body.len().is_multiple_of(4) || body.len() - digits > 2 {
        return Err("!!binary is not valid base64".to_owned());
    }
    for b in body.get(..digits).unwrap_or_default() {
        let digit = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err("!!binary is not valid base64".to_owned()),
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    String::from_utf8(bytes).map_err(|_| "!!binary does not hold valid UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scalar(node: Option<&Node>) -> &str {
        match node.map(|n| &n.value) {
            Some(Value::Scalar(text, _)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scalars_keep_their_text_and_everything_its_line() {
        let doc = parse("a: 1.10\nb:\n- x\n- ~\nc: \"null\"\n").unwrap();
        assert_eq!(scalar(doc.get("a")), "1.10");
        let b = doc.get("b").unwrap();
        let Value::List(items) = &b.value else { panic!() };
        assert_eq!((items[0].at.line, items[0].at.column), (3, 3));
        assert_eq!(items[1].value, Value::Null);
        assert_eq!(scalar(doc.get("c")), "null");
        assert_eq!(parse("# nothing\n").unwrap().value, Value::Null);
        assert_eq!(parse("").unwrap().value, Value::Null);
    }

    #[test]
    fn aliases_and_merges_are_resolved_and_bounded() {
        let doc = parse("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\nc: *x\n").unwrap();
        assert_eq!(scalar(doc.get("b").unwrap().get("k")), "3");
        assert_eq!(scalar(doc.get("b").unwrap().get("l")), "2");
        assert_eq!(scalar(doc.get("c").unwrap().get("k")), "1");
        let mut bomb = "a: &a0 [1,1,1,1,1,1,1,1,1]\n".to_owned();
        for i in 0..9 {
            let all = vec![format!("*a{i}"); 9].join(",");
            bomb.push_str(&format!("b{i}: &a{} [{all}]\n", i + 1));
        }
        assert!(parse(&bomb).unwrap_err().message.contains("values"));
        assert!(parse(&"[".repeat(1000)).is_err());
    }

    #[test]
    fn a_key_given_twice_and_bytes_that_are_no_text_are_named() {
        let e = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!((e.at.line, e.message.as_str()), (3, "key \"a\" is given twice"));
        assert!(parse("a: !!binary \"/w==\"").unwrap_err().message.contains("UTF-8"));
        assert!(parse("a: !!binary \"/w==$1\"").unwrap_err().message.contains("base64"));
        assert_eq!(scalar(parse("a: !!binary aGk=").unwrap().get("a")), "hi");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[-:a-c0-9 \\[\\]{},&*!<>|\"'\n#~]{0,80}") {
            let _ = parse(&text);
        }
    }
}
