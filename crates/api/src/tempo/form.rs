//! In which form an answer is written: protobuf where `Accept` names it, JSON otherwise.
//!
//! What reads JSON into Tempo's own messages (Grafana its metrics, Tempo's tools everything) fails on a field that it
//! does not know, `coverage` for one. These readers ask for `application/json` and nothing else and are no browsers, or
//! are Go programs that say nothing at all; to them goes Tempo's message alone, and the header `X-Orrery-Coverage` says
//! the rest.

use http::{HeaderMap, header};

/// Tempo's media type for its messages.
pub(super) const PROTOBUF: &str = "application/protobuf";
const JSON: &str = "application/json";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    Json(Reader),
}

/// Who reads JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// One that may know Tempo's fields only.
    Strict,
    /// One that takes anything: a browser, curl, a script.
    Open,
}

impl Reader {
    /// Whether an answer may have fields that Tempo's has not.
    pub fn takes_more(self) -> bool {
        self == Reader::Open
    }
}

impl Form {
    pub fn of(headers: &HeaderMap) -> Self {
        let (accept, agent) = (text(headers, header::ACCEPT), text(headers, header::USER_AGENT));
        if media(accept).any(is_protobuf) {
            return Form::Protobuf;
        }
        let strict = match media(accept).next() {
            Some(_) => media(accept).all(|m| m == JSON) && !agent.starts_with("Mozilla/"),
            None => agent.starts_with("Go-http-client"),
        };
        Form::Json(if strict { Reader::Strict } else { Reader::Open })
    }

    /// Bytes of what takes so many as a message. JSON is larger: names, quotes, numbers as text.
    pub fn expected_bytes(self, message: usize) -> u64 {
        const JSON_FACTOR: u64 = 4;
        match self {
            Form::Protobuf => message as u64,
            Form::Json(_) => message as u64 * JSON_FACTOR,
        }
    }

    /// Whether `Accept` names Tempo's media types and leaves nothing else open.
    pub fn is_named(headers: &HeaderMap) -> bool {
        let accept = text(headers, header::ACCEPT);
        media(accept).any(is_protobuf) || (media(accept).next().is_some() && media(accept).all(|m| m == JSON))
    }
}

fn is_protobuf(media: &str) -> bool {
    media == PROTOBUF || media == "application/x-protobuf"
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// The media ranges of `Accept`, without parameters.
fn media(accept: &str) -> impl Iterator<Item = &str> {
    let ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    ranges.filter(|m| !m.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(accept: Option<&'static str>, agent: &'static str) -> HeaderMap {
        let mut h = HeaderMap::new();
        if let Some(accept) = accept {
            h.insert(header::ACCEPT, HeaderValue::from_static(accept));
        }
        h.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        h
    }

    #[test]
    fn who_asks_by_name_gets_tempos_message_and_nothing_more() {
        let (strict, open) = (Form::Json(Reader::Strict), Form::Json(Reader::Open));
        for (accept, agent, form, named) in [
            (Some("application/protobuf"), "Grafana/12", Form::Protobuf, true),
            (Some("application/json, application/protobuf;q=0.9"), "x", Form::Protobuf, true),
            (Some("application/json"), "Grafana/12", strict, true),
            (Some("application/json"), "Mozilla/5.0 (X11)", open, true),
            (None, "Go-http-client/1.1", strict, false),
            (None, "Python-urllib/3.12", open, false),
            (Some("*/*"), "curl/8.5", open, false),
            (Some("application/json, text/plain, */*"), "Mozilla/5.0", open, false),
            (Some("text/html"), "Mozilla/5.0", open, false),
            (Some(""), "curl/8.5", open, false),
        ] {
            let h = headers(accept, agent);
            assert_eq!((Form::of(&h), Form::is_named(&h)), (form, named), "{accept:?} {agent}");
        }
    }
}
