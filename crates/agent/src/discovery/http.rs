//! Targets from a URL (`http_sd_config`): a JSON list of groups, fetched at intervals.

use super::{Group, HttpDiscovery, MAX_GROUP_BYTES, Source, parse_json};

const URL: &str = "__meta_url";

pub(super) async fn run(source: Source, config: HttpDiscovery) {
    let client = net::Client::with(config.http.clone());
    let mut failing = false;
    loop {
        let fetched = tokio::select! {
            fetched = fetch(&client, &config) => fetched,
            () = source.context.shutdown.started() => return,
        };
        match fetched {
            Ok(groups) => {
                failing = false;
                source.found.set(groups);
            }
            Err(error) => {
                source.counts.http_failures.inc();
                source.failed("http", failing, &config.url, &error);
                failing = true;
            }
        }
        if !source.context.sleep(config.refresh).await {
            return;
        }
    }
}

async fn fetch(client: &net::Client, config: &HttpDiscovery) -> Result<Vec<Group>, String> {
    let mut request = net::Request::get(&config.url)
        .header("accept", "application/json")
        .header("x-prometheus-refresh-interval-seconds", config.refresh.as_secs_f64().to_string());
    request.timeout = config.refresh;
    request.max_answer_bytes = MAX_GROUP_BYTES;
    let answer = client.send(request).await.map_err(|e| e.to_string())?;
    if answer.status.as_u16() != 200 {
        return Err(format!("server returned HTTP status {}", answer.status));
    }
    let kind = answer.header("content-type");
    if !is_json(kind) {
        return Err(format!("unsupported content type {kind:?}"));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|e| e.to_string())?;
    let mut groups = parse_json(text)?;
    for g in &mut groups {
        g.labels = g.labels.with(URL, &config.url);
    }
    Ok(groups)
}

/// `application/json`, alone or with the character set it has anyway.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let json = parts.next().is_some_and(|t| t.eq_ignore_ascii_case("application/json"));
    let charset = |p: &str| p.to_ascii_lowercase().replace('"', "") == "charset=utf-8";
    json && parts.all(charset)
}
