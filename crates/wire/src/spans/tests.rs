//! Spans of other formats as text: `tests/scripts/*.test`, cases in order.
//!
//! ```text
//! == what it proves
//! [{"traceId": ...}]            what is sent, JSON; for Jaeger in the shape that `jaeger` explains
//! -->
//! origin service.name="a"      what became of it, see `shown`
//! ```
//! With `ORRERY_UPDATE_SPANS` set the second half of each case is written anew.

pub(crate) mod jaeger;
pub(crate) mod shown;

use std::{fs, path::Path};

use crate::{Decoded, Error, Limits};
use model::SpanBatch;

/// The time of receipt in scripts.
pub(crate) const RECEIVED_NS: i64 = 1_700_000_000_000_000_000;

/// Runs every case of a script; `decode` makes of the first half what is to be shown.
fn script(name: &str, decode: impl Fn(&str) -> String) {
    let file = Path::new(env!("ORRERY_CHECKOUT")).join("crates/wire/tests/scripts").join(name);
    let text = fs::read_to_string(&file).unwrap();
    let mut blocks = text.split("\n== ");
    let (mut anew, mut wrong) = (blocks.next().unwrap().to_owned(), Vec::new());
    for block in blocks {
        let (head, want) = block.split_once("\n-->").unwrap_or((block, ""));
        let (title, sent) = head.split_once('\n').unwrap();
        let got = decode(sent);
        if want.trim() != got.trim() {
            wrong.push(format!("== {title}\n{}", difference(want.trim(), got.trim())));
        }
        anew.push_str(&format!("\n== {}\n-->\n{}\n", head.trim_end(), got.trim()));
    }
    if std::env::var_os("ORRERY_UPDATE_SPANS").is_some() {
        fs::write(&file, anew).unwrap();
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn difference(want: &str, got: &str) -> String {
    let mut out = String::new();
    let (w, g): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    for i in 0..w.len().max(g.len()) {
        let (w, g) = (w.get(i).copied().unwrap_or("(nothing)"), g.get(i).copied().unwrap_or("(nothing)"));
        if w != g {
            out.push_str(&format!("  want {w}\n  got  {g}\n"));
        }
    }
    out
}

pub(crate) fn outcome(decoded: Result<Decoded<SpanBatch>, Error>) -> String {
    match decoded {
        Ok(d) => shown::decoded(&d),
        Err(e) => format!("error {e}"),
    }
}

#[test]
fn zipkins_spans_become_what_the_script_says() {
    let limits = Limits::default();
    script("zipkin.test", |sent| outcome(crate::zipkin::decode_json(sent.as_bytes(), RECEIVED_NS, &limits)));
}

#[test]
fn jaegers_batches_become_what_the_script_says_in_all_three_encodings() {
    script("jaeger.test", jaeger::shown_alike);
}
