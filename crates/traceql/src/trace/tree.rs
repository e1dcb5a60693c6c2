//! Which span is whose parent, and the nested sets of the whole.
//!
//! A span that no way of parents leads from to a root is not placed: its bounds are 0 and it is related to nothing.
//! Its parent may have been lost or may still come.

use std::collections::HashMap;

use model::{Span, SpanKind};

/// The parent of a root, as a nested set numbers it.
const NO_PARENT: i64 = -1;

#[derive(Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Placed spans from the roots down: parents before their children, subtrees together.
    order: Vec<u32>,
}

#[derive(Clone, Default)]
struct Node {
    parent: Option<u32>,
    children: u32,
    /// From 1; 0 for spans that are not placed.
    left: i64,
    right: i64,
    is_root: bool,
}

impl Tree {
    pub fn of(spans: &[&Span]) -> Self {
        let mut by_id: HashMap<[u8; 8], Vec<u32>> = HashMap::with_capacity(spans.len());
        for (i, s) in spans.iter().enumerate() {
            by_id.entry(s.span_id).or_default().push(i as u32);
        }
        let mut nodes = vec![Node::default(); spans.len()];
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); spans.len()];
        for (i, s) in spans.iter().enumerate() {
            nodes[i].is_root = s.parent_span_id == [0; 8];
            let parent = if nodes[i].is_root { None } else { parent(s, i as u32, &by_id, spans) };
            nodes[i].parent = parent;
            if let Some(p) = parent {
                nodes[p as usize].children += 1;
                children[p as usize].push(i as u32);
            }
        }
        let mut tree = Tree { nodes, order: Vec::with_capacity(spans.len()) };
        let roots: Vec<u32> = (0..spans.len() as u32).filter(|i| tree.nodes[*i as usize].is_root).collect();
        tree.place(&roots, &children);
        tree
    }

    /// Numbers each span on the way down and on the way up.
    fn place(&mut self, roots: &[u32], children: &[Vec<u32>]) {
        let mut bound = 1;
        for root in roots {
            // Span and the child to go down to next.
            let mut way = vec![(*root, 0)];
            while let Some((at, next)) = way.last_mut() {
                let i = *at as usize;
                if *next == 0 {
                    self.nodes[i].left = bound;
                    self.order.push(*at);
                    bound += 1;
                }
                let child = children[i].get(*next).copied();
                *next += 1;
                match child {
                    Some(c) => way.push((c, 0)),
                    None => {
                        self.nodes[i].right = bound;
                        bound += 1;
                        way.pop();
                    }
                }
            }
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    pub fn order(&self) -> &[u32] {
        &self.order
    }

    pub fn is_placed(&self, at: u32) -> bool {
        self.node(at).is_some_and(|n| n.left != 0)
    }

    /// The parent that is known, whether or not the span is placed.
    pub fn parent(&self, at: u32) -> Option<u32> {
        self.node(at)?.parent
    }

    pub fn children(&self, at: u32) -> u32 {
        self.node(at).map_or(0, |n| n.children)
    }

    /// Left and right bound; 0 where it is not placed.
    pub fn bounds(&self, at: u32) -> (i64, i64) {
        self.node(at).map_or((0, 0), |n| (n.left, n.right))
    }

    /// The left bound of the parent; -1 for roots, 0 where it is not placed.
    pub fn nested_parent(&self, at: u32) -> i64 {
        match self.node(at) {
            Some(n) if n.is_root => NO_PARENT,
            Some(n) if n.left != 0 => n.parent.map_or(0, |p| self.bounds(p).0),
            _ => 0,
        }
    }
}

/// Where client and server share an id, a server's parent is the client, and everything else's the server.
fn parent(span: &Span, at: u32, by_id: &HashMap<[u8; 8], Vec<u32>>, spans: &[&Span]) -> Option<u32> {
    let found = by_id.get(&span.parent_span_id)?;
    match found.as_slice() {
        [one] => (*one != at).then_some(*one),
        several => {
            let wanted = if span.kind == SpanKind::Server { SpanKind::Client } else { SpanKind::Server };
            several
                .iter()
                .copied()
                .find(|i| *i != at && spans.get(*i as usize).is_some_and(|s| s.kind == wanted))
        }
    }
}
