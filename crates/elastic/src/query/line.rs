//! What of a query the text of a record's body can be asked.

use contract::LineFilter;
use wire::bulk::MESSAGE;

use crate::field::Field;

/// A word shorter than this stands in every line.
const MIN_BYTES: usize = 2;
/// More than these narrow nothing further.
const MAX_FILTERS: usize = 8;

/// Words of a message stand in the body, in some case. A document whose message is no text has an empty body, and is
/// looked at whatever it says.
pub(super) fn of_words(field: &Field, words: &[String], at_least: usize, out: &mut Vec<LineFilter>) {
    if field.path() != Some(MESSAGE) || at_least < words.len() {
        return;
    }
    // Beyond ASCII a lower case word may stand for letters that a pattern would not take for it.
    let plain = words.iter().filter(|w| w.is_ascii() && w.len() >= MIN_BYTES);
    for word in plain {
        if out.len() >= MAX_FILTERS {
            return;
        }
        out.push(LineFilter::Regex(format!("(?i){}|^(null)?$", regex::escape(word))));
    }
}
