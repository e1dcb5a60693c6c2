//! The embedded web UI under `/ui/`: one page and its hashed assets.
//!
//! The UI's build lays `.br` and `.gz` beside each asset; the best one the browser takes is sent as it is.
//! Paths without a dot are views of the one page and get `index.html`.

use std::borrow::Cow;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$ORRERY_UI_DIST"]
struct Dist;

/// Scripts only from here, no plugins, no framing. Styles may stand inline, since the component kit sets
/// them on elements; workers and images may be blobs made by the page itself.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; \
    object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

/// Serves `/ui/*`.
pub async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches("/ui").trim_start_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_asset = path.starts_with("assets/") || last.contains('.');
    // The build's own notes (`.vite/`) are no part of the page.
    if path.split('/').any(|part| part.starts_with('.')) {
        return not_found();
    }
    if is_asset && path != "index.html" {
        let cache = match path.starts_with("assets/") {
            // Their names hold a hash of their content.
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        return file(path, &headers, cache).unwrap_or_else(not_found);
    }
    file("index.html", &headers, "no-cache").unwrap_or_else(not_found)
}

fn not_found() -> Response {
    let mut r = Response::new(Body::from("not found\n"));
    *r.status_mut() = StatusCode::NOT_FOUND;
    r
}

fn file(path: &str, headers: &HeaderMap, cache: &'static str) -> Option<Response> {
    let (found, encoding) = best_variant(path, headers)?;
    let mut response = Response::default();
    let h = response.headers_mut();
    let hash = found.metadata.sha256_hash();
    let tag = hash.iter().take(16).map(|b| format!("{b:02x}")).collect::<String>();
    let tag = HeaderValue::try_from(format!("\"{tag}\"")).ok()?;
    h.insert(header::ETAG, tag.clone());
    h.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    h.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    h.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    h.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    h.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    h.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    if let Some(e) = encoding {
        h.insert(header::CONTENT_ENCODING, HeaderValue::from_static(e));
    }
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|t| t.trim().trim_start_matches("W/") == tag.to_str().unwrap_or_default()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Some(response);
    }
    *response.body_mut() = Body::from(match found.data {
        Cow::Borrowed(b) => Bytes::from_static(b),
        Cow::Owned(v) => Bytes::from(v),
    });
    Some(response)
}

fn best_variant(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    for (coding, suffix) in [("br", ".br"), ("gzip", ".gz")] {
        if accepts(accepted, coding)
            && let Some(f) = Dist::get(&format!("{path}{suffix}"))
        {
            return Some((f, Some(coding)));
        }
    }
    Dist::get(path).map(|f| (f, None))
}

/// Whether an `Accept-Encoding` value names the coding without refusing it by `q=0`.
fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|part| {
        let (name, rest) = part.split_once(';').unwrap_or((part, ""));
        let weight = rest.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()).unwrap_or(1.0);
        name.trim().eq_ignore_ascii_case(coding) && weight > 0.0
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_refused_by_weight_zero_is_not_sent() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("gzip;q=0.5", "gzip"));
        assert!(!accepts("br;q=0, gzip", "br"));
        assert!(!accepts("", "br"));
    }

    #[tokio::test]
    async fn views_get_the_page_and_missing_assets_are_missing() {
        let page = serve(Uri::from_static("/ui/metrics/graph"), HeaderMap::new()).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        let tag = page.headers()[header::ETAG].clone();
        let mut again = HeaderMap::new();
        again.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(serve(Uri::from_static("/ui/"), again).await.status(), StatusCode::NOT_MODIFIED);
        for gone in
            ["/ui/assets/none-123.js", "/ui/favicon.none", "/ui/../Cargo.toml", "/ui/.vite/manifest.json"]
        {
            assert_eq!(serve(Uri::from_static(gone), HeaderMap::new()).await.status(), StatusCode::NOT_FOUND);
        }
    }
}
