//! Which values of a template have to be walked through to decide a condition, and which are passed over: where an
//! automaton comes into a stretch in one known state, and out of it in one, whatever the values between are, they say
//! nothing. Found by walking with all states at once that any values lead to (Cousot and Cousot, "Abstract
//! interpretation", 1977).

use super::{
    scan::MAX_DIGITS,
    template::{Part, Template},
    value::{UUID_GROUPS, width},
};
use crate::lines::{Automaton, State, UNKNOWN};

/// States up to this many are told apart, each by a bit.
const MAX_STATES: usize = 64;
/// Those that nothing leads out of.
const LAST: u64 = (1 << (UNKNOWN + 1)) - 1;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many numbers are passed over.
    Numbers(usize),
    Bytes(usize),
    Token,
    /// The state from here on.
    From(State),
    /// The part of this number has to be walked through.
    Walk(usize),
}

/// How a template's values are gone through.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    /// What the end of the line comes to, where that is known; else it is asked of the state.
    pub end: Option<State>,
}

impl Plan {
    /// The values from one part to another say nothing.
    fn pass(&mut self, parts: &[Part]) {
        for part in parts {
            let step = match part {
                Part::Text(..) => continue,
                Part::Number => Step::Numbers(1),
                Part::Pattern(_, _, digits) => Step::Bytes(width(*digits)),
                Part::Hex(bytes) => Step::Bytes(*bytes),
                Part::Uuid => Step::Bytes(UUID_GROUPS.iter().sum()),
                Part::Token => Step::Token,
            };
            match (self.steps.last_mut(), step) {
                (Some(Step::Numbers(n)), Step::Numbers(more)) => *n += more,
                (Some(Step::Bytes(n)), Step::Bytes(more)) => *n += more,
                (_, step) => self.steps.push(step),
            }
        }
    }
}

/// Sets of states that values lead to, by state.
pub(super) struct Ways {
    digit: Vec<u64>,
    hex: Vec<u64>,
    letter: Vec<u64>,
}

impl Ways {
    /// `None` where there are too many states, or nothing to walk.
    pub fn of(automaton: &Automaton) -> Option<Self> {
        if automaton.states() > MAX_STATES || automaton.start <= UNKNOWN {
            return None;
        }
        let by = |bytes: &[u8]| -> Vec<u64> {
            let of = |s| bytes.iter().fold(0, |set, b| set | 1 << automaton.step(s, *b));
            (0..automaton.states()).map(|s| of(s as State)).collect()
        };
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let those = |is: fn(&u8) -> bool| by(&all.iter().copied().filter(is).collect::<Vec<u8>>());
        Some(Ways {
            digit: those(u8::is_ascii_digit),
            hex: those(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            letter: those(u8::is_ascii_alphanumeric),
        })
    }

    /// Where a part may lead, with the states that nothing leads out of.
    fn after(&self, automaton: &Automaton, set: u64, template: &Template, part: &Part) -> u64 {
        let text = |set, text: &[u8]| each(set).fold(0, |to, s| to | 1 << automaton.walk(s, text));
        let times = |set, by: &[u64], n| (0..n).fold(set, |set, _| through(set, by));
        match part {
            Part::Text(range, _) => text(set, template.text(range)),
            Part::Number => {
                let longer = |set: &mut u64, _| {
                    *set = through(*set, &self.digit);
                    Some(*set)
                };
                (0..MAX_DIGITS).scan(set, longer).fold(0, |all, set| all | set)
            }
            Part::Pattern(range, ..) => template.text(range).iter().fold(set, |set, b| match b {
                b'0' => through(set, &self.digit),
                b => text(set, &[*b]),
            }),
            Part::Hex(bytes) => times(set, &self.hex, bytes * 2),
            Part::Uuid => UUID_GROUPS.iter().enumerate().fold(set, |set, (i, bytes)| {
                times(if i > 0 { text(set, b"-") } else { set }, &self.hex, bytes * 2)
            }),
            // A word, of letters and digits.
            Part::Token => {
                let mut all = through(set, &self.letter);
                loop {
                    let more = all | through(all, &self.letter);
                    if more == all {
                        return all;
                    }
                    all = more;
                }
            }
        }
    }

    pub fn plan(&self, automaton: &Automaton, template: &Template) -> Plan {
        let mut plan = Plan::default();
        let parts = &template.parts;
        // Where the state was known last, and which it is; whether it may have been decided since.
        let (mut known, mut state, mut decided) = (0, automaton.start, false);
        let mut set = 1u64 << state;
        for (i, part) in parts.iter().enumerate() {
            let to = self.after(automaton, set, template, part);
            decided |= to & LAST != 0;
            set = to & !LAST;
            if set.count_ones() != 1 {
                if set == 0 {
                    break;
                }
                continue;
            }
            match decided {
                true => {
                    plan.steps.push(Step::From(state));
                    plan.steps.extend((known..=i).map(Step::Walk));
                }
                false => plan.pass(parts.get(known..=i).unwrap_or_default()),
            }
            (known, state, decided) = (i + 1, set.trailing_zeros() as State, false);
        }
        let mut ends = each(set).map(|s| automaton.end(s));
        let end = ends.next().filter(|first| !decided && ends.all(|e| e == *first));
        match end {
            Some(_) => {
                // Whatever follows the last part that matters says nothing.
                let matters = plan.steps.iter().rposition(|s| matches!(s, Step::Walk(_)));
                plan.steps.truncate(matters.map_or(0, |at| at + 1));
            }
            None => {
                plan.steps.push(Step::From(state));
                plan.steps.extend((known..parts.len()).map(Step::Walk));
            }
        }
        plan.end = end;
        plan
    }
}

fn each(set: u64) -> impl Iterator<Item = State> {
    (0..MAX_STATES as State).filter(move |s| set >> s & 1 == 1)
}

fn through(set: u64, by: &[u64]) -> u64 {
    by.iter().enumerate().filter(|(s, _)| set >> s & 1 == 1).fold(0, |to, (_, more)| to | more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lines::{MATCHED, NEVER},
        logs::cut::template::Table,
    };

    fn plan(pattern: &str, template: &str) -> Plan {
        let automaton = Automaton::of(pattern).unwrap();
        let mut table = Table::default();
        let number = table.push(template.replace('$', "\u{1}").as_bytes()).unwrap();
        Ways::of(&automaton).unwrap().plan(&automaton, table.get(number).unwrap())
    }

    #[test]
    fn only_what_may_decide_is_walked_through() {
        let hex = "[a-f][0-9][a-f][0-9]";
        let never = plan(hex, "took $n ms of $n at $p\u{5}00:00");
        assert_eq!((never.steps.as_slice(), never.end), (&[][..], Some(NEVER)));
        // The text before it and the one behind it are part of the stretch.
        let plan_of = plan(hex, "$n $n id=$x\u{8} by $n, $t $n");
        let walked: Vec<&Step> = plan_of.steps.iter().filter(|s| matches!(s, Step::Walk(_))).collect();
        assert_eq!(plan_of.steps.first(), Some(&Step::Numbers(2)));
        assert!(walked.contains(&&Step::Walk(4)) && walked.contains(&&Step::Walk(8)), "{plan_of:?}");
        assert!(!plan_of.steps.contains(&Step::Walk(6)) && plan_of.steps.contains(&Step::Numbers(1)));
        assert_eq!(plan_of.end, Some(NEVER));
        let always = plan("took", "$n took $n");
        assert!(always.steps.contains(&Step::Walk(1)), "{always:?}");
        let at_end = plan("[0-9]$", "took $n");
        assert_eq!((at_end.steps.len(), at_end.end), (0, Some(MATCHED)));
        assert!(plan("7$", "took $n").end.is_none());
    }
}
