//! `http_sd_configs`: a target list fetched from a URL. On any failure the previous list stays.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{StatusCode, Url};

use super::super::body::BodyReader;
use super::super::client::HttpClient;
use super::super::config::{GroupKeys, HttpSettings};
use super::super::request::RequestError;
use super::{DiscoveredTarget, DiscoveryContext, MAX_LIST_BYTES, expand, parse_json};

const REFRESH_INTERVAL: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Follows the list at `url`.
pub(super) async fn run(
    block: usize,
    url: String,
    refresh: Duration,
    settings: &HttpSettings,
    context: &DiscoveryContext,
) {
    let client = match context.clients.get(settings) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(job = &*context.job, error, "http_sd_configs cannot be used");
            return;
        }
    };
    let mut last: Option<Vec<DiscoveredTarget>> = None;
    loop {
        match fetch(&url, refresh, &client, &context.user_agent).await {
            Ok(groups) => {
                let targets =
                    groups.iter().flat_map(|group| expand(&group.targets, &group.labels, &[("__meta_url", &url)]));
                let targets: Vec<DiscoveredTarget> = targets.collect();
                if last.as_ref() != Some(&targets) {
                    context.send(block, targets.clone()).await;
                    last = Some(targets);
                }
            }
            Err(error) => {
                context.metrics.failed("http_sd");
                tracing::error!(
                    job = &*context.job,
                    error,
                    "Unable to refresh target groups, keeping the ones there are"
                );
            }
        }
        tokio::time::sleep(refresh).await;
    }
}

async fn fetch(url: &str, refresh: Duration, client: &HttpClient, user_agent: &str) -> Result<Vec<GroupKeys>, String> {
    match tokio::time::timeout(refresh, request(url, refresh, client, user_agent)).await {
        Ok(result) => result,
        Err(_) => Err(format!("no complete answer within {}s", refresh.as_secs_f64())),
    }
}

async fn request(
    url: &str,
    refresh: Duration,
    client: &HttpClient,
    user_agent: &str,
) -> Result<Vec<GroupKeys>, String> {
    let value = |text: &str| HeaderValue::from_str(text).expect("it is made of plain ASCII");
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, value(user_agent));
    headers.insert(REFRESH_INTERVAL, value(&refresh.as_secs_f64().to_string()));
    let mut response = client.get(&url, &headers).await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("server returned HTTP status {}", response.status()));
    }
    let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let content_type = header(CONTENT_TYPE).to_owned();
    if !is_json(&content_type) {
        return Err(format!("unsupported content type {content_type:?}, it has to be application/json"));
    }
    let is_gzip = header(CONTENT_ENCODING) == "gzip";
    let mut reader = BodyReader::new(Vec::new(), is_gzip, MAX_LIST_BYTES);
    while let Some(chunk) = response.chunk().await.map_err(|error| RequestError::from(error).to_string())? {
        reader.push(&chunk).map_err(|error| error.to_string())?;
    }
    parse_json(&reader.finish().map_err(|error| error.to_string())?)
}

/// `application/json`, with or without `charset=utf-8`.
fn is_json(content_type: &str) -> bool {
    let text: String = content_type.to_ascii_lowercase().split_whitespace().collect();
    matches!(
        text.as_str(),
        "application/json" | "application/json;charset=utf-8" | "application/json;charset=\"utf-8\""
    )
}
