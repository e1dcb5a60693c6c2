//! What a request says: the statement as JSON, as a form, as the body itself or in the query string.

use axum::extract::Request;
use base::memory::Use;
use http::{HeaderMap, Method, header};
use model::TimestampNs;
use serde_json::Value;

use super::{Ask, Format};
use crate::{
    AppState, Error, body,
    params::{Params, bad},
    tenant,
};

/// Rows where the client says nothing; the answer says that there are more. `limit=0` asks for all.
const DEFAULT_LIMIT: u64 = 10_000;
/// Statements are small; what is around them in JSON is not much.
const MAX_BODY_BYTES: usize = 1 << 20;

pub(super) async fn read(state: &AppState, request: Request) -> Result<Ask, Error> {
    let headers = request.headers().clone();
    let tenants = tenant::for_read(&headers)?;
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let params = match (request.method() == Method::POST, media.as_str()) {
        (true, "application/json") => {
            let (text, query) = body_of(state, &headers, request).await?;
            Params::from_pairs(pairs(&text)?, &query)
        }
        (true, "application/sql" | "text/plain") => {
            let (text, query) = body_of(state, &headers, request).await?;
            Params::from_pairs(vec![("query".to_owned(), text)], &query)
        }
        (true, "" | "application/x-www-form-urlencoded") | (false, _) => Params::read(state, request).await?,
        (true, other) => {
            return Err(Error::UnsupportedMedia(format!(
                "content type {other:?} is not read here, use application/json, application/sql, text/plain or \
                 application/x-www-form-urlencoded"
            )));
        }
    };
    Ask::new(state, headers, tenants, params)
}

/// The body as text, and the query string.
async fn body_of(state: &AppState, headers: &HeaderMap, request: Request) -> Result<(String, String), Error> {
    let (head, incoming) = request.into_parts();
    let held = body::read(state, headers, incoming, MAX_BODY_BYTES, "the statement", Use::Query).await?;
    let text = std::str::from_utf8(&held.bytes)
        .map_err(|e| Error::invalid(format!("the body is not UTF-8: {e}")))?;
    Ok((text.to_owned(), head.uri.query().unwrap_or_default().to_owned()))
}

/// The members of a JSON object as parameters.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Error> {
    let members: serde_json::Map<String, Value> = serde_json::from_str(text)
        .map_err(|e| Error::invalid(format!("the body is not an object in JSON: {e}")))?;
    let mut pairs = Vec::new();
    for (name, value) in members {
        let text = match value {
            Value::Null => continue,
            Value::String(s) => s,
            Value::Number(n) => n.to_string(),
            Value::Bool(b) => b.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(Error::invalid(format!(
                    "{name:?} in the body must be a text, a number or a flag"
                )));
            }
        };
        if !["query", "from", "to", "format", "limit", "timeout", "partial", "dedup"].contains(&name.as_str())
        {
            return Err(Error::invalid(format!(
                "{name:?} in the body is not known: query, from, to, format, limit, timeout, partial and dedup are"
            )));
        }
        pairs.push((name, text));
    }
    Ok(pairs)
}

/// By name, else the first that the client accepts.
pub(super) fn format(ask: &Ask) -> Result<Format, Error> {
    if let Some(name) = ask.params.get("format") {
        return Format::ALL
            .into_iter()
            .find(|f| f.name() == name)
            .ok_or_else(|| bad("format", name, "it must be json, csv or arrow"));
    }
    let accepted = ask.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut asked = accepted.split(',').filter_map(|one| {
        let media = one.split(';').next().unwrap_or_default().trim();
        Format::ALL.into_iter().find(|f| f.media_type() == media)
    });
    Ok(asked.next().unwrap_or(Format::Json))
}

/// `from` and `to`, the latter not included.
pub(super) fn range(p: &Params) -> Result<(Option<TimestampNs>, Option<TimestampNs>), Error> {
    let (from, to) = (p.loki_time_ns("from")?, p.loki_time_ns("to")?);
    match (from, to) {
        (Some(from), Some(to)) if to < from => {
            Err(bad("to", p.get("to").unwrap_or_default(), "it must not be before from"))
        }
        _ => Ok((from.map(TimestampNs), to.map(TimestampNs))),
    }
}

pub(super) fn limit(p: &Params) -> Result<Option<u64>, Error> {
    match p.get("limit") {
        None => Ok(Some(DEFAULT_LIMIT)),
        Some(_) => Ok(p.limit("limit")?.map(|n| n as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_json_are_parameters_and_unknown_ones_are_refused_by_name() {
        let all = pairs(r#"{"query":"select 1","limit":5,"to":null,"from":1.5}"#).unwrap();
        assert_eq!(all.len(), 3);
        let p = Params::from_pairs(all, "limit=7&format=csv");
        assert_eq!((limit(&p).unwrap(), p.get("format")), (Some(5), Some("csv")));
        assert_eq!(range(&p).unwrap().0, Some(TimestampNs(1_500_000_000)));
        assert!(pairs(r#"{"querry":"x"}"#).unwrap_err().to_string().contains("\"querry\""));
        assert!(pairs(r#"{"query":["x"]}"#).is_err() && pairs("select 1").is_err());
    }

    #[test]
    fn without_a_limit_there_is_one_and_nought_takes_it_away() {
        assert_eq!(limit(&Params::from_query("")).unwrap(), Some(DEFAULT_LIMIT));
        assert_eq!(limit(&Params::from_query("limit=0")).unwrap(), None);
        assert!(limit(&Params::from_query("limit=-1")).is_err());
        assert!(range(&Params::from_query("from=2&to=1")).is_err());
    }
}
