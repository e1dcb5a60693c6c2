//! Conditions decided over the bodies of a batch, by walking where automata can.

use std::sync::Arc;

use super::{
    bodies::{Bodies, Body},
    template::{Table, Template},
    walk::{LANES, Walker},
};
use crate::{
    Result,
    lines::{LineCondition, Test},
};

const NO_ROW: u32 = u32::MAX;

/// Decides a condition over rows of one segment.
pub(in crate::logs) struct Sieve {
    condition: Arc<LineCondition>,
    walkers: Vec<Option<Walker>>,
    buffer: Vec<u8>,
    by_template: ByTemplate,
}

/// Rows of a batch by their template.
#[derive(Default)]
struct ByTemplate {
    /// By template the first row that has it; the place behind them is of rows without one.
    first: Vec<u32>,
    /// By row the next one of its template.
    next: Vec<u32>,
    /// Places of `first` that are taken.
    met: Vec<usize>,
}

impl Sieve {
    pub fn new(condition: Arc<LineCondition>, table: &Table) -> Self {
        let walker = |t: &Test| t.automaton.as_ref().map(|a| Walker::new(a.clone(), table));
        let walkers = condition.tests.iter().map(walker).collect();
        let by_template =
            ByTemplate { first: vec![NO_ROW; table.templates.len() + 1], ..ByTemplate::default() };
        Sieve { condition, walkers, buffer: Vec::new(), by_template }
    }

    /// Which bodies pass. Those of a template are looked at one after the other: they take the same way, so the
    /// processor foresees it.
    pub fn passing(&mut self, bodies: &Bodies<'_>) -> Result<Vec<bool>> {
        let mut order = std::mem::take(&mut self.by_template);
        order.fill(bodies);
        let passing = self.in_order(bodies, &order);
        self.by_template = order;
        passing
    }

    fn in_order(&mut self, bodies: &Bodies<'_>, order: &ByTemplate) -> Result<Vec<bool>> {
        let mut passing = vec![false; bodies.len()];
        for place in &order.met {
            let mut left = order.rows(*place);
            loop {
                let mut rows = [0; LANES];
                let met = rows.iter_mut().zip(&mut left).map(|(place, row)| *place = row).count();
                let own = rows.get(..met).unwrap_or_default();
                let known = if met == LANES { self.side_by_side(bodies, rows)? } else { [None; LANES] };
                for (row, known) in own.iter().zip(known) {
                    let passes = match known {
                        Some(passes) => passes,
                        None => self.passes(bodies, *row)?,
                    };
                    passing.iter_mut().skip(*row).take(1).for_each(|p| *p = passes);
                }
                if met < LANES {
                    break;
                }
            }
        }
        Ok(passing)
    }

    /// The answers for bodies of one template, as far as automata know them.
    fn side_by_side(&mut self, bodies: &Bodies<'_>, rows: [usize; LANES]) -> Result<[Option<bool>; LANES]> {
        let mut answers = [None; LANES];
        let (mut template, mut values) = (None, [&[][..]; LANES]);
        for (row, values) in rows.into_iter().zip(&mut values) {
            let Body::Cut(own, cut) = bodies.body(row)? else { return Ok(answers) };
            (template, *values) = (Some(own), cut);
        }
        let Some(template) = template else { return Ok(answers) };
        answers = [Some(true); LANES];
        for (test, walker) in self.condition.tests.iter().zip(&mut self.walkers) {
            let found = walker.as_mut().and_then(|w| w.found_by_each(template, values));
            for (answer, found) in answers.iter_mut().zip(found.unwrap_or([None; LANES])) {
                if *answer == Some(true) {
                    *answer = found.map(|found| found == test.wanted);
                }
            }
        }
        Ok(answers)
    }

    fn passes(&mut self, bodies: &Bodies<'_>, row: usize) -> Result<bool> {
        let body = bodies.body(row)?;
        if let Body::Cut(template, values) = &body
            && let Some(passes) = self.walk(template, values)
        {
            return Ok(passes);
        }
        Ok(self.condition.matches(bodies.text(body, &mut self.buffer)?))
    }

    /// The answer as far as automata know it.
    fn walk(&mut self, template: &Template, values: &[u8]) -> Option<bool> {
        for (test, walker) in self.condition.tests.iter().zip(&mut self.walkers) {
            let found = walker.as_mut()?.found(template, values)?;
            if found != test.wanted {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl ByTemplate {
    fn rows(&self, place: usize) -> impl Iterator<Item = usize> {
        let row = |row: &u32| Some(*row as usize).filter(|_| *row != NO_ROW);
        let first = self.first.get(place).and_then(row);
        std::iter::successors(first, move |at| self.next.get(*at).and_then(row))
    }

    fn fill(&mut self, bodies: &Bodies<'_>) {
        for place in self.met.drain(..) {
            self.first.iter_mut().skip(place).take(1).for_each(|first| *first = NO_ROW);
        }
        self.next.clear();
        self.next.resize(bodies.len(), NO_ROW);
        let without = self.first.len().saturating_sub(1);
        for row in (0..bodies.len()).rev() {
            let place = bodies.template(row).map_or(without, |number| without.min(number as usize));
            if let (Some(first), Some(next)) = (self.first.get_mut(place), self.next.get_mut(row)) {
                if *first == NO_ROW {
                    self.met.push(place);
                }
                *next = std::mem::replace(first, row as u32);
            }
        }
    }
}
