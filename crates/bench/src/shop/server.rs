//! The listener of a service: HTTP/1.1 with caps on heads, bodies and connections.

use std::{convert::Infallible, sync::Arc, time::Duration};

use base::{Clock, Shutdown};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{
    DRAIN,
    context::TraceContext,
    service::{Asked, Reply, Service},
};

/// Connections at once; more wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 512;
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_BODY_BYTES: usize = 64 << 10;
/// Until a head is complete, which is also how long a connection may stand idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers until `stop` starts, and then whatever is under way.
pub(super) async fn run(listener: TcpListener, service: Arc<Service>, stop: &Shutdown, clock: &Clock) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            a = listener.accept() => a,
            () = stop.started() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = graceful.watch(connection(stream, service.clone()));
                tokio::spawn(async move {
                    // A caller that breaks off has no use for the reason.
                    let _ = connection.await;
                    drop(place);
                });
            }
            // Out of file descriptors: others close theirs meanwhile.
            Err(_) => clock.sleep(Duration::from_millis(100)).await,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

fn connection(
    stream: TcpStream,
    service: Arc<Service>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(respond(request, &service).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer)
}

async fn respond(request: Request<Incoming>, service: &Service) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    // Nothing in a body matters to the shop, but it must be read for the connection to go on.
    let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let refused = match read {
        Ok(Ok(_)) => None,
        Ok(Err(_)) => Some(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Some(StatusCode::REQUEST_TIMEOUT),
    };
    if let Some(status) = refused {
        return plain(status, format!("a body of up to {MAX_BODY_BYTES} bytes is read\n"));
    }
    // For whoever waits until the service is there; no trace is made of it.
    if head.uri.path() == "/healthz" {
        return plain(StatusCode::OK, "ok\n".to_owned());
    }
    let context = head.headers.get("traceparent").and_then(|v| TraceContext::parse(v.to_str().ok()?));
    let asked = Asked { method: head.method.as_str().to_owned(), path: head.uri.path().to_owned(), context };
    let Reply { status, body } = service.answer(asked).await;
    let mut response = plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn plain(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
