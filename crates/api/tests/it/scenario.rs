//! HTTP scenarios as text: `tests/scenarios/*.http`, one node per file, requests in order.
//!
//! ```text
//! == what it proves
//! POST /api/v1/write                       method and path, then headers
//! X-Scope-OrgID: a
//! !write up{job="x"} 1700000000000 1       a body made for us: one float sample (remote write, snappy)
//! !hex                                     the body is written in hexadecimal digits
//! !pack gzip                               packs the body and names the encoding
//!
//! body                                     after an empty line, up to the arrow
//! --> 200                                  the status wanted
//! content-type: application/json           a header that must contain this; `-name` must be absent
//! {"status": "success"}                    JSON: objects may hold more, arrays not; "*" is anything
//! ~ text                                   the body contains this; `~~ text` does not
//! ```

use std::{fmt::Write as _, fs, io::Write as _, path::Path};

use axum::{Router, body::Body};
use http::Request;
use prost::Message;
use serde_json::Value;

use crate::node;

#[tokio::test]
async fn every_scenario_holds() {
    let folder = Path::new(env!("ORRERY_CHECKOUT")).join("crates/api/tests/scenarios");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut report = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let (ran, failed) = run_file(&fs::read_to_string(&file).unwrap()).await;
        println!("{name}: {} of {ran} hold", ran - failed.len());
        for f in failed {
            writeln!(report, "{name}: {f}").unwrap();
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

async fn run_file(text: &str) -> (usize, Vec<String>) {
    let router = node::router();
    let mut failed = Vec::new();
    let blocks: Vec<&str> = text.split("\n== ").skip(1).collect();
    for block in &blocks {
        let (title, rest) = block.split_once('\n').unwrap_or((block, ""));
        if let Err(why) = run_block(&router, rest).await {
            failed.push(format!("{title}\n    {}", why.replace('\n', "\n    ")));
        }
    }
    (blocks.len(), failed)
}

async fn run_block(router: &Router, block: &str) -> Result<(), String> {
    let (asked, wanted) = block.split_once("\n--> ").ok_or("no line begins with -->")?;
    let answer = node::ask(router, request(asked)?).await;
    let mut lines = wanted.lines();
    let code = lines.next().unwrap_or_default().trim();
    let shown = || answer.text().chars().take(1500).collect::<String>();
    if answer.status.as_str() != code {
        return Err(format!("status {} instead of {code}: {}", answer.status, shown()));
    }
    let mut json = String::new();
    for line in lines.filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        if let Some(text) = line.strip_prefix("~~ ") {
            (!answer.text().contains(text))
                .then_some(())
                .ok_or_else(|| format!("contains {text:?}: {}", shown()))?;
        } else if let Some(text) = line.strip_prefix("~ ") {
            answer
                .text()
                .contains(text)
                .then_some(())
                .ok_or_else(|| format!("lacks {text:?}: {}", shown()))?;
        } else if !json.is_empty() || line.starts_with(['{', '[']) {
            json.push_str(line);
        } else if let Some(name) = line.strip_prefix('-') {
            let value = answer.headers.get(name.trim());
            value.is_none().then_some(()).ok_or_else(|| format!("header {name} is {value:?}"))?;
        } else {
            let (name, want) = line.split_once(':').ok_or_else(|| format!("what is {line:?}?"))?;
            let got = answer.headers.get(name.trim()).or_else(|| answer.trailers.get(name.trim()));
            let got = got.and_then(|v| v.to_str().ok()).unwrap_or_default();
            got.contains(want.trim()).then_some(()).ok_or_else(|| format!("header {name} is {got:?}"))?;
        }
    }
    if json.is_empty() {
        return Ok(());
    }
    let want: Value = serde_json::from_str(&json).map_err(|e| format!("the wanted JSON is none: {e}"))?;
    differ(&want, &answer.json(), "$").map_or(Ok(()), |why| Err(format!("{why}\nin {}", shown())))
}

fn request(text: &str) -> Result<Request<Body>, String> {
    let (head, mut body) = match text.split_once("\n\n") {
        Some((head, body)) => (head, body.trim_end_matches('\n').as_bytes().to_vec()),
        None => (text, Vec::new()),
    };
    let mut lines = head.lines().filter(|l| !l.starts_with('#'));
    let (method, path) = lines.next().and_then(|l| l.split_once(' ')).ok_or("no request line")?;
    let mut builder = Request::builder().method(method).uri(path.trim());
    let mut samples = proto::prometheus::WriteRequest::default();
    for line in lines {
        if let Some(sample) = line.strip_prefix("!write ") {
            samples.timeseries.push(series(sample)?);
        } else if line.trim() == "!hex" {
            body = from_hex(&body)?;
        } else if let Some(packing) = line.strip_prefix("!pack ") {
            body = pack(packing.trim(), &body)?;
            builder = builder.header("content-encoding", packing.trim());
        } else if let Some((name, value)) = line.split_once(':') {
            builder = builder.header(name.trim(), value.trim());
        }
    }
    if !samples.timeseries.is_empty() {
        body = pack("snappy", &samples.encode_to_vec())?;
        builder =
            builder.header("content-encoding", "snappy").header("content-type", "application/x-protobuf");
    }
    builder.body(Body::from(body)).map_err(|e| e.to_string())
}

pub fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let digits: String = text.iter().filter(|b| b.is_ascii_hexdigit()).map(|b| char::from(*b)).collect();
    let pairs = (0..digits.len()).step_by(2).map(|i| digits.get(i..i + 2).unwrap_or_default());
    pairs.map(|p| u8::from_str_radix(p, 16).map_err(|e| format!("{p}: {e}"))).collect()
}

/// `up{job="x"} 1700000000000 1`
fn series(text: &str) -> Result<proto::prometheus::TimeSeries, String> {
    let bad = || format!("not a sample: {text:?}");
    let (labels, numbers) = text.rsplit_once('}').ok_or_else(bad)?;
    let (name, labels) = labels.split_once('{').ok_or_else(bad)?;
    let mut pairs = vec![("__name__".to_owned(), name.trim().to_owned())];
    for pair in labels.split(',').filter(|p| !p.trim().is_empty()) {
        let (n, v) = pair.split_once('=').ok_or_else(bad)?;
        pairs.push((n.trim().to_owned(), v.trim().trim_matches('"').to_owned()));
    }
    pairs.sort();
    let mut numbers = numbers.split_whitespace();
    let timestamp = numbers.next().and_then(|t| t.parse().ok()).ok_or_else(bad)?;
    let value = numbers.next().and_then(|v| v.parse().ok()).ok_or_else(bad)?;
    Ok(proto::prometheus::TimeSeries {
        labels: pairs.into_iter().map(|(name, value)| proto::prometheus::Label { name, value }).collect(),
        samples: vec![proto::prometheus::Sample { value, timestamp }],
        ..Default::default()
    })
}

pub fn pack(packing: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    match packing {
        "gzip" => {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gz.write_all(body).map_err(|e| e.to_string())?;
            gz.finish().map_err(|e| e.to_string())
        }
        "zstd" => zstd::encode_all(body, 1).map_err(|e| e.to_string()),
        "snappy" => snap::raw::Encoder::new().compress_vec(body).map_err(|e| e.to_string()),
        other => Err(format!("unknown packing {other:?}")),
    }
}

/// Where `got` lacks what `want` says.
fn differ(want: &Value, got: &Value, at: &str) -> Option<String> {
    match (want, got) {
        (Value::String(any), _) if any == "*" => None,
        (Value::Object(w), Value::Object(g)) => w.iter().find_map(|(k, v)| match g.get(k) {
            Some(x) => differ(v, x, &format!("{at}.{k}")),
            None => Some(format!("{at}.{k} is missing")),
        }),
        (Value::Array(w), Value::Array(g)) if w.len() == g.len() => {
            w.iter().zip(g).enumerate().find_map(|(i, (v, x))| differ(v, x, &format!("{at}[{i}]")))
        }
        (w, g) if w == g => None,
        (w, g) => Some(format!("{at}: wanted {w}, got {g}")),
    }
}
