//! What keeps the parts of a whole apart: the labels that tell any two of them, and which labels rows still carry as
//! their series or streams did.
//!
//! A language follows [`Kept`] through the operators of a query and asks [`Apart`] of each whether it may bring
//! together rows of two parts. It may not where what it groups or matches by tells the parts apart.

use std::collections::BTreeSet;

use model::Labels;

/// Parts that no single label tells apart are compared each with each, for many nodes; more are not divided.
const MAX_COMPARED: usize = 64;

/// The labels that rows carry with the values their origins had.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    AllBut(BTreeSet<String>),
    Only(BTreeSet<String>),
}

impl Kept {
    /// Everything but some.
    pub fn all_but<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Kept::AllBut(names.into_iter().map(str::to_owned).collect())
    }

    pub fn has(&self, name: &str) -> bool {
        match self {
            Kept::AllBut(lost) => !lost.contains(name),
            Kept::Only(left) => left.contains(name),
        }
    }

    pub fn minus<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Self {
        let mut out = self.clone();
        for name in names {
            match &mut out {
                Kept::AllBut(lost) => {
                    lost.insert(name.clone());
                }
                Kept::Only(left) => {
                    left.remove(name);
                }
            }
        }
        out
    }

    /// Those of the names that it has.
    pub fn only<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Self {
        Kept::Only(names.into_iter().filter(|n| self.has(n)).cloned().collect())
    }

    /// What both have.
    pub fn and(&self, other: &Kept) -> Self {
        match (self, other) {
            (Kept::AllBut(a), Kept::AllBut(b)) => Kept::AllBut(a.union(b).cloned().collect()),
            (Kept::Only(a), b) | (b, Kept::Only(a)) => {
                Kept::Only(a.iter().filter(|n| b.has(n)).cloned().collect())
            }
        }
    }
}

/// What tells parts apart.
pub struct Apart {
    parts: Vec<Labels>,
    /// Labels of which one alone does.
    alone: Vec<String>,
}

impl Apart {
    /// Over the labels that everything in each part carries.
    pub fn new(parts: impl IntoIterator<Item = Labels>) -> Self {
        let parts: Vec<Labels> = parts.into_iter().collect();
        let differs = |name: &str| {
            let values: BTreeSet<&str> = parts.iter().filter_map(|p| p.get(name)).collect();
            values.len() == parts.len()
        };
        let first = parts.first().into_iter().flat_map(Labels::iter);
        let alone = first.map(|(name, _)| name).filter(|n| differs(n)).map(str::to_owned).collect();
        Apart { parts, alone }
    }

    pub fn are_several(&self) -> bool {
        self.parts.len() > 1
    }

    /// Whether rows that carry these labels as their origins did differ from those of all other parts.
    pub fn told(&self, has: impl Fn(&str) -> bool) -> bool {
        if !self.are_several() || self.alone.iter().any(|n| has(n)) {
            return true;
        }
        self.parts.len() <= MAX_COMPARED
            && self.parts.iter().enumerate().all(|(i, a)| {
                self.parts.iter().skip(i + 1).all(|b| {
                    a.iter().any(|(name, value)| has(name) && b.get(name).is_some_and(|other| other != value))
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(parts: &[&[(&str, &str)]]) -> Apart {
        Apart::new(parts.iter().map(|p| Labels::from_pairs(p.iter().copied())))
    }

    #[test]
    fn parts_are_told_by_labels_that_all_have_with_other_values() {
        let of = apart(&[&[("cluster", "a"), ("zone", "x")], &[("cluster", "b"), ("zone", "x")]]);
        assert!(of.told(|n| n == "cluster") && !of.told(|n| n == "zone"));
        assert!(apart(&[&[]]).told(|_| false) && !apart(&[&[], &[]]).told(|_| true));
    }

    #[test]
    fn every_two_parts_may_be_told_by_another_label() {
        let of = apart(&[&[("a", "1"), ("b", "1")], &[("a", "1"), ("b", "2")], &[("a", "2")]]);
        assert!(of.told(|_| true) && !of.told(|n| n == "a") && !of.told(|n| n == "b"));
    }

    #[test]
    fn what_is_kept_follows_what_operators_leave() {
        let all = Kept::all_but(["x"]);
        assert!(all.has("y") && !all.has("x") && !all.minus(&["y".to_owned()]).has("y"));
        let some = all.only(&["x".to_owned(), "y".to_owned()]);
        assert!(some.has("y") && !some.has("x") && !some.has("z"));
        assert_eq!(some.and(&all), some);
        assert!(!all.and(&Kept::all_but(["z"])).has("z"));
    }
}
