//! Automata walked over templates and values: what a text of a template does to one is remembered, so a line costs what
//! its values do.

use std::sync::Arc;

use super::{
    plan::{Plan, Step, Ways},
    scan::MAX_DIGITS,
    template::{Part, Table, Template},
    value::{self, UUID_GROUPS},
};
use crate::{
    codec::bits::Cursor,
    lines::{Automaton, MATCHED, NEVER, State, UNKNOWN},
};

/// States with which the effects of all bytes of hex are worked out at first; with more their digits are walked.
const MAX_REMEMBERED: usize = 256;
/// Effects of texts that may come to be remembered: two bytes each. Of more texts, or states, none are.
const MAX_EFFECTS: usize = 4 << 20;
/// States with which effects of three digits are remembered, where digits differ.
const MAX_THREES: usize = 64;
const THREE: usize = 1000;
/// Places for numbers of digits, a power of two.
const LENGTHS: usize = 32;
/// Lines of a template after which it is worth finding out what of them has to be walked through.
const WORTH_A_PLAN: u8 = 4;
/// Lines walked through side by side.
pub(super) const LANES: usize = 4;
/// Stands for an effect that is not known yet.
const UNSEEN: State = State::MAX;

/// An automaton on its way through the lines of a segment.
pub(super) struct Walker {
    walk: Walk,
    ways: Option<Ways>,
    /// By template; empty without ways.
    plans: Vec<Way>,
}

/// How lines of a template are gone through.
enum Way {
    /// As they come; so many did.
    Met(u8),
    Planned(Plan),
}

/// An automaton, and what is known of what texts and values do to it.
struct Walk {
    automaton: Arc<Automaton>,
    /// By text and state; texts that were not met have none.
    texts: Vec<Option<Box<[State]>>>,
    /// By state and number of digits, where these say it all.
    digits: Option<Vec<State>>,
    /// By state and three digits, where they do not; empty where there are too many states.
    threes: Vec<State>,
    /// By state and byte, each two hex digits; empty where there are too many states.
    hex: Vec<State>,
}

impl Walker {
    pub(super) fn new(automaton: Arc<Automaton>, table: &Table) -> Self {
        let ways = Ways::of(&automaton);
        let plans = match ways {
            Some(_) => table.templates.iter().map(|_| Way::Met(0)).collect(),
            None => Vec::new(),
        };
        Walker { walk: Walk::new(automaton, table), ways, plans }
    }

    /// Whether the pattern is found in a line; `None` where that is not known, or the values are not of the template.
    pub(super) fn found(&mut self, template: &Template, values: &[u8]) -> Option<bool> {
        let end = match (&self.ways, self.plans.get_mut(template.number as usize)) {
            (Some(_), Some(Way::Planned(plan))) => self.walk.follow(plan, template, values)?,
            (Some(ways), Some(way)) => {
                *way = match way {
                    Way::Met(n) if *n < WORTH_A_PLAN => Way::Met(*n + 1),
                    _ => Way::Planned(ways.plan(&self.walk.automaton, template)),
                };
                self.walk.through(template, values)?
            }
            _ => self.walk.through(template, values)?,
        };
        said(end)
    }

    /// The same of lines of one template; `None` where they are to be asked one by one.
    pub(super) fn found_by_each(
        &mut self,
        template: &Template,
        values: [&[u8]; LANES],
    ) -> Option<[Option<bool>; LANES]> {
        match self.plans.get(template.number as usize) {
            Some(Way::Planned(plan)) => Some(self.walk.follow_each(plan, template, values)?.map(said)),
            _ => None,
        }
    }
}

fn said(end: State) -> Option<bool> {
    match end {
        MATCHED => Some(true),
        NEVER => Some(false),
        _ => None,
    }
}

impl Walk {
    fn new(automaton: Arc<Automaton>, table: &Table) -> Self {
        let states = automaton.states();
        let few = states <= MAX_REMEMBERED;
        let all = || (0..states).map(|s| s as State);
        let digits = automaton.digits_alike().then(|| {
            let after = |state, n| automaton.walk(state, b"000000000000000000".get(..n).unwrap_or_default());
            all().flat_map(|state| (0..LENGTHS).map(move |n| after(state, n.min(MAX_DIGITS)))).collect()
        });
        let threes = match digits.is_none() && states <= MAX_THREES {
            true => vec![UNSEEN; states * THREE],
            false => Vec::new(),
        };
        let hex = match few {
            true => all()
                .flat_map(|s| (0..=u8::MAX).map(move |b| (s, b)))
                .map(|(s, b)| pair(&automaton, s, b))
                .collect(),
            false => Vec::new(),
        };
        let texts = if table.texts.len().saturating_mul(states) <= MAX_EFFECTS {
            (0..table.texts.len()).map(|_| None).collect()
        } else {
            Vec::new()
        };
        Walk { automaton, texts, digits, threes, hex }
    }

    /// What a line comes to by the values that a plan says matter.
    fn follow(&mut self, plan: &Plan, template: &Template, values: &[u8]) -> Option<State> {
        let mut values = Cursor(values);
        let mut state = self.automaton.start;
        for step in &plan.steps {
            match step {
                Step::Numbers(n) => (0..*n).try_for_each(|_| value::pass_number(&mut values))?,
                Step::Bytes(n) => {
                    values.take(*n)?;
                }
                Step::Token => {
                    let length = usize::from(values.byte()?);
                    values.take(length)?;
                }
                Step::From(known) => state = *known,
                Step::Walk(at) => {
                    state = self.part(state, template, template.parts.get(*at)?, &mut values)?;
                    if state <= UNKNOWN {
                        return Some(state);
                    }
                }
            }
        }
        Some(plan.end.unwrap_or_else(|| self.automaton.end(state)))
    }

    /// The same of lines of one template, step by step: what one of them waits for, another does not.
    fn follow_each(
        &mut self,
        plan: &Plan,
        template: &Template,
        values: [&[u8]; LANES],
    ) -> Option<[State; LANES]> {
        let mut values = values.map(Cursor);
        let mut states = [self.automaton.start; LANES];
        for step in &plan.steps {
            match step {
                Step::Numbers(n) => {
                    for _ in 0..*n {
                        values.iter_mut().try_for_each(value::pass_number)?;
                    }
                }
                Step::Bytes(n) => values.iter_mut().try_for_each(|v| v.take(*n).map(|_| ()))?,
                Step::Token => {
                    for values in &mut values {
                        let length = usize::from(values.byte()?);
                        values.take(length)?;
                    }
                }
                // What is decided stays so.
                Step::From(known) => states.iter_mut().filter(|s| **s > UNKNOWN).for_each(|s| *s = *known),
                Step::Walk(at) => {
                    match template.parts.get(*at)? {
                        Part::Hex(bytes) if !self.hex.is_empty() => {
                            self.hex_of_each(&mut states, &mut values, *bytes)?;
                        }
                        part => {
                            for (state, values) in states.iter_mut().zip(&mut values) {
                                *state = self.part(*state, template, part, values)?;
                            }
                        }
                    }
                    if states.iter().all(|s| *s <= UNKNOWN) {
                        return Some(states);
                    }
                }
            }
        }
        Some(states.map(|s| match s > UNKNOWN {
            true => plan.end.unwrap_or_else(|| self.automaton.end(s)),
            false => s,
        }))
    }

    fn hex_of_each(
        &self,
        states: &mut [State; LANES],
        values: &mut [Cursor<'_>; LANES],
        bytes: usize,
    ) -> Option<()> {
        let mut own = [&[][..]; LANES];
        for (own, values) in own.iter_mut().zip(values) {
            *own = values.take(bytes)?;
        }
        for at in 0..bytes {
            for (state, own) in states.iter_mut().zip(own) {
                *state = *self.hex.get(usize::from(*state) << 8 | usize::from(*own.get(at)?))?;
            }
        }
        Some(())
    }

    /// What a line comes to by all of its values.
    fn through(&mut self, template: &Template, values: &[u8]) -> Option<State> {
        let mut values = Cursor(values);
        let mut state = self.automaton.start;
        for part in &template.parts {
            state = self.part(state, template, part, &mut values)?;
            if state <= UNKNOWN {
                break;
            }
        }
        Some(self.automaton.end(state))
    }

    #[inline]
    fn part(
        &mut self,
        state: State,
        template: &Template,
        part: &Part,
        values: &mut Cursor<'_>,
    ) -> Option<State> {
        Some(match part {
            Part::Text(range, number) => self.text(state, *number, template.text(range)),
            Part::Number => self.number(state, values)?,
            Part::Pattern(range, number, digits) => match &self.digits {
                Some(_) => {
                    values.take(value::width(*digits))?;
                    self.text(state, *number, template.text(range))
                }
                None => {
                    let n = value::take_wide(values, *digits)?;
                    self.pattern(state, template.text(range), n, *digits)
                }
            },
            Part::Hex(bytes) => self.hex(state, values.take(*bytes)?),
            Part::Uuid => self.uuid(state, values.take(16)?),
            Part::Token => {
                let length = usize::from(values.byte()?);
                self.automaton.walk(state, values.take(length)?)
            }
        })
    }

    #[inline]
    fn text(&mut self, state: State, number: u32, text: &[u8]) -> State {
        let Some(place) = self.texts.get_mut(number as usize) else {
            return self.automaton.walk(state, text);
        };
        let states = self.automaton.states();
        let known = place.get_or_insert_with(|| vec![UNSEEN; states].into());
        match known.get_mut(usize::from(state)) {
            Some(to) if *to != UNSEEN => *to,
            Some(to) => {
                *to = self.automaton.walk(state, text);
                *to
            }
            None => UNKNOWN,
        }
    }

    #[inline]
    fn number(&mut self, state: State, values: &mut Cursor<'_>) -> Option<State> {
        let (count, n) = value::take_number(values)?;
        Some(match &self.digits {
            Some(after) => after.get(usize::from(state) * LENGTHS + count).copied()?,
            None => self.spelled(state, count, n),
        })
    }

    fn spelled(&mut self, mut state: State, mut count: usize, mut n: u64) -> State {
        while count > 0 {
            let low = (count - 1) % 3 + 1;
            let (mut power, mut left) = (1, count - low);
            while left > 0 {
                (power, left) = (power * 10, left - 1);
            }
            state = self.few_digits(state, low, n / power);
            (n, count) = (n % power, count - low);
        }
        state
    }

    /// Up to three digits.
    fn few_digits(&mut self, state: State, count: usize, n: u64) -> State {
        let digits = [b'0' + (n / 100 % 10) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let own = digits.get(3 - count..).unwrap_or_default();
        match self.threes.get_mut(usize::from(state) * THREE + n as usize).filter(|_| count == 3) {
            Some(to) if *to != UNSEEN => *to,
            Some(to) => {
                *to = self.automaton.walk(state, own);
                *to
            }
            None => self.automaton.walk(state, own),
        }
    }

    fn pattern(&self, mut state: State, pattern: &[u8], n: u64, count: usize) -> State {
        let mut digits = [b'0'; MAX_DIGITS];
        let mut rest = n;
        for place in digits.iter_mut().take(count).rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut digits = digits.into_iter();
        for b in pattern {
            let b = if *b == b'0' { digits.next().unwrap_or(b'0') } else { *b };
            state = self.automaton.step(state, b);
        }
        state
    }

    #[inline]
    fn hex(&self, mut state: State, bytes: &[u8]) -> State {
        for b in bytes {
            state = match self.hex.get(usize::from(state) << 8 | usize::from(*b)) {
                Some(to) => *to,
                None => pair(&self.automaton, state, *b),
            };
        }
        state
    }

    fn uuid(&self, mut state: State, mut bytes: &[u8]) -> State {
        for (i, n) in UUID_GROUPS.into_iter().enumerate() {
            let (group, rest) = bytes.split_at_checked(n).unwrap_or_default();
            if i > 0 {
                state = self.automaton.step(state, b'-');
            }
            state = self.hex(state, group);
            bytes = rest;
        }
        state
    }
}

/// Where the two hex digits of a byte lead.
fn pair(automaton: &Automaton, state: State, byte: u8) -> State {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    automaton.step(automaton.step(state, digit(byte >> 4)), digit(byte & 15))
}
