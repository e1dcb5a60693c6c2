//! An HTTP server of a few lines, so that tests can answer what real ones do.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request; the form holds what stands in the query and in a body that is a form.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.form.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

pub(crate) struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Reply { status, headers: format!("Content-Type: {kind}\r\n"), body: body.into() }
    }

    pub(crate) fn json(body: impl Into<String>) -> Self {
        Reply::new(200, "application/json", body.into())
    }

    pub(crate) fn none() -> Self {
        Reply::new(404, "text/plain", "404 page not found\n")
    }

    pub(crate) fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }
}

/// Serves until the test ends; gives the address.
pub(crate) async fn serve(answer: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move { connection(stream, &*answer).await });
        }
    });
    url
}

async fn connection(mut stream: TcpStream, answer: &(impl Fn(Asked) -> Reply + Sync)) {
    let mut seen = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&seen[..end]).into_owned();
        let length = head.lines().find_map(|l| {
            let (name, value) = l.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let whole = end + 4 + length.unwrap_or(0);
        while seen.len() < whole {
            if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = seen[end + 4..whole].to_vec();
        seen.drain(..whole);
        let reply = answer(asked(&head, body));
        let head = format!(
            "HTTP/1.1 {} X\r\n{}Content-Length: {}\r\n\r\n",
            reply.status,
            reply.headers,
            reply.body.len()
        );
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&reply.body).await.is_err() {
            return;
        }
    }
}

fn asked(head: &str, body: Vec<u8>) -> Asked {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let read = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect::<Vec<_>>();
    let mut form = read(query.as_bytes());
    if head.to_lowercase().contains("content-type: application/x-www-form-urlencoded") {
        form.extend(read(&body));
    }
    Asked { path: path.to_owned(), form, headers: head.to_lowercase(), body }
}
