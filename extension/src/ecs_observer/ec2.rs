//! `DescribeInstances` as a signed call of EC2's Query API: form in, XML out. The SDK for EC2 would cost more to
//! compile than everything else together. It asks one question and reads nine fields.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::call::{ApiError, Caller, Failure, Kind, Operation};
use super::ec2_xml::{self, Page};
use super::ecs_api::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, causes};
use super::world::Instance;

/// Instances that one call asks for; EC2 allows 200 values in a filter.
pub(crate) const INSTANCES_BATCH: usize = 100;
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Pages of one answer; more is an endless answer.
const MAX_PAGES: usize = 100;
const API_VERSION: &str = "2016-11-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// EC2 calls in one region.
pub(crate) struct Ec2Api {
    http: reqwest::Client,
    session: SdkConfig,
    caller: Arc<Caller>,
    region: String,
    endpoint: String,
}

impl Ec2Api {
    /// The session's credentials, region and endpoint settings are used.
    pub(crate) fn new(session: &SdkConfig, caller: Arc<Caller>, user_agent: &str) -> Result<Ec2Api, String> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(user_agent)
            .build()
            .map_err(|e| format!("cannot set up the EC2 client: {}", causes(&e)))?;
        let region = session.region().map(ToString::to_string).unwrap_or_default();
        let endpoint = endpoint(session, &region);
        Ok(Ec2Api { http, session: session.clone(), caller, region, endpoint })
    }

    /// The instances with these ids, at most [`INSTANCES_BATCH`]. Unknown ones are left out: a filter does not fail
    /// because one of them is terminated, as a list of ids does.
    pub(crate) async fn describe_instances(&self, ids: &[String]) -> Result<HashMap<String, Instance>, ApiError> {
        let mut found = HashMap::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let body = form(ids, token.as_deref());
            let page = self.caller.call(Operation::DescribeInstances, || self.post(&body)).await?;
            found.extend(page.instances.into_iter().map(|i| (i.id.clone(), i)));
            match page.next_token.filter(|t| !t.is_empty()) {
                Some(next) => token = Some(next),
                None => return Ok(found),
            }
        }
        let text = format!("the answer does not end after {MAX_PAGES} pages");
        Err(ApiError { operation: Operation::DescribeInstances, kind: Kind::Unreadable, text })
    }

    async fn post(&self, body: &str) -> Result<Page, Failure> {
        let headers = self.sign(body).await?;
        let request = self.http.post(&self.endpoint).headers(headers).body(body.to_owned());
        let mut response = request.send().await.map_err(|e| transport(&e))?;
        let status = response.status().as_u16();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| transport(&e))? {
            if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
                let text = format!("the answer is larger than {MAX_ANSWER_BYTES} bytes");
                return Err(Failure { kind: Kind::Unreadable, text });
            }
            answer.extend_from_slice(&chunk);
        }
        if status == 200 {
            return ec2_xml::page(&answer).map_err(|text| Failure { kind: Kind::Unreadable, text });
        }
        let (code, message) =
            ec2_xml::error(&answer).unwrap_or_else(|| (format!("HTTP status {status}"), String::new()));
        let text = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
        Err(Failure { kind: Kind::of(&code, status), text })
    }

    /// The signature's headers for this body.
    async fn sign(&self, body: &str) -> Result<HeaderMap, Failure> {
        let refused = |text: String| Failure { kind: Kind::Refused, text };
        let no_credentials = |text: String| Failure { kind: Kind::Credentials, text };
        let provider = self.session.credentials_provider().ok_or_else(|| no_credentials("none are set".to_owned()))?;
        let credentials = provider.provide_credentials().await.map_err(|e| no_credentials(causes(&e)))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ec2")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| refused(causes(&e)))?
            .into();
        let signed_headers = [("content-type", FORM)];
        let request = SignableRequest::new(
            "POST",
            self.endpoint.as_str(),
            signed_headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        );
        let request = request.map_err(|e| refused(causes(&e)))?;
        let (instructions, _) = sign(request, &params).map_err(|e| refused(causes(&e)))?.into_parts();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        for header in instructions.into_parts().0 {
            let mut value = HeaderValue::from_str(header.value()).map_err(|e| refused(causes(&e)))?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(headers)
    }
}

/// The endpoint set for EC2 or for all services, else the region's own; ends in `/`.
fn endpoint(session: &SdkConfig, region: &str) -> String {
    let of_service = || {
        let key = ServiceConfigKey::builder().service_id("EC2").env("AWS_ENDPOINT_URL").profile("endpoint_url");
        session.service_config()?.load_config(key.build().ok()?)
    };
    let fixed_in_code = session.get_origin("endpoint_url").is_client_config();
    let set = if fixed_in_code { None } else { of_service() };
    let url = match set.or_else(|| session.endpoint_url().map(str::to_owned)) {
        Some(url) => url,
        None => {
            let fips = session.use_fips().unwrap_or(false);
            let dual_stack = session.use_dual_stack().unwrap_or(false);
            regional_endpoint(region, fips, dual_stack)
        }
    };
    if url.ends_with('/') { url } else { format!("{url}/") }
}

/// AWS's naming of endpoints per partition.
fn regional_endpoint(region: &str, fips: bool, dual_stack: bool) -> String {
    let domain = match region {
        r if r.starts_with("cn-") && dual_stack => "api.amazonwebservices.com.cn",
        r if r.starts_with("cn-") => "amazonaws.com.cn",
        r if r.starts_with("us-isob-") => "sc2s.sgov.gov",
        r if r.starts_with("us-isof-") => "csp.hci.ic.gov",
        r if r.starts_with("us-iso-") => "c2s.ic.gov",
        r if r.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        _ if dual_stack => "api.aws",
        _ => "amazonaws.com",
    };
    // GovCloud's ordinary EC2 endpoints are the validated ones.
    let host = if fips && !region.starts_with("us-gov-") { "ec2-fips" } else { "ec2" };
    format!("https://{host}.{region}.{domain}/")
}

/// The form of one page's request.
fn form(ids: &[String], token: Option<&str>) -> String {
    let mut body = format!("Action=DescribeInstances&Version={API_VERSION}&MaxResults=1000&Filter.1.Name=instance-id");
    for (i, id) in ids.iter().enumerate() {
        body.push_str(&format!("&Filter.1.Value.{}={}", i + 1, encode(id)));
    }
    if let Some(token) = token {
        body.push_str(&format!("&NextToken={}", encode(token)));
    }
    body
}

/// Percent-encoding of everything but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn transport(error: &reqwest::Error) -> Failure {
    let kind = if error.is_timeout() { Kind::Timeout } else { Kind::Connection };
    Failure { kind, text: causes(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_endpoint() {
        for (region, fips, dual_stack, expected) in [
            ("us-west-2", false, false, "https://ec2.us-west-2.amazonaws.com/"),
            ("us-west-2", true, false, "https://ec2-fips.us-west-2.amazonaws.com/"),
            ("us-west-2", false, true, "https://ec2.us-west-2.api.aws/"),
            ("us-gov-west-1", true, false, "https://ec2.us-gov-west-1.amazonaws.com/"),
            ("cn-north-1", false, false, "https://ec2.cn-north-1.amazonaws.com.cn/"),
            ("cn-north-1", false, true, "https://ec2.cn-north-1.api.amazonwebservices.com.cn/"),
            ("us-isob-east-1", false, false, "https://ec2.us-isob-east-1.sc2s.sgov.gov/"),
        ] {
            assert_eq!(regional_endpoint(region, fips, dual_stack), expected);
        }
    }

    #[test]
    fn ids_go_into_a_filter_and_tokens_are_encoded() {
        let body = form(&["i-1".to_owned(), "i-2".to_owned()], Some("a+b/c="));
        assert_eq!(
            body,
            "Action=DescribeInstances&Version=2016-11-15&MaxResults=1000&Filter.1.Name=instance-id\
             &Filter.1.Value.1=i-1&Filter.1.Value.2=i-2&NextToken=a%2Bb%2Fc%3D"
        );
    }
}
