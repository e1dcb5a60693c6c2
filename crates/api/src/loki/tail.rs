//! `tail`: lines as they are written, over a WebSocket.
//!
//! ```text
//! {"streams":[{"stream":{…},"values":[["<ns>","<line>"], …]}],
//!  "dropped_entries":[{"labels":{…},"timestamp":"<ns>"}],          where lines were left out
//!  "coverage":[…]}                                                   where it is not what it was
//! ```
//! Coverage says how completely everything was sent that there is so far. A source that goes missing is named at once,
//! by a message without streams; one that is back is whole again when what it has had meanwhile was sent.
//!
//! What is wrong with a request is answered before the connection becomes a WebSocket, as by the other routes. One
//! tail: [`follow`] says what to read, [`session`] reads it, [`outbox`] holds what the client has not taken yet.

mod follow;
mod outbox;
mod places;
mod remembered;
mod session;

use axum::{
    extract::{WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::{IntoResponse, Response},
};
use base::Kind;
use http::{HeaderMap, HeaderValue, header};
use logql::{Expr, ast::LogExpr};

use super::{
    Ask, LokiError,
    query::{HOUR_NS, SECOND_NS, labelling, limit},
};
use crate::{
    Error,
    params::{Params, bad},
};
use follow::Follow;
use session::Session;

pub use places::Tails;

/// Lines of history at most; they are held until the oldest of them is known.
const MAX_HISTORY: usize = 5000;
/// Seconds that `delay_for` may be, as in Loki.
const MAX_DELAY_S: u64 = 5;
/// A client has nothing to say but that it is there.
const MAX_INCOMING_BYTES: usize = 64 << 10;

pub async fn tail(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    ask: Ask,
) -> Result<Response, LokiError> {
    same_origin(&ask.headers, ask.state.options.cors_origin.as_deref())?;
    let query = log_query(ask.params.require("query")?)?;
    let follow = follow(&ask.params, ask.state.clock.now_ns())?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(e) => return Ok(e.into_response()),
    };
    let place = ask.state.tails().enter(&ask.tenants)?;
    let labelling = labelling(&ask);
    let session = Session::new(ask, query, follow, labelling, place)?;
    session.check().await?;
    let upgrade = upgrade.max_message_size(MAX_INCOMING_BYTES).max_frame_size(MAX_INCOMING_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let shutdown = session.shutdown();
        // The node waits for its tails: they tell their clients to come back.
        shutdown.spawn(session.run(socket));
    }))
}

fn log_query(text: &str) -> Result<LogExpr, Error> {
    let expr = logql::parse(text).map_err(logql::Error::from)?;
    logql::check::check(&expr).map_err(logql::Error::from)?;
    match expr {
        Expr::Log(log) => Ok(log),
        Expr::Metric(_) => {
            let short: String = text.chars().take(100).collect();
            Err(Error::invalid(format!("a tail follows lines, and {short:?} is a metric query")))
        }
    }
}

fn follow(p: &Params, now_ns: i64) -> Result<Follow, Error> {
    let start_ns = p.loki_time_ns("start")?.unwrap_or_else(|| now_ns.saturating_sub(HOUR_NS));
    let limit = limit(p)?;
    if limit > MAX_HISTORY {
        let text = p.get("limit").unwrap_or_default();
        return Err(bad("limit", text, &format!("a tail begins with {MAX_HISTORY} lines at most")));
    }
    let delay = p.duration("delay_for")?.unwrap_or_default();
    if delay.as_secs_f64() > MAX_DELAY_S as f64 {
        let text = p.get("delay_for").unwrap_or_default();
        return Err(bad("delay_for", text, &format!("it must be at most {MAX_DELAY_S} seconds")));
    }
    Ok(Follow::new(start_ns, limit, (delay.as_secs_f64() * SECOND_NS as f64) as i64))
}

/// Browsers let every page open a WebSocket to everywhere and say only where the page is from.
fn same_origin(headers: &HeaderMap, allowed: Option<&str>) -> Result<(), Error> {
    let text = |name| headers.get(name).map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let own = origin.split_once("://").map(|(_, host)| host);
    let is_own = own.is_some_and(|o| text(header::HOST).is_some_and(|h| o.eq_ignore_ascii_case(&h)));
    if is_own || allowed.is_some_and(|a| a == "*" || a == origin) {
        return Ok(());
    }
    let short: String = origin.chars().take(100).collect();
    Err(Error::new(Kind::Denied, format!("pages of {short:?} may not read here (http.cors_origin)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_is_let_in_only_where_that_is_configured() {
        let asked = |origin: Option<&'static str>, allowed| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("node:9494"));
            headers.extend(origin.map(|o| (header::ORIGIN, HeaderValue::from_static(o))));
            same_origin(&headers, allowed)
        };
        assert!(asked(None, None).is_ok() && asked(Some("https://node:9494"), None).is_ok());
        assert!(asked(Some("https://evil.example"), Some("*")).is_ok());
        assert!(asked(Some("https://a.example"), Some("https://a.example")).is_ok());
        for foreign in ["https://evil.example", "null", "https://node:9495"] {
            let refused = asked(Some(foreign), Some("https://a.example")).unwrap_err();
            assert!(refused.kind() == Kind::Denied && refused.to_string().contains(foreign), "{refused}");
        }
    }

    #[test]
    fn only_log_queries_are_followed_and_limits_are_named() {
        assert!(log_query("{app=\"x\"} |= \"a\" | json").is_ok());
        for wrong in ["rate({app=\"x\"}[1m])", "{app=", "{app=\"x\"} |~ \"(\""] {
            assert_eq!(log_query(wrong).unwrap_err().kind(), Kind::Invalid, "{wrong}");
        }
        let follow = |q: &str| follow(&Params::from_query(q), 0);
        assert!(follow("").is_ok() && follow("delay_for=5&limit=5000&start=1").is_ok());
        for wrong in ["delay_for=6", "delay_for=x", "limit=5001", "limit=0", "start=soon"] {
            let name = wrong.split('=').next().unwrap();
            assert!(follow(wrong).err().unwrap().to_string().contains(name), "{wrong}");
        }
    }
}
