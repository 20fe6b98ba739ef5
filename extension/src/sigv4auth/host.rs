//! Which AWS service and region a host name stands for.

/// Service and region as far as the host tells them.
pub(super) fn infer(host: &str) -> (Option<String>, Option<String>) {
    let labels: Vec<&str> = host.split('.').collect();
    let region = labels.get(1).map(|r| (*r).to_owned());
    match labels.as_slice() {
        ["aps-workspaces", _, ..] => (Some("aps".to_owned()), region),
        ["logs" | "xray" | "monitoring", _, ..] => (Some(labels[0].to_owned()), region),
        [first, _, "es", ..] if first.starts_with("search-") => (Some("es".to_owned()), region),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_aws_tell_service_and_region() {
        for (host, service, region) in [
            ("aps-workspaces.us-west-2.amazonaws.com", "aps", "us-west-2"),
            ("search-my-domain.eu-north-1.es.amazonaws.com", "es", "eu-north-1"),
            ("logs.us-east-1.amazonaws.com", "logs", "us-east-1"),
            ("xray.us-east-1.amazonaws.com", "xray", "us-east-1"),
            ("monitoring.ap-south-1.amazonaws.com", "monitoring", "ap-south-1"),
        ] {
            assert_eq!(infer(host), (Some(service.to_owned()), Some(region.to_owned())), "{host}");
        }
        for host in ["example.com", "localhost", "", "search-x.com", "logs"] {
            assert_eq!(infer(host), (None, None), "{host}");
        }
    }
}
