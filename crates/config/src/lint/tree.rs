//! A document laid out flat: every value with its key path, its key, and the object of Kubernetes it belongs to.

use crate::yaml::{At, Entry, Node, Value};

/// Where a document was found in its file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Node,
    /// Key path of what it is embedded in, ending in a separator; empty for a file's own.
    pub(super) inside: String,
}

#[derive(Debug, Clone)]
pub(super) struct Visited<'n> {
    pub(super) path: String,
    /// The last key on the way here; that of the list for its items.
    pub(super) key: &'n str,
    /// Where that key stands; of an item, where it begins.
    pub(super) key_at: At,
    pub(super) node: &'n Node,
    /// The nearest map around it with `apiVersion` and `kind`.
    pub(super) object: Option<&'n Node>,
}

/// All values of a document, parents before children.
pub(super) struct Tree<'n> {
    pub(super) all: Vec<Visited<'n>>,
}

impl<'n> Tree<'n> {
    pub(super) fn of(document: &'n Document) -> Self {
        let mut all = Vec::new();
        let root = &document.root;
        let start =
            Visited { path: document.inside.clone(), key: "", key_at: root.at, node: root, object: None };
        collect(start, &mut all);
        Tree { all }
    }

    /// Everything written under one of these keys.
    pub(super) fn under<'t>(&'t self, keys: &'t [&str]) -> impl Iterator<Item = &'t Visited<'n>> {
        self.all.iter().filter(|v| keys.contains(&v.key) && !v.path.ends_with(']'))
    }
}

// Documents are at most as deep as the YAML reader allows, so the recursion is bounded.
fn collect<'n>(mut here: Visited<'n>, all: &mut Vec<Visited<'n>>) {
    if here.node.get("kind").is_some() && here.node.get("apiVersion").is_some() {
        here.object = Some(here.node);
    }
    let (node, object, key) = (here.node, here.object, here.key);
    let path = here.path.clone();
    all.push(here);
    for (i, item) in node.items().iter().enumerate() {
        let path = format!("{path}[{i}]");
        collect(Visited { path, key, key_at: item.at, node: item, object }, all);
    }
    for e in node.entries() {
        let path = joined(&path, &e.key);
        collect(Visited { path, key: &e.key, key_at: e.at, node: &e.node, object }, all);
    }
}

pub(super) fn joined(path: &str, key: &str) -> String {
    match path.is_empty() || path.ends_with(": ") {
        true => format!("{path}{key}"),
        false => format!("{path}.{key}"),
    }
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// The text under the first of these keys that is there.
    pub(super) fn text_of(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|k| self.get(k)).and_then(Node::text)
    }

    /// What is at the end of a way of keys.
    pub(super) fn at_path(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |n, k| n.get(k))
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self.text() {
            Some(text) => vec![text],
            None => self.items().iter().filter_map(Node::text).collect(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.text().is_some_and(|t| t.eq_ignore_ascii_case("true") || t == "1")
    }

    /// Moves everything below to where an embedded document stands in its file.
    pub(super) fn shift(&mut self, lines: u64, columns: u64) {
        let moved = |at: &mut At| {
            at.line += lines;
            at.column += columns;
        };
        moved(&mut self.at);
        match &mut self.value {
            Value::Null | Value::Scalar(..) => {}
            Value::List(items) => items.iter_mut().for_each(|n| n.shift(lines, columns)),
            Value::Map(entries) => {
                for e in entries {
                    moved(&mut e.at);
                    e.node.shift(lines, columns);
                }
            }
        }
    }
}
