//! From bytes of a file to records, without any state but the bytes: cutting can be repeated and gives the same.
//!
//! ```text
//! plain      line LF
//! CRI        <RFC 3339 time> stdout|stderr P|F <text> LF        P: the record goes on in a later line
//! Docker     {"log":"<text>","stream":"stdout","time":"..."} LF  text without line feed: it goes on
//! ```

use std::borrow::Cow;

use serde::Deserialize;

use super::lines;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    /// CRI or Docker, decided line by line; what is neither is taken as it stands.
    Container,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_line_bytes: usize,
    pub(super) max_lines: usize,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) body: String,
    /// The container runtime's time, nanoseconds.
    pub(super) time_ns: Option<i64>,
    /// `stdout` or `stderr`.
    pub(super) stream: Option<&'static str>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) records: Vec<Raw>,
    /// Bytes that the records cover; what follows is not complete yet.
    pub(super) consumed: usize,
    /// Records that were cut because they are too long.
    pub(super) split: u64,
}

/// Cuts `bytes`, which begin between records. `finish` takes an incomplete end as it is, because nothing
/// will follow.
pub(super) fn cut(bytes: &[u8], format: Format, limits: Limits, finish: bool) -> Cut {
    let mut c = Cutter { out: Cut::default(), open: Vec::new(), safe_records: 0, limits };
    let max = limits.max_line_bytes.max(1);
    let mut at = 0;
    while at < bytes.len() && c.safe_records < limits.max_lines {
        let rest = &bytes[at..];
        let line = match rest.iter().take(max + 1).position(|b| *b == b'\n') {
            Some(n) => {
                at += n + 1;
                &rest[..n]
            }
            None if rest.len() > max => {
                let n = char_boundary(rest, max);
                at += n;
                c.out.split += 1;
                &rest[..n]
            }
            None if finish => {
                at = bytes.len();
                rest
            }
            None => break,
        };
        match format {
            Format::Plain => c.push_plain(line),
            Format::Container => c.push_container(line),
        }
        if !c.open.is_empty() && at - c.out.consumed > max {
            c.out.split += 1;
            c.flush();
        }
        if c.open.is_empty() {
            c.out.consumed = at;
            c.safe_records = c.out.records.len();
        }
    }
    if finish && !c.open.is_empty() {
        c.flush();
        c.out.consumed = at;
        c.safe_records = c.out.records.len();
    }
    c.out.records.truncate(c.safe_records);
    c.out
}

/// At most `max`, but not inside a UTF-8 sequence.
fn char_boundary(bytes: &[u8], max: usize) -> usize {
    let is_continuation = |i: usize| bytes.get(i).is_some_and(|b| b & 0xc0 == 0x80);
    (max.saturating_sub(3).max(1)..=max).rev().find(|i| !is_continuation(*i)).unwrap_or(max)
}

struct Cutter {
    out: Cut,
    /// Records begun and not ended, one per stream.
    open: Vec<Raw>,
    /// Records before `out.consumed`.
    safe_records: usize,
    limits: Limits,
}

impl Cutter {
    fn push_plain(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            let body = String::from_utf8_lossy(line).into_owned();
            self.out.records.push(Raw { body, time_ns: None, stream: None });
        }
    }

    fn push_container(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        match cri(&text).or_else(|| docker(&text)) {
            Some(part) => self.push_part(part),
            None => self.push_plain(line),
        }
    }

    fn push_part(&mut self, part: Part<'_>) {
        let open = self.open.iter().position(|r| r.stream == part.stream);
        let mut record = match open {
            Some(i) => self.open.swap_remove(i),
            None => Raw { body: String::new(), time_ns: part.time_ns, stream: part.stream },
        };
        record.body.push_str(&part.text);
        // Escapes in JSON can make a text longer than its line, never by much; the next stage has the limit.
        let too_long = record.body.len() > self.limits.max_line_bytes;
        if part.ends || too_long {
            self.out.split += u64::from(!part.ends);
            self.out.records.push(record);
        } else {
            self.open.push(record);
        }
    }

    fn flush(&mut self) {
        self.out.records.append(&mut self.open);
    }
}

struct Part<'a> {
    time_ns: Option<i64>,
    stream: Option<&'static str>,
    ends: bool,
    text: Cow<'a, str>,
}

fn stream(name: &str) -> Option<&'static str> {
    ["stdout", "stderr"].into_iter().find(|s| *s == name)
}

fn cri<'a>(line: &'a str) -> Option<Part<'a>> {
    let (time, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    let stream = stream(name)?;
    let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let time_ns = Some(lines::rfc3339(time)?);
    // Tags are separated by colons; the first one says partial or full.
    let ends = match tags.split(':').next() {
        Some("F") => true,
        Some("P") => false,
        _ => return None,
    };
    Some(Part { time_ns, stream: Some(stream), ends, text: Cow::Borrowed(text) })
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
}

fn docker<'a>(line: &'a str) -> Option<Part<'static>> {
    if !line.starts_with('{') {
        return None;
    }
    let d: DockerLine<'a> = serde_json::from_str(line).ok()?;
    let ends = d.log.ends_with('\n');
    let text = d.log.strip_suffix('\n').unwrap_or(&d.log).to_owned();
    Some(Part { time_ns: lines::rfc3339(&d.time), stream: stream(&d.stream), ends, text: Cow::Owned(text) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { max_line_bytes: 100, max_lines: 1000 };

    fn bodies(c: &Cut) -> Vec<&str> {
        c.records.iter().map(|r| r.body.as_str()).collect()
    }

    #[test]
    fn an_incomplete_line_waits_unless_nothing_will_follow() {
        let c = cut(b"one\r\n\ntwo\nthr", Format::Plain, LIMITS, false);
        assert_eq!((bodies(&c), c.consumed), (vec!["one", "two"], 10));
        let c = cut(b"one\nthr", Format::Plain, LIMITS, true);
        assert_eq!((bodies(&c), c.consumed), (vec!["one", "thr"], 7));
    }

    #[test]
    fn a_line_over_the_limit_is_split_between_characters_and_counted() {
        let text = format!("{}é{}\nnext\n", "a".repeat(99), "b".repeat(50));
        let c = cut(text.as_bytes(), Format::Plain, LIMITS, false);
        assert_eq!(bodies(&c), [&"a".repeat(99), &format!("é{}", "b".repeat(50)), "next"].map(|s| s as &str));
        assert_eq!((c.split, c.consumed), (1, text.len()));
        let endless = vec![b'x'; 250];
        let c = cut(&endless, Format::Plain, LIMITS, false);
        assert_eq!((c.records.len(), c.consumed), (2, 200));
    }

    #[test]
    fn cri_parts_are_joined_per_stream_and_a_range_never_ends_inside_a_record() {
        let text = "2023-11-14T22:13:20.1Z stdout P a\n2023-11-14T22:13:20.2Z stderr F err\n\
                    2023-11-14T22:13:20.3Z stdout F b\n2023-11-14T22:13:20.4Z stdout P open\n";
        let c = cut(text.as_bytes(), Format::Container, LIMITS, false);
        assert_eq!(bodies(&c), ["err", "ab"]);
        assert_eq!(c.records[1].time_ns, Some(1_700_000_000_100_000_000), "the time of its first part");
        assert_eq!(&text[c.consumed..], "2023-11-14T22:13:20.4Z stdout P open\n");
        let c = cut(text.as_bytes(), Format::Container, LIMITS, true);
        assert_eq!((bodies(&c), c.consumed), (vec!["err", "ab", "open"], text.len()));
        let early = cut(&text.as_bytes()[..80], Format::Container, LIMITS, false);
        assert_eq!(early, Cut::default(), "stderr's line waits for stdout's record to end");
    }

    #[test]
    fn docker_lines_are_read_and_joined() {
        let text = "{\"log\":\"a \",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20Z\"}\n\
                    {\"log\":\"\\u00e9\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:21Z\"}\n{\"other\":1}\n";
        let c = cut(text.as_bytes(), Format::Container, LIMITS, false);
        assert_eq!(bodies(&c), ["a é", "{\"other\":1}"]);
        assert_eq!(
            (c.records[0].stream, c.records[0].time_ns),
            (Some("stdout"), Some(1_700_000_000_000_000_000))
        );
    }

    #[test]
    fn a_record_in_endless_parts_is_cut() {
        let text = "2023-11-14T22:13:20Z stdout P 0123456789\n".repeat(10);
        let c = cut(text.as_bytes(), Format::Container, LIMITS, false);
        assert!(c.consumed > 0 && c.split > 0, "{c:?}");
    }

    #[test]
    fn a_batch_ends_at_the_limit_of_lines() {
        let limits = Limits { max_lines: 2, ..LIMITS };
        let c = cut(b"1\n2\n3\n", Format::Plain, limits, false);
        assert_eq!((bodies(&c), c.consumed), (vec!["1", "2"], 4));
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            "[a-z ]{0,30}",
            "[a-z]{90,130}",
            "2023-11-14T22:13:20Z std(out|err) (P|F) [a-z]{0,20}",
            "\\{\"log\":\"[a-z]{0,9}(\\\\\\\\n)?\",\"stream\":\"stdout\",\"time\":\"\"\\}",
        ];
        prop_oneof![
            proptest::collection::vec(line, 0..20).prop_map(|l| l.join("\n").into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..400),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What a crash and a replay do: the planned range read alone gives the same records.
        #[test]
        fn a_range_cut_again_gives_the_same_records(
            bytes in content(), container in any::<bool>(), lines in 1usize..30
        ) {
            let format = if container { Format::Container } else { Format::Plain };
            let limits = Limits { max_lines: lines, ..LIMITS };
            let first = cut(&bytes, format, limits, false);
            prop_assert!(first.consumed <= bytes.len());
            let range = &bytes[..first.consumed];
            let again = cut(range, format, Limits { max_lines: usize::MAX, ..LIMITS }, true);
            prop_assert_eq!(&again.records, &first.records);
            prop_assert_eq!(again.consumed, first.consumed);
        }

        /// However the bytes arrive, plain records are the same.
        #[test]
        fn plain_records_do_not_depend_on_how_the_bytes_arrive(bytes in content(), at in any::<prop::sample::Index>()) {
            let at = at.index(bytes.len() + 1);
            let whole = cut(&bytes, Format::Plain, LIMITS, true);
            let first = cut(&bytes[..at], Format::Plain, LIMITS, false);
            let second = cut(&bytes[first.consumed..], Format::Plain, LIMITS, true);
            let joined: Vec<Raw> = first.records.into_iter().chain(second.records).collect();
            prop_assert_eq!(joined, whole.records);
        }
    }
}
