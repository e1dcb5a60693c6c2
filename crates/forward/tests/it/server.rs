//! An HTTP receiver that answers from a script and remembers what it was asked.

use std::{collections::VecDeque, io::Read, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base::Clock;
use forward::{Class, Delivery, destination::http::HttpOptions};
use model::{Batch, BatchId, Labels, LogBatch, LogRecord, LogStream, MetricBatch, TenantId};
use parking_lot::Mutex;

/// One answer; the last of a script is given again and again.
#[derive(Clone)]
pub enum Say {
    Is(u16, &'static [(&'static str, &'static str)], Vec<u8>),
    /// Never answers.
    Nothing,
}

pub fn status(code: u16) -> Say {
    Say::Is(code, &[], Vec::new())
}

pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The body unpacked.
    pub fn plain(&self) -> Vec<u8> {
        unpacked(self.header("content-encoding"), &self.body)
    }
}

pub fn unpacked(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding {
        "snappy" => snap::raw::Decoder::new().decompress_vec(body).unwrap(),
        "gzip" => {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(body).read_to_end(&mut out).unwrap();
            out
        }
        _ => body.to_vec(),
    }
}

pub struct Server {
    pub url: String,
    script: Mutex<VecDeque<Say>>,
    pub asked: Mutex<Vec<Asked>>,
}

impl Server {
    pub async fn start(script: impl IntoIterator<Item = Say>) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Mutex::new(script.into_iter().collect());
        let server = Arc::new(Server { url, script, asked: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn options(&self) -> HttpOptions {
        HttpOptions { timeout: Duration::from_secs(20), ..HttpOptions::new([self.url.clone()]) }
    }
}

async fn answer(State(s): State<Arc<Server>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    s.asked.lock().push(Asked { path: uri.path().to_owned(), headers, body: body.to_vec() });
    let say = {
        let mut script = s.script.lock();
        if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
    };
    match say {
        Some(Say::Is(code, headers, body)) => {
            let mut response = (StatusCode::from_u16(code).unwrap(), body).into_response();
            // A content type is given by the script or not at all.
            response.headers_mut().remove("content-type");
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        _ => std::future::pending().await,
    }
}

pub fn clock() -> Clock {
    Clock::system()
}

pub fn delivery(batch: Batch) -> Delivery {
    Delivery {
        id: BatchId::Numbered { source: 7, epoch: 3, sequence: 9 },
        tenant: TenantId::new("team-a").unwrap(),
        class: Class::Logs,
        batch,
        positions: Vec::new(),
        meter: Default::default(),
    }
}

pub fn logs(lines: &[&str]) -> Batch {
    let labels = Labels::from_pairs([("service_name", "shop")]);
    let record = |l: &&str| LogRecord {
        body: (*l).into(),
        timestamp_ns: 1_700_000_000_000_000_000,
        ..Default::default()
    };
    Batch::Logs(LogBatch {
        streams: vec![LogStream { labels, ..LogStream::default() }],
        records: lines.iter().map(record).collect(),
    })
}

pub fn metrics(values: &[f64]) -> Batch {
    let mut m = MetricBatch::default();
    for (i, v) in values.iter().enumerate() {
        let series = m.push_series(Labels::from_pairs([("__name__", "up"), ("n", i.to_string().as_str())]));
        m.samples.push(series, 1_700_000_000_000, *v);
    }
    Batch::Metrics(m)
}
