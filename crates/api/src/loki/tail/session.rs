//! One tail and its client: reading, writing and listening at once, until one of them ends.

use std::{future::Future, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use base::{
    Clock, Kind, Shutdown,
    memory::{Reservation, Use},
};
use contract::{Coverage, CoverageState};
use futures::{Sink, SinkExt, Stream, StreamExt};
use logql::{Answer, Expr, QueryContext, StreamEntries, Value, ast::LogExpr};
use model::Matcher;

use super::{
    follow::{Follow, Read, Row},
    outbox::{Next, Outbox},
    places::Place,
};
use crate::{
    Error,
    ask::Covered,
    loki::{
        Ask,
        json::{self as shape, Labelling},
    },
};

/// How long after a reading the next begins: where lines came, and where none did. Shorter: queries that find nothing.
const SOON: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(1);
/// How long one reading may take, however long queries may: a tail whose members are slow says so.
const READING: Duration = Duration::from_secs(10);
/// How long a reader that is behind is waited for before lines are dropped.
const ROOM: Duration = Duration::from_secs(2);
/// How often a client is asked whether it is there, and how many times in vain.
const PING_EVERY: Duration = Duration::from_secs(20);
const SILENT_PINGS: u32 = 3;
/// How long the end may take.
const CLOSING: Duration = Duration::from_secs(1);
/// Longest reason of an end: what a control frame holds, less the code.
const MAX_REASON: usize = 123;

pub(super) struct Session {
    ask: Ask,
    query: LogExpr,
    follow: Follow,
    labelling: Labelling,
    /// What remembering takes.
    held: Reservation,
    /// What was said of coverage last.
    said: Option<Vec<Said>>,
    _place: Place,
}

/// What of a source's coverage is news: not how far it reaches, which is more with every reading.
type Said = (String, Option<String>, CoverageState, String);

/// Why a tail ends.
enum End {
    /// The client closed it, or is gone.
    Client,
    Shutdown,
    Error(Error),
}

/// What came of one reading.
struct Came {
    streams: Vec<StreamEntries>,
    coverage: Coverage,
}

impl Covered for Came {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

impl Session {
    pub fn new(
        ask: Ask,
        query: LogExpr,
        follow: Follow,
        labelling: Labelling,
        place: Place,
    ) -> Result<Self, Error> {
        let held = ask.state.budget.reserve(Use::Query, 0)?;
        Ok(Session { ask, query, follow, labelling, held, said: None, _place: place })
    }

    pub fn shutdown(&self) -> Shutdown {
        self.ask.state.shutdown.clone()
    }

    /// Evaluates the query over nothing.
    ///
    /// # Errors
    /// What is wrong with it before a line is read.
    pub async fn check(&self) -> Result<(), Error> {
        let nothing = model::TimeRange::new(model::TimestampNs(0), model::TimestampNs(0));
        self.read(&Read::of(nothing)).await.map(|_| ())
    }

    pub async fn run(mut self, socket: WebSocket) {
        let (mut sink, mut stream) = socket.split();
        let (state, labelling) = (self.ask.state.clone(), self.labelling);
        let end = match Outbox::new(&state.budget, state.tails().dropped.clone()) {
            Err(e) => End::Error(e),
            Ok(outbox) => tokio::select! {
                end = self.follow(&outbox) => end,
                end = write(&outbox, &mut sink, labelling) => end,
                end = listen(&outbox, &mut stream) => end,
                () = state.shutdown.started() => End::Shutdown,
            },
        };
        let (code, reason) = match end {
            End::Client => (close_code::NORMAL, String::new()),
            End::Shutdown => (close_code::AWAY, "this node is shutting down".to_owned()),
            End::Error(e) => {
                tracing::debug!(error = %e, "a live tail ended");
                (close_code::ERROR, e.to_string())
            }
        };
        let reason = reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default();
        let frame = CloseFrame { code, reason: reason.into() };
        let closing = async {
            // Whoever is gone does not hear it.
            if sink.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = stream.next().await {}
            }
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }

    /// Reads for ever, unless something is wrong that stays wrong.
    async fn follow(&mut self, outbox: &Outbox) -> End {
        let clock = self.ask.state.clock.clone();
        loop {
            let read = self.follow.next(clock.now_ns());
            let mut wait = IDLE;
            let came = self.read(&read).await;
            match came {
                Ok(came) => {
                    let fresh = self.follow.took(&read, came.streams, &came.coverage, clock.now_ns());
                    if !fresh.rows.is_empty() {
                        wait = SOON;
                    }
                    outbox.drop_named("left_out", fresh.left_out);
                    send(outbox, fresh.rows, &clock).await;
                }
                Err(e) if e.kind() == Kind::Limited && self.follow.leaves_late(&read, clock.now_ns()) => {}
                Err(e) if !e.kind().is_retryable() || self.ask.denies_partial() => return End::Error(e),
                Err(e) => {
                    let own = self.ask.state.options.cluster.as_ref().map_or("local", |c| c.as_str());
                    self.follow.failed(&read, own, &e.to_string());
                }
            }
            self.say(outbox);
            self.charge();
            if !self.follow.is_behind() {
                clock.sleep(wait).await;
            }
        }
    }

    fn charge(&mut self) {
        let (held, wanted) = (self.held.bytes(), self.follow.bytes());
        if wanted > held && self.held.grow(wanted - held).is_err() {
            self.follow.forget_half();
        }
        self.held.shrink_to(self.follow.bytes());
    }

    fn say(&mut self, outbox: &Outbox) {
        let coverage = self.follow.coverage();
        let said: Vec<Said> = coverage
            .sources()
            .iter()
            .map(|s| (s.cluster.clone(), s.replica.clone(), s.state, s.reason.clone()))
            .collect();
        if self.said.as_ref() != Some(&said) {
            outbox.coverage(coverage.clone());
            self.said = Some(said);
        }
    }

    fn read(&self, read: &Read) -> impl Future<Output = Result<Came, Error>> + Send {
        let mut query = self.query.clone();
        query.matchers.extend(read.cluster.iter().map(|c| Matcher::equal("cluster", c)));
        let text = Expr::Log(query).to_string();
        let (engine, tenants) = (self.ask.reads.logql.clone(), self.ask.tenants.clone());
        let (start, end) = (read.range.start.0, read.range.end.0);
        let (limit, direction) = (read.limit, read.direction);
        let run = move |limits| async move {
            let context = QueryContext { tenants, limits };
            let answer = engine.range(&text, start, end, 1, limit, direction, &context).await?;
            let Answer { value, coverage, .. } = answer;
            match value {
                Value::Streams(streams) => Ok(Came { streams, coverage }),
                other => Err(Error::new(Kind::Internal, format!("a log query became {other:?}"))),
            }
        };
        self.ask.run_within(READING, run)
    }
}

/// Puts lines where the client takes them from, and drops them where it does not take any for long.
async fn send(outbox: &Outbox, rows: Vec<Row>, clock: &Clock) {
    let mut left = outbox.lines(rows.into());
    while !left.is_empty() {
        tokio::select! {
            () = outbox.room() => left = outbox.lines(left),
            () = clock.sleep(ROOM) => return outbox.drop_lines("slow_reader", left),
        }
    }
}

async fn write(
    outbox: &Outbox,
    sink: &mut (impl Sink<Message, Error = axum::Error> + Unpin),
    labelling: Labelling,
) -> End {
    loop {
        let message = match outbox.next().await {
            Next::Ping => Message::Ping(axum::body::Bytes::new()),
            Next::Send(m) => {
                let text = shape::tail(m.streams, &m.dropped, m.coverage.as_ref(), labelling);
                match String::from_utf8(text) {
                    Ok(text) => Message::Text(text.into()),
                    Err(e) => return End::Error(Error::new(Kind::Internal, e.to_string())),
                }
            }
        };
        if sink.send(message).await.is_err() {
            return End::Client;
        }
    }
}

/// Hears whether the client is there; it has nothing to say.
async fn listen(
    outbox: &Outbox,
    stream: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
) -> End {
    let mut pings = 0;
    loop {
        match tokio::time::timeout(PING_EVERY, stream.next()).await {
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return End::Client,
            Ok(Some(Ok(_))) => pings = 0,
            Err(_) if pings >= SILENT_PINGS => return End::Client,
            Err(_) => {
                pings += 1;
                outbox.ping();
            }
        }
    }
}
