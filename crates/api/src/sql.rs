//! `GET` and `POST /api/v1/sql`.
//!
//! ```text
//! {"columns":[{"name":"level","type":"Utf8"}],
//!  "rows":[["error"]],
//!  "count":1,"truncated":false,
//!  "read":[{"table":"logs","from":"2026-11-21T10:00:00Z","to":"2026-11-21T11:00:00Z","assumed":false}],
//!  "warnings":[],"coverage":[…]}
//! ```
//! An answer is sent as it is made. One that fits into [`HELD_BYTES`] is known whole before its head is sent: it has its
//! coverage in the header, and what goes wrong in its status. Of a longer one coverage stands at the end of the JSON and
//! in a trailer, and what goes wrong is the JSON's `error`; CSV and Arrow, which cannot say it, break off.

mod answer;
mod asked;

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use base::Kind;
use contract::{SqlAnswer, SqlRequest};
use futures::StreamExt;
use http::{HeaderName, header};
use serde_json::json;

use crate::{AppState, Error, ask, ask::Turn, layers, prom::json_response, status};
use answer::Outgoing;

/// What a build without SQL says.
pub(crate) const LEFT_OUT: &str = "this build of Orrery answers no SQL: it was made without the feature lake";

/// Which time of which table was read.
pub const RANGE_HEADER: HeaderName = HeaderName::from_static("x-orrery-range");

/// More of an answer is sent before it is known whole.
const HELD_BYTES: usize = 1 << 20;

pub fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/sql", get(query).post(query))
}

type Ask = ask::Ask<SqlError>;

/// An error in the shape that the other APIs below `/api/v1` have.
#[derive(Debug)]
pub struct SqlError(pub Error);

impl<E: Into<Error>> From<E> for SqlError {
    fn from(e: E) -> Self {
        SqlError(e.into())
    }
}

impl IntoResponse for SqlError {
    fn into_response(self) -> Response {
        let e = &self.0;
        let body = json!({"status": "error", "errorType": e.kind().as_str(), "error": e.to_string()});
        layers::finish_error(json_response(status::http_of(e), body.to_string().into()), e)
    }
}

async fn query(State(state): State<AppState>, request: Request) -> Result<Response, SqlError> {
    let ask = asked::read(&state, request).await?;
    let Some(sql) = ask.reads.sql.clone() else {
        return Err(Error::new(Kind::NotFound, LEFT_OUT).into());
    };
    let format = asked::format(&ask)?;
    let (from, to) = asked::range(&ask.params)?;
    let (statement, limit) = (ask.params.require("query")?.to_owned(), asked::limit(&ask.params)?);
    let Turn { pass, limits, timeout } = ask.turn(state.options.query_timeout).await?;
    let request = SqlRequest {
        statement,
        tenants: ask.tenants.clone(),
        limits,
        from,
        to,
        limit,
        format: format.rows(),
    };
    let begun = async move {
        let mut answer = sql.query(request).await?;
        let (mut held, mut has_ended) = (Vec::new(), false);
        while held.len() <= HELD_BYTES && !has_ended {
            match answer.pieces.next().await.transpose()? {
                Some(mut piece) => held.append(&mut piece),
                None => has_ended = true,
            }
        }
        Ok::<_, Error>((answer, held, has_ended))
    };
    let begun = tokio::time::timeout(timeout + ask::OVERTIME, state.pool().run(begun)).await;
    let (answer, held, has_ended): (SqlAnswer, Vec<u8>, bool) = match begun {
        Ok(begun) => begun?,
        Err(_) => {
            return Err(Error::new(Kind::Timeout, "the query did not finish within query.timeout").into());
        }
    };
    let outgoing = Outgoing::new(format, answer, ask.denies_partial());
    Ok(match has_ended {
        true => outgoing.whole(held, &state.budget)?,
        false => outgoing.streamed(held, pass),
    })
}

/// The formats of an answer, by the name and the media type that ask for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Arrow,
}

impl Format {
    const ALL: [Format; 3] = [Format::Json, Format::Csv, Format::Arrow];

    fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Arrow => "arrow",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Csv => "text/csv",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    fn content_type(self) -> (HeaderName, &'static str) {
        let value = match self {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            other => other.media_type(),
        };
        (header::CONTENT_TYPE, value)
    }

    fn rows(self) -> contract::SqlFormat {
        match self {
            Format::Json => contract::SqlFormat::JsonRows,
            Format::Csv => contract::SqlFormat::Csv,
            Format::Arrow => contract::SqlFormat::Arrow,
        }
    }
}
