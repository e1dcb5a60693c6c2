//! Which spans are related. Everything is one or two walks over the trace, whatever the number of spans on either
//! side.

use crate::{
    ast::{Relation, Side},
    trace::Tree,
};

/// Spans that `side` asks for, ascending. Both sides are ascending.
pub(super) fn related(tree: &Tree, relation: Relation, side: Side, left: &[u32], right: &[u32]) -> Vec<u32> {
    match side {
        Side::Right => {
            having(tree, relation, right, left).into_iter().filter_map(|(i, has)| has.then_some(i)).collect()
        }
        Side::NotRight => having(tree, relation, right, left)
            .into_iter()
            .filter_map(|(i, has)| (!has).then_some(i))
            .collect(),
        Side::Both => {
            let of = |all: Vec<(u32, bool)>| -> Vec<u32> {
                all.into_iter().filter_map(|(i, has)| has.then_some(i)).collect()
            };
            let rights = of(having(tree, relation, right, left));
            let lefts = of(having(tree, inverse(relation), left, right));
            super::union(&lefts, &rights)
        }
    }
}

/// How spans of the left stand to those of the right.
fn inverse(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}

/// Of each span, whether it is child, parent, ... of one of the others.
fn having(tree: &Tree, relation: Relation, spans: &[u32], others: &[u32]) -> Vec<(u32, bool)> {
    let marks = Marks::of(others);
    let mut has = Has::new(tree, relation, &marks);
    spans.iter().map(|i| (*i, tree.is_placed(*i) && has.related(*i))).collect()
}

/// A set of spans.
struct Marks(Vec<bool>);

impl Marks {
    fn of(spans: &[u32]) -> Self {
        let mut marks = vec![false; spans.last().map_or(0, |i| *i as usize + 1)];
        for i in spans {
            marks[*i as usize] = true;
        }
        Marks(marks)
    }

    fn has(&self, at: u32) -> bool {
        self.0.get(at as usize).copied().unwrap_or_default()
    }
}

struct Has<'a> {
    tree: &'a Tree,
    relation: Relation,
    marks: &'a Marks,
    /// By span: whether an ancestor is marked, or how many children or descendants are.
    counts: Vec<u32>,
    /// How many roots are marked.
    roots: u32,
}

impl<'a> Has<'a> {
    fn new(tree: &'a Tree, relation: Relation, marks: &'a Marks) -> Self {
        let size = tree.order().iter().max().map_or(0, |i| *i as usize + 1);
        let mut has = Has { tree, relation, marks, counts: vec![0; size], roots: 0 };
        match relation {
            Relation::Child => {}
            Relation::Descendant => has.count_ancestors(),
            Relation::Parent | Relation::Sibling => has.count_children(),
            Relation::Ancestor => has.count_descendants(),
        }
        has
    }

    fn count_ancestors(&mut self) {
        for at in self.tree.order() {
            let Some(p) = self.tree.parent(*at) else { continue };
            let above = self.counts[p as usize] + u32::from(self.marks.has(p));
            self.counts[*at as usize] = above.min(1);
        }
    }

    fn count_children(&mut self) {
        for at in self.tree.order().iter().filter(|i| self.marks.has(**i)) {
            match self.tree.parent(*at) {
                Some(p) => self.counts[p as usize] += 1,
                None => self.roots += 1,
            }
        }
    }

    fn count_descendants(&mut self) {
        for at in self.tree.order().iter().rev() {
            let Some(p) = self.tree.parent(*at) else { continue };
            self.counts[p as usize] += self.counts[*at as usize] + u32::from(self.marks.has(*at));
        }
    }

    fn related(&mut self, at: u32) -> bool {
        match self.relation {
            Relation::Child => self.tree.parent(at).is_some_and(|p| self.marks.has(p)),
            Relation::Parent | Relation::Descendant | Relation::Ancestor => {
                self.counts.get(at as usize).is_some_and(|n| *n > 0)
            }
            Relation::Sibling => {
                let all = match self.tree.parent(at) {
                    Some(p) => self.counts.get(p as usize).copied().unwrap_or_default(),
                    None => self.roots,
                };
                // Nobody is their own sibling.
                all > u32::from(self.marks.has(at))
            }
        }
    }
}
