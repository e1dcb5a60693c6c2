//! Tokens by the OAuth 2.0 client credentials grant (RFC 6749 §4.4), kept until shortly before they expire.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    Client, Error, Request,
    connect::setup,
    settings::{Auth, OAuth2, Secret, Settings},
};

/// A token is renewed this long before its end, so that it does not expire on its way.
const EARLY: Duration = Duration::from_secs(10);
/// An answer of a token endpoint is small.
const MAX_ANSWER_BYTES: usize = 1 << 20;

pub(crate) struct Tokens {
    grant: OAuth2,
    client: Client,
    current: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    header: String,
    /// None where the server names no end.
    until: Option<Instant>,
    /// The secret it was fetched with; another one asks for another token.
    secret: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    expires_in: Option<Seconds>,
}

/// Some servers send the seconds as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Tokens {
    pub(crate) fn new(grant: &OAuth2) -> Self {
        let settings = Settings { tls: grant.tls.clone(), proxy: grant.proxy.clone(), ..Settings::default() };
        Tokens { grant: grant.clone(), client: Client::with(settings), current: Mutex::new(None) }
    }

    /// The value of the `Authorization` header. Callers at the same time wait for one fetch.
    pub(crate) async fn header(&self, timeout: Duration) -> Result<String, Error> {
        let secret = self.grant.client_secret.reveal().map_err(setup)?;
        let mut current = self.current.lock().await;
        if let Some(t) = current.as_ref()
            && t.secret == secret
            && t.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(t.header.clone());
        }
        let token = self.fetch(secret, timeout).await?;
        let header = token.header.clone();
        *current = Some(token);
        Ok(header)
    }

    /// Servers differ in where they look for the client's id: in the header, as the standard wants, or among
    /// the form's fields. The second is tried where the first is refused.
    async fn fetch(&self, secret: String, timeout: Duration) -> Result<Token, Error> {
        let mut refused = None;
        for in_header in [true, false] {
            let answer = self.client.send(self.request(&secret, in_header, timeout)).await?;
            if !answer.status.is_success() {
                refused =
                    Some(format!("the token endpoint answered {}: {}", answer.status, answer.excerpt()));
                continue;
            }
            let parsed: TokenAnswer = serde_json::from_slice(&answer.body)
                .map_err(|e| setup(format!("the token endpoint's answer is no token: {e}")))?;
            let kind = match parsed.token_type.as_str() {
                "" => "Bearer",
                t if t.eq_ignore_ascii_case("bearer") => "Bearer",
                t => t,
            };
            let seconds = match parsed.expires_in {
                Some(Seconds::Number(n)) => Some(n),
                Some(Seconds::Text(t)) => t.trim().parse().ok(),
                None => None,
            };
            let life = seconds.filter(|s| s.is_finite() && *s > 0.0).map(|s| s.min(1e9));
            return Ok(Token {
                header: format!("{kind} {}", parsed.access_token),
                until: life.map(|s| Instant::now() + Duration::from_secs_f64(s).saturating_sub(EARLY)),
                secret,
            });
        }
        Err(setup(refused.unwrap_or_default()))
    }

    fn request(&self, secret: &str, in_header: bool, timeout: Duration) -> Request {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.grant.scopes.is_empty() {
            form.append_pair("scope", &self.grant.scopes.join(" "));
        }
        for (name, value) in &self.grant.endpoint_params {
            form.append_pair(name, value);
        }
        if !in_header {
            form.append_pair("client_id", &self.grant.client_id).append_pair("client_secret", secret);
        }
        let mut request = Request::post(&self.grant.token_url, form.finish())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        if in_header {
            // Both parts are form-encoded before they are joined (RFC 6749 §2.3.1).
            let encode = |s: &str| url::form_urlencoded::byte_serialize(s.as_bytes()).collect::<String>();
            request.auth = Some(Auth::Basic {
                username: Secret::Inline(encode(&self.grant.client_id)),
                password: Secret::Inline(encode(secret)),
            });
        }
        request.timeout = timeout;
        request.max_answer_bytes = MAX_ANSWER_BYTES;
        request
    }
}
