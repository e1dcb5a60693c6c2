//! Syslog to log records: RFC 5424, and RFC 3164 as it is found.
//!
//! ```text
//! <165>1 2003-10-11T22:14:15.003Z host app 1234 ID47 [origin ip="192.0.2.1"] message
//! <34>Oct 11 22:14:15 host su[231]: message
//! ```
//! A message is the body. Facility, host and application are labels of its stream; process, message id and structured data
//! are attributes, the severity has OpenTelemetry's number. What is no syslog is kept as it came, as a body
//! without any of them, and counted. Times without a zone are UTC, and without a year in the year that brings them
//! nearest to now.

pub mod frame;

use std::collections::HashMap;

use model::{AnyValue, Attributes, LogBatch, LogRecord, LogStream, attributes::Scope};

use crate::{
    Decoded, Limits, Reason, Refusals,
    dates::{self, days_from_civil},
    text::clip,
};

/// Scope of the streams that came as syslog.
pub const SCOPE: &str = "syslog";
/// Elements of structured data, and parameters of each, that are read.
const MAX_ELEMENTS: usize = 64;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
/// Names of severities, with OpenTelemetry's numbers (`logs/data-model`, appendix B).
const SEVERITIES: [(&str, u8); 8] = [
    ("emerg", 21),
    ("alert", 19),
    ("crit", 18),
    ("err", 17),
    ("warning", 13),
    ("notice", 10),
    ("info", 9),
    ("debug", 5),
];

/// What a piece of a connection came to.
#[derive(Debug)]
pub struct Syslog {
    /// No record has an identity: two equal messages are two events.
    pub decoded: Decoded<LogBatch>,
    /// Of the records those that were no syslog.
    pub malformed: u64,
}

/// Reads messages.
pub fn decode<'a>(messages: impl Iterator<Item = &'a [u8]>, received_ns: i64, limits: &Limits) -> Syslog {
    let decoded = Decoded { batch: LogBatch::default(), refused: Refusals::default(), all_timed: false };
    let mut out = Syslog { decoded, malformed: 0 };
    let mut streams: HashMap<Vec<String>, u32> = HashMap::new();
    for (index, bytes) in messages.enumerate() {
        // What is no UTF-8 is shown as well as it can be.
        let text = String::from_utf8_lossy(bytes);
        let message = parse(&text, received_ns).unwrap_or_else(|| {
            out.malformed += 1;
            Message { body: &text, time_ns: received_ns, ..Message::default() }
        });
        if message.body.len() > limits.max_line_bytes {
            let max = limits.max_line_bytes;
            out.decoded.refused.add(Reason::TooLarge, index as u64, || {
                format!(
                    "message of {} bytes ({}), ingest.max_line is {max}",
                    message.body.len(),
                    clip(message.body)
                )
            });
            continue;
        }
        if let Err(why) = limits.check_attributes("syslog message", &message.attributes) {
            out.decoded.refused.add(Reason::InvalidLabels, index as u64, || why);
            continue;
        }
        let origin = message.origin();
        let known = streams.get(&origin).copied();
        let stream = match known.map_or_else(|| stream(&origin, limits), |_| Ok(LogStream::default())) {
            Err(why) => {
                out.decoded.refused.add(Reason::InvalidLabels, index as u64, || why);
                continue;
            }
            Ok(stream) => known.unwrap_or_else(|| {
                out.decoded.batch.streams.push(stream);
                let at = (out.decoded.batch.streams.len() - 1) as u32;
                streams.insert(origin, at);
                at
            }),
        };
        out.decoded.batch.records.push(message.record(stream, received_ns));
    }
    out
}

/// Labels by the parts that [`Message::origin`] lists.
fn stream(origin: &[String], limits: &Limits) -> Result<LogStream, String> {
    let names = ["facility", "host_name", "service_name"];
    let pairs = names.iter().zip(origin).filter(|(_, v)| !v.is_empty());
    let labels = limits.labels(&mut pairs.map(|(n, v)| (*n, v.as_str())).collect())?;
    let scope = Scope { name: SCOPE.to_owned(), ..Scope::default() };
    Ok(LogStream { labels, scope, ..LogStream::default() })
}

/// One message as it was read.
#[derive(Debug, Default)]
struct Message<'a> {
    priority: Option<usize>,
    time_ns: i64,
    host: &'a str,
    app: &'a str,
    attributes: Attributes,
    body: &'a str,
}

impl Message<'_> {
    fn origin(&self) -> Vec<String> {
        let facility = self.priority.and_then(|p| FACILITIES.get(p / 8)).copied().unwrap_or_default();
        let app = if self.app.is_empty() { "unknown_service" } else { self.app };
        [facility, self.host, app].map(str::to_owned).to_vec()
    }

    fn record(self, stream: u32, received_ns: i64) -> LogRecord {
        let severity = self.priority.and_then(|p| SEVERITIES.get(p % 8)).copied().unwrap_or_default();
        LogRecord {
            stream,
            timestamp_ns: self.time_ns,
            observed_ns: received_ns,
            severity_number: severity.1,
            severity_text: severity.0.to_owned(),
            body: AnyValue::String(self.body.to_owned()),
            attributes: self.attributes,
            ..LogRecord::default()
        }
    }
}

fn parse(text: &str, received_ns: i64) -> Option<Message<'_>> {
    let text = text.trim_end_matches(['\n', '\r', '\0']);
    let (priority, rest) = text.strip_prefix('<')?.split_once('>')?;
    let digits = (1..=3).contains(&priority.len()) && priority.bytes().all(|b| b.is_ascii_digit());
    let priority: usize = priority.parse().ok().filter(|p| digits && *p < 192)?;
    let mut message = match rest.strip_prefix("1 ") {
        Some(rest) => new_style(rest, received_ns)?,
        None => old_style(rest, received_ns),
    };
    message.priority = Some(priority);
    Some(message)
}

/// A field; `-` is none.
fn field<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (value, left) = rest.split_once(' ')?;
    *rest = left;
    Some(if value == "-" { "" } else { value })
}

fn new_style(text: &str, received_ns: i64) -> Option<Message<'_>> {
    let mut rest = text;
    let time = field(&mut rest)?;
    let time_ns = match time {
        "" => received_ns,
        time => dates::parse(time).filter(|_| time.contains('T'))?.ns,
    };
    let (host, app) = (field(&mut rest)?, field(&mut rest)?);
    let (process, id) = (field(&mut rest)?, field(&mut rest)?);
    let mut attributes = Attributes::default();
    for (key, value) in [("proc_id", process), ("msg_id", id)] {
        if !value.is_empty() {
            attributes.push(key, value);
        }
    }
    let body = match rest.strip_prefix('-') {
        Some(rest) => rest,
        None => structured(rest, &mut attributes)?,
    };
    let body = body.strip_prefix(' ').unwrap_or(body);
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    Some(Message { priority: None, time_ns, host, app, attributes, body })
}

/// Reads `[id name="value" …][…]`, and says what stands behind.
fn structured<'a>(text: &'a str, out: &mut Attributes) -> Option<&'a str> {
    let mut rest = text;
    let mut elements = 0;
    while let Some(inner) = rest.strip_prefix('[') {
        elements += 1;
        let end = inner.find([' ', ']'])?;
        let (id, mut left) = inner.split_at(end);
        let mut parameters = Attributes::default();
        while let Some(next) = left.strip_prefix(' ') {
            let next = next.trim_start_matches(' ');
            if next.starts_with(']') {
                left = next;
                break;
            }
            let (name, value) = next.split_once("=\"")?;
            let (value, behind) = quoted(value)?;
            if parameters.len() < MAX_ELEMENTS {
                parameters.push(name, value);
            }
            left = behind;
        }
        rest = left.strip_prefix(']')?;
        if elements <= MAX_ELEMENTS {
            out.push(id, AnyValue::Map(parameters));
        }
    }
    (elements > 0).then_some(rest)
}

/// A value up to its quote; a backslash stands before `"`, `\` and `]`.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\' | ']') => out.push(c),
                other => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    None
}

/// What senders make of RFC 3164: a time, perhaps a host, perhaps a tag, a message.
fn old_style(text: &str, received_ns: i64) -> Message<'_> {
    let whole = Message { time_ns: received_ns, body: text, ..Message::default() };
    let Some((time_ns, rest)) = old_time(text, received_ns) else {
        // Some send a tag right behind the priority.
        let (app, process, body) = tag(text);
        return Message { app, body, attributes: process_id(process), ..whole };
    };
    let (host, rest) = match rest.split_once(' ') {
        // A tag where the host should be: none was sent.
        Some((host, rest)) if !host.contains([':', '[']) => (host, rest),
        _ => ("", rest),
    };
    let (app, process, body) = tag(rest);
    Message { time_ns, host, app, body, attributes: process_id(process), ..whole }
}

fn process_id(id: &str) -> Attributes {
    let mut out = Attributes::default();
    if !id.is_empty() {
        out.push("proc_id", id);
    }
    out
}

/// `su[231]: message`: tag, process, message. Nothing but the message where there is no tag.
fn tag(text: &str) -> (&str, &str, &str) {
    let none = ("", "", text);
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c))).unwrap_or(text.len());
    let (app, rest) = text.split_at(end);
    if app.is_empty() || app.len() > 48 {
        return none;
    }
    let (process, rest) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((process, rest)) if process.len() <= 128 => (process, rest),
        _ => ("", rest),
    };
    match rest.strip_prefix(':') {
        Some(body) => (app, process, body.strip_prefix(' ').unwrap_or(body)),
        None => none,
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Oct 11 22:14:15 ` or an ISO date, and what stands behind.
fn old_time(text: &str, received_ns: i64) -> Option<(i64, &str)> {
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        let (date, rest) = text.split_once(' ')?;
        return Some((dates::parse(date).filter(|_| date.contains('T'))?.ns, rest));
    }
    let (head, rest) = (text.get(..15)?, text.get(15..)?.strip_prefix(' ')?);
    let month = MONTHS.iter().position(|m| head.starts_with(m))? as i64 + 1;
    let day: i64 = head.get(4..6)?.trim_start().parse().ok().filter(|d| (1..=31).contains(d))?;
    let mut clock =
        head.get(7..15)?.split(':').map(|p| p.parse::<i64>().ok().filter(|n| (0..=60).contains(n)));
    let (h, m, s) = (clock.next()??, clock.next()??, clock.next()??);
    if h > 23 || m > 59 || !head.get(3..4)?.starts_with(' ') {
        return None;
    }
    let year = dates::civil_from_days(received_ns.div_euclid(86_400_000_000_000)).0;
    let at = |year: i64| {
        let seconds = days_from_civil(year, month, day) * 86_400 + h * 3600 + m * 60 + s.min(59);
        seconds.checked_mul(1_000_000_000)
    };
    let nearest =
        [year - 1, year, year + 1].into_iter().filter_map(at).min_by_key(|ns| ns.abs_diff(received_ns))?;
    Some((nearest, rest))
}

#[cfg(test)]
mod tests;
