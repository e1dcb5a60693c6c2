//! Prometheus text format 0.0.4. Read as leniently as Prometheus reads it: blank lines, any comment, any order
//! of families, missing metadata.

use model::MetricKind;

use super::{
    Builder, Exposition, ScrapeOptions, kind,
    sample::{self, Dialect},
    utf8,
};
use crate::{Error, text::quoted};

/// Reads the text format. Times are milliseconds.
pub fn parse_text(body: &[u8], options: &ScrapeOptions<'_>) -> Result<Exposition, Error> {
    let text = utf8(body)?;
    let mut b = Builder::new(options);
    // As in Prometheus, the type declared last counts until the next one, whatever the samples are called.
    let mut kind = MetricKind::Unknown;
    for (i, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start_matches([' ', '\t']);
        let read = match line.strip_prefix('#') {
            _ if line.is_empty() => Ok(()),
            Some(comment) => metadata(&mut b, comment, &mut kind),
            None => sample_line(&mut b, line, kind),
        };
        read.map_err(|reason| Error::Exposition { line: i + 1, reason })?;
    }
    Ok(b.out)
}

fn sample_line<'a>(b: &mut Builder<'a, '_>, line: &'a str, kind: MetricKind) -> Result<(), String> {
    let s = sample::read(line, Dialect::Text)?;
    let at_ms = match s.time {
        None => None,
        Some(t) => Some(t.parse::<i64>().map_err(|_| format!("time {} is not in milliseconds", quoted(t)))?),
    };
    b.sample(&s, at_ms, kind)?;
    Ok(())
}

/// `# HELP name text` and `# TYPE name type`; anything else is a comment.
fn metadata<'a>(b: &mut Builder<'a, '_>, comment: &'a str, last: &mut MetricKind) -> Result<(), String> {
    let comment = comment.trim_start_matches([' ', '\t']);
    let Some((word, rest)) = comment.split_once([' ', '\t']) else { return Ok(()) };
    if word != "HELP" && word != "TYPE" {
        return Ok(());
    }
    let (name, rest) = sample::leading_name(rest.trim_start_matches([' ', '\t']))?;
    b.options.limits.check_pair(&name, "")?;
    let rest = rest.trim_start_matches([' ', '\t']);
    if word == "HELP" {
        let help = sample::unescape(rest, false);
        b.options.limits.check_pair("HELP", &help)?;
        if let Some(m) = b.family(name) {
            m.help = help.into_owned();
        }
        return Ok(());
    }
    let kind =
        kind(rest.trim_end()).ok_or_else(|| format!("type {} of {name} is not known", quoted(rest)))?;
    *last = kind;
    if let Some(m) = b.family(name) {
        m.kind = kind;
    }
    Ok(())
}
