//! Which cluster and region this collector's own task runs in, from the ECS task metadata endpoint (version 4): used
//! when the configuration does not say. It answers once; the caller repeats.

use std::time::Duration;

use serde::Deserialize;

use super::ecs_api::causes;

/// Environment variables that hold the endpoint, best first.
pub(crate) const ENDPOINT_VARIABLES: [&str; 2] = ["ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"];
/// The endpoint is on the same host.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Where a task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Short name of the cluster.
    pub(crate) cluster: String,
    /// Region, empty if the answer does not tell.
    pub(crate) region: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// Name or ARN.
    cluster: String,
    #[serde(default, rename = "TaskARN")]
    task_arn: String,
    #[serde(default)]
    availability_zone: String,
}

/// Asks the endpoint.
pub(crate) async fn place(endpoint: &str) -> Result<Place, String> {
    let url = format!("{}/task", endpoint.trim_end_matches('/'));
    let failed = |text: String| format!("cannot read the task metadata at {url}: {text}");
    // Not through a proxy: the address is link-local.
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(|e| failed(causes(&e)))?;
    let mut response = client.get(&url).send().await.map_err(|e| failed(causes(&e)))?;
    if !response.status().is_success() {
        return Err(failed(format!("HTTP status {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failed(causes(&e)))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(failed(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    parse(&body).map_err(failed)
}

fn parse(body: &[u8]) -> Result<Place, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let cluster = answer.cluster.rsplit('/').next().unwrap_or_default();
    if cluster.is_empty() {
        return Err("it names no cluster".to_owned());
    }
    let region = [region_of_arn(&answer.cluster), region_of_arn(&answer.task_arn)]
        .into_iter()
        .flatten()
        .next()
        .or_else(|| answer.availability_zone.strip_suffix(|c: char| c.is_ascii_lowercase()))
        .unwrap_or_default();
    Ok(Place { cluster: cluster.to_owned(), region: region.to_owned() })
}

/// The region in an ARN.
pub(crate) fn region_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    (parts.next() == Some("arn")).then(|| parts.nth(2)).flatten().filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_and_region_come_from_names_arns_and_zones() {
        for (body, cluster, region) in [
            (r#"{"Cluster":"arn:aws:ecs:us-west-2:1:cluster/prod","TaskARN":"x"}"#, "prod", "us-west-2"),
            (r#"{"Cluster":"prod","TaskARN":"arn:aws-cn:ecs:cn-north-1:1:task/prod/2"}"#, "prod", "cn-north-1"),
            (r#"{"Cluster":"prod","AvailabilityZone":"eu-west-1b"}"#, "prod", "eu-west-1"),
            (r#"{"Cluster":"prod"}"#, "prod", ""),
        ] {
            let place = parse(body.as_bytes()).unwrap();
            assert_eq!((place.cluster.as_str(), place.region.as_str()), (cluster, region), "{body}");
        }
        for body in ["", "{}", r#"{"Cluster":""}"#, "[1]"] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
