//! A deterministic automaton that says whether a pattern is found, and can be left and entered at any byte: so what a text
//! does to it is a function of states, which can be remembered.

use std::collections::HashMap;

use regex_automata::{
    Input,
    dfa::{Automaton as _, StartKind, dense},
    nfa::thompson,
    util::primitives::StateID,
};

pub(crate) type State = u16;

/// The pattern was found, whatever follows.
pub(crate) const MATCHED: State = 0;
/// And will not be, whatever follows.
pub(crate) const NEVER: State = 1;
/// What was read cannot be decided byte by byte, such as a word boundary beside a letter that is no ASCII.
pub(crate) const UNKNOWN: State = 2;

/// States at most: the table of a few classes of bytes stays in the cache.
const MAX_STATES: usize = 512;
/// Bytes that making it may take.
const DFA_BYTES: usize = 1 << 20;
const NFA_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Automaton {
    /// Bytes that are never told apart have the same class.
    classes: [u8; 256],
    /// There are up to two to this many classes.
    shift: u32,
    /// By state and class.
    next: Vec<State>,
    /// What the end of the text makes of a state: [`MATCHED`] or another.
    at_end: Vec<State>,
    pub start: State,
}

impl Automaton {
    /// Whether a pattern is found anywhere. `None` where it takes too many states, or is none.
    pub fn of(pattern: &str) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .unicode_word_boundary(true)
            .dfa_size_limit(Some(DFA_BYTES))
            .determinize_size_limit(Some(DFA_BYTES));
        let nfa = thompson::Config::new().nfa_size_limit(Some(NFA_BYTES));
        let dfa = dense::Builder::new().configure(config).thompson(nfa).build(pattern).ok()?;
        let start = dfa.start_state_forward(&Input::new("")).ok()?;
        let mut found = Found { dfa: &dfa, numbers: HashMap::new(), order: Vec::new() };
        let start = found.number(start);
        let (rows, at_end) = found.explore()?;
        Some(Self::packed(&rows, at_end, start))
    }

    fn packed(rows: &[[State; 256]], at_end: Vec<State>, start: State) -> Self {
        let mut columns: HashMap<Vec<State>, u8> = HashMap::new();
        let mut classes = [0u8; 256];
        let mut order: Vec<Vec<State>> = Vec::new();
        for (b, class) in classes.iter_mut().enumerate() {
            let column: Vec<State> = rows.iter().filter_map(|row| row.get(b).copied()).collect();
            *class = *columns.entry(column).or_insert_with_key(|column| {
                order.push(column.clone());
                (order.len() - 1) as u8
            });
        }
        let shift = order.len().next_power_of_two().trailing_zeros();
        let mut next = vec![NEVER; rows.len() << shift];
        for (class, column) in order.iter().enumerate() {
            for (state, to) in column.iter().enumerate() {
                if let Some(place) = next.get_mut(state << shift | class) {
                    *place = *to;
                }
            }
        }
        Automaton { classes, shift, next, at_end, start }
    }

    pub fn states(&self) -> usize {
        self.at_end.len()
    }

    #[inline]
    pub fn step(&self, state: State, byte: u8) -> State {
        let class = usize::from(self.classes[usize::from(byte)]);
        self.next.get(usize::from(state) << self.shift | class).copied().unwrap_or(UNKNOWN)
    }

    /// Where a text leads from a state.
    #[inline]
    pub fn walk(&self, mut state: State, text: &[u8]) -> State {
        for b in text {
            state = self.step(state, *b);
        }
        state
    }

    pub fn end(&self, state: State) -> State {
        self.at_end.get(usize::from(state)).copied().unwrap_or(UNKNOWN)
    }

    /// Whether all decimal digits do the same.
    pub fn digits_alike(&self) -> bool {
        let class = |b: u8| self.classes[usize::from(b)];
        (b'0'..=b'9').all(|b| class(b) == class(b'0'))
    }
}

/// States in the order they were come upon; those that nothing leads out of have numbers of their own.
struct Found<'a> {
    dfa: &'a dense::DFA<Vec<u32>>,
    numbers: HashMap<StateID, State>,
    order: Vec<StateID>,
}

impl Found<'_> {
    fn number(&mut self, id: StateID) -> State {
        if self.dfa.is_match_state(id) {
            return MATCHED;
        }
        if self.dfa.is_dead_state(id) {
            return NEVER;
        }
        if self.dfa.is_quit_state(id) {
            return UNKNOWN;
        }
        *self.numbers.entry(id).or_insert_with(|| {
            self.order.push(id);
            self.order.len() as State + UNKNOWN
        })
    }

    /// Where every byte leads, and the end, by state.
    fn explore(&mut self) -> Option<(Vec<[State; 256]>, Vec<State>)> {
        let mut rows = vec![[MATCHED; 256], [NEVER; 256], [UNKNOWN; 256]];
        let mut at_end = vec![MATCHED, NEVER, UNKNOWN];
        let mut next = 0;
        while let Some(id) = self.order.get(next).copied() {
            next += 1;
            let mut row = [NEVER; 256];
            for (b, place) in (0..=u8::MAX).zip(&mut row) {
                *place = self.number(self.dfa.next_state(id, b));
            }
            rows.push(row);
            let end = self.dfa.next_eoi_state(id);
            at_end.push(match (self.dfa.is_match_state(end), self.dfa.is_quit_state(end)) {
                (true, _) => MATCHED,
                (false, true) => UNKNOWN,
                (false, false) => NEVER,
            });
            if self.order.len() > MAX_STATES {
                return None;
            }
        }
        Some((rows, at_end))
    }
}
