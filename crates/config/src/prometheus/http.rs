//! The HTTP client keys that `scrape_configs`, service discoveries and remote endpoints all have inlined.

use std::collections::BTreeMap;

use net::{Auth, OAuth2, Proxy, Secret, Settings, Tls, TlsVersion, settings::Headers};

use super::section::Section;
use crate::check::Checker;

/// Headers that the client sets itself.
const RESERVED: [&str; 18] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

pub(super) fn is_reserved(header: &str) -> bool {
    RESERVED.contains(&header.to_ascii_lowercase().as_str())
}

/// The settings, and which ways of proving who asks were written.
pub(crate) struct HttpClient {
    pub(crate) settings: Settings,
    pub(super) basic: bool,
    pub(super) authorization: bool,
    pub(super) oauth2: bool,
    pub(super) bearer: bool,
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Takes the client's keys out of a section.
pub(crate) fn http(s: &mut Section<'_>, c: &mut Checker<'_>) -> HttpClient {
    let basic_auth = basic_auth(s, c);
    let authorization = authorization(s, c);
    let oauth2 = oauth2(s, c);
    let token = s.text("bearer_token", c);
    let token_file = s.text("bearer_token_file", c);
    let bearer = token.is_some() || token_file.is_some();
    if token.is_some() && token_file.is_some() {
        s.problem("bearer_token", c, "at most one of bearer_token and bearer_token_file may be given");
    }
    let given = [
        ("basic_auth", basic_auth.is_some()),
        ("authorization", authorization.is_some()),
        ("oauth2", oauth2.is_some()),
        ("bearer_token", bearer),
    ];
    let names: Vec<&str> = given.iter().filter(|(_, is)| *is).map(|(n, _)| *n).collect();
    if let [_, second, ..] = names.as_slice() {
        let place = if *second == "bearer_token" && token.is_none() { "bearer_token_file" } else { second };
        s.problem(place, c, format!("at most one of {} may be given", names.join(", ")));
    }
    let (has_basic, has_authorization, has_oauth2) =
        (basic_auth.is_some(), authorization.is_some(), oauth2.is_some());
    let from_token = secret(token, token_file, c).map(|credentials| bearer_of("Bearer", credentials));
    let auth = basic_auth.or(authorization).or(oauth2).or(from_token).unwrap_or_default();
    let settings = Settings {
        auth,
        tls: tls_key(s, c),
        proxy: proxy(s, c),
        headers: http_headers(s, c),
        follow_redirects: s.flag("follow_redirects", c).unwrap_or(true),
        http2: s.flag("enable_http2", c).unwrap_or(true),
    };
    HttpClient { settings, basic: has_basic, authorization: has_authorization, oauth2: has_oauth2, bearer }
}

fn bearer_of(scheme: &str, credentials: Secret) -> Auth {
    Auth::Header { scheme: scheme.to_owned(), credentials }
}

/// Text or a file's name; both at once is a problem that the caller names.
fn secret(inline: Option<String>, file: Option<String>, c: &Checker<'_>) -> Option<Secret> {
    inline.map(Secret::Inline).or_else(|| file.map(|f| Secret::File(c.resolve(&f))))
}

/// One value that may be given as `key` or in the file `key_file`.
pub(crate) fn either(s: &mut Section<'_>, key: &str, c: &mut Checker<'_>) -> Option<Secret> {
    let (inline, file) = (s.text(key, c), s.text(&format!("{key}_file"), c));
    if inline.is_some() && file.is_some() {
        s.problem(key, c, format!("at most one of {key} and {key}_file may be given"));
    }
    let reference = format!("{key}_ref");
    if s.text(&reference, c).is_some() {
        s.problem(&reference, c, format!("there is no secret manager here; use {key} or {key}_file"));
    }
    secret(inline, file, c)
}

fn empty() -> Secret {
    Secret::Inline(String::new())
}

fn basic_auth(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Auth> {
    let mut b = s.section("basic_auth", c)?;
    let (username, password) = (either(&mut b, "username", c), either(&mut b, "password", c));
    b.finish(c);
    Some(Auth::Basic { username: username.unwrap_or_else(empty), password: password.unwrap_or_else(empty) })
}

fn authorization(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Auth> {
    let mut a = s.section("authorization", c)?;
    let scheme = a.text("type", c).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    if scheme.as_ref().is_some_and(|t| t.eq_ignore_ascii_case("basic")) {
        a.problem("type", c, "may not be basic; use basic_auth");
    }
    let credentials = either(&mut a, "credentials", c);
    a.finish(c);
    let scheme = scheme.unwrap_or_else(|| "Bearer".to_owned());
    Some(bearer_of(&scheme, credentials.unwrap_or_else(empty)))
}

fn oauth2(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Auth> {
    let mut o = s.section("oauth2", c)?;
    let client_id = o.text("client_id", c);
    if client_id.is_none() {
        o.wrong(c, "needs a client_id");
    }
    let token_url = o.text("token_url", c);
    if token_url.is_none() {
        o.wrong(c, "needs a token_url");
    }
    let client_secret = either(&mut o, "client_secret", c);
    let grant = o.text("grant_type", c);
    either(&mut o, "client_certificate_key", c);
    for key in ["client_certificate_key_id", "iss", "audience"] {
        o.text(key, c);
    }
    let algorithm = o.text("signature_algorithm", c);
    o.take("claims");
    if grant.as_deref() == Some(JWT_BEARER) {
        if algorithm.is_some_and(|a| !["RS256", "RS384", "RS512"].contains(&a.as_str())) {
            o.problem("signature_algorithm", c, "must be RS256, RS384 or RS512");
        }
        let at = o.place("grant_type");
        c.notice(&o.name("grant_type"), at, "is not supported by this version; client_credentials is used");
    }
    let scopes = o.texts("scopes", c).unwrap_or_default();
    let params = o.pairs("endpoint_params", c);
    let endpoint_params: BTreeMap<String, String> = params.into_iter().map(|(n, v, _)| (n, v)).collect();
    let tls = tls_key(&mut o, c);
    let proxy = proxy(&mut o, c);
    o.finish(c);
    Some(Auth::OAuth2(Box::new(OAuth2 {
        client_id: client_id.unwrap_or_default(),
        client_secret: client_secret.unwrap_or_else(empty),
        token_url: token_url.unwrap_or_default(),
        scopes,
        endpoint_params,
        tls,
        proxy,
    })))
}

/// `tls_config` of a section.
pub(crate) fn tls_key(s: &mut Section<'_>, c: &mut Checker<'_>) -> Tls {
    let Some(mut t) = s.section("tls_config", c) else { return Tls::default() };
    let (ca, cert, key) = (either(&mut t, "ca", c), either(&mut t, "cert", c), either(&mut t, "key", c));
    if cert.is_some() && key.is_none() {
        t.wrong(c, "has a client certificate and needs key or key_file");
    } else if key.is_some() && cert.is_none() {
        t.wrong(c, "has a client key and needs cert or cert_file");
    }
    let mut version = |name: &str, c: &mut Checker<'_>| {
        let text = t.text(name, c)?;
        let version = match text.as_str() {
            "TLS10" => TlsVersion::Tls10,
            "TLS11" => TlsVersion::Tls11,
            "TLS12" => TlsVersion::Tls12,
            "TLS13" => TlsVersion::Tls13,
            _ => {
                t.problem(name, c, format!("{text:?} is not known, use TLS10, TLS11, TLS12 or TLS13"));
                return None;
            }
        };
        if version < TlsVersion::Tls12 {
            let at = t.place(name);
            c.notice(&t.name(name), at, "is older than TLS 1.2, the oldest that is spoken");
        }
        Some(version)
    };
    let (min_version, max_version) = (version("min_version", c), version("max_version", c));
    let tls = Tls {
        ca,
        cert,
        key,
        server_name: t.text("server_name", c).unwrap_or_default(),
        insecure_skip_verify: t.flag("insecure_skip_verify", c).unwrap_or(false),
        min_version,
        max_version,
    };
    t.finish(c);
    tls
}

fn proxy(s: &mut Section<'_>, c: &mut Checker<'_>) -> Proxy {
    let url = s.text("proxy_url", c);
    let no_proxy = s.text("no_proxy", c);
    let from_environment = s.flag("proxy_from_environment", c).unwrap_or(false);
    let lists = s.lists("proxy_connect_header", c);
    let connect_headers: Headers =
        lists.into_iter().map(|(n, v)| (n, v.into_iter().map(Secret::Inline).collect())).collect();
    if !connect_headers.is_empty() && url.is_none() && !from_environment {
        s.problem("proxy_connect_header", c, "needs proxy_url or proxy_from_environment");
    }
    if from_environment && url.is_some() {
        s.problem("proxy_url", c, "excludes proxy_from_environment");
    }
    if no_proxy.is_some() && from_environment {
        s.problem("no_proxy", c, "excludes proxy_from_environment");
    } else if no_proxy.is_some() && url.is_none() {
        s.problem("no_proxy", c, "needs proxy_url");
    }
    match url {
        Some(url) => Proxy::Url { url, no_proxy: no_proxy.unwrap_or_default(), connect_headers },
        None if from_environment => Proxy::Environment,
        None => Proxy::None,
    }
}

fn http_headers(s: &mut Section<'_>, c: &mut Checker<'_>) -> Headers {
    let Some(mut all) = s.section("http_headers", c) else { return Vec::new() };
    let mut out = Vec::new();
    for name in all.keys().collect::<Vec<_>>() {
        if is_reserved(name) {
            all.problem(name, c, "is a header that is set otherwise and may not be given here");
        }
        let Some(mut h) = all.section(name, c) else { continue };
        let inline = |texts: Option<Vec<String>>| texts.unwrap_or_default().into_iter().map(Secret::Inline);
        let mut values: Vec<Secret> = inline(h.texts("values", c)).collect();
        values.extend(inline(h.texts("secrets", c)));
        let files = h.texts("files", c).unwrap_or_default();
        values.extend(files.iter().map(|f| Secret::File(c.resolve(f))));
        h.finish(c);
        out.push((name.to_owned(), values));
    }
    out
}
