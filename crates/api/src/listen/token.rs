//! A listener that serves only those who know a token: `Authorization: Bearer …`, compared with what stands in
//! a file. Whether the node is healthy and ready may be asked without.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use base::Kind;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use net::Secret;
use parking_lot::Mutex;

use crate::{Error, body, layers};

/// How long the file's content is believed. Longer: a changed token is late. Shorter: the file is read often.
const KEPT: Duration = Duration::from_secs(1);
/// As much of a refused body is taken off the connection, so that its sender reads the status.
const DISCARDS: usize = 1 << 20;

/// The token of a listener.
pub struct Token {
    secret: Secret,
    kept: Mutex<Option<(Instant, Result<String, String>)>>,
}

impl Token {
    /// The token stands in a file, which is read again now and then.
    pub fn of_file(path: PathBuf) -> Arc<Self> {
        Arc::new(Token { secret: Secret::File(path), kept: Mutex::new(None) })
    }

    /// Reads it, for the node that starts.
    ///
    /// # Errors
    /// There is none in the file.
    pub fn check(&self) -> Result<(), String> {
        self.wanted().map(|_| ())
    }

    fn wanted(&self) -> Result<String, String> {
        let mut kept = self.kept.lock();
        let now = Instant::now();
        match kept.as_ref() {
            Some((at, token)) if now.duration_since(*at) < KEPT => token.clone(),
            _ => {
                let token = self.secret.reveal().and_then(|t| match t.is_empty() {
                    // An empty one would let everybody in who sends an empty one.
                    true => Err(format!("{:?} holds no token", self.secret)),
                    false => Ok(t),
                });
                *kept = Some((now, token.clone()));
                token
            }
        }
    }

    fn allows(&self, headers: &HeaderMap) -> Result<(), Error> {
        let wanted =
            self.wanted().map_err(|e| Error::new(Kind::Unavailable, format!("bearer_token_file: {e}")))?;
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let (scheme, given) = given.split_at_checked(7).unwrap_or_default();
        if scheme.eq_ignore_ascii_case(b"Bearer ") && same(given.trim_ascii(), wanted.as_bytes()) {
            return Ok(());
        }
        let message = "this listener wants a token: send the header Authorization: Bearer <token>";
        Err(Error::new(Kind::Denied, message))
    }
}

/// Takes as long whichever byte differs.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

/// Stands before every handler.
pub async fn guard(request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/-/healthy" | "/-/ready");
    let refused = match request.extensions().get::<Arc<Token>>() {
        Some(token) if !open => token.allows(request.headers()).err(),
        _ => None,
    };
    let Some(e) = refused else { return next.run(request).await };
    body::discard(request.into_body(), DISCARDS).await;
    let code =
        if e.kind() == Kind::Denied { StatusCode::UNAUTHORIZED } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = layers::plain_error(&e, code);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_in_the_file_lets_a_request_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let token = Token::of_file(path);
        let ask = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            token.allows(&headers).is_ok()
        };
        assert!(ask("Bearer s3cret") && ask("bearer s3cret"));
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Basic s3cret", "Bearer ", "s3cret", ""] {
            assert!(!ask(wrong), "{wrong}");
        }
        assert_eq!(token.allows(&HeaderMap::new()).unwrap_err().kind(), Kind::Denied);
    }

    #[test]
    fn without_a_token_in_the_file_nobody_comes_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " \n").unwrap();
        let token = Token::of_file(path.clone());
        assert!(token.check().unwrap_err().contains("token"));
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer "));
        assert_eq!(token.allows(&headers).unwrap_err().kind(), Kind::Unavailable);
    }
}
