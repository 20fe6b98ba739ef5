//! `sigv4auth`: signs the requests of HTTP exporters with AWS Signature Version 4. Finds and renews credentials; sends
//! nothing itself but the calls of STS.

mod config;
mod host;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::config::{Built, Node, has_errors};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proto::auth::{AuthOffer, ClientAuth};
use proto::{BoxFuture, BuildContext};
use tokio::sync::{Mutex, OnceCell};

use crate::credentials::Authenticator;
use crate::{Extension, ExtensionFactory};
use config::Config;

/// `sigv4auth` in the table of extensions.
pub static FACTORY: ExtensionFactory = ExtensionFactory { kind: "sigv4auth", build };

/// Credentials are renewed this long before they end.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Credentials that do not say when they end are read again after this.
const REREAD_AFTER: Duration = Duration::from_secs(900);
/// Time for finding credentials.
const FIND_TIMEOUT: Duration = Duration::from_secs(30);

fn build(node: &Node, context: &BuildContext) -> Built<Box<dyn Extension>> {
    let (config, found) = config::read(node);
    let Some(config) = config.filter(|_| !has_errors(&found)) else { return (None, found) };
    let signer = Signer { config, context: context.clone(), provider: OnceCell::new(), current: Mutex::new(None) };
    let signer = Arc::new(signer);
    let offer = AuthOffer { server: None, client: Some(signer.clone()) };
    // Without credentials the service does not start, as in the Collector.
    let check = move || -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let found = signer.credentials(SystemTime::now()).await;
            found.map(drop).map_err(|e| format!("could not retrieve credential provider: {e}"))
        })
    };
    (Some(Authenticator::boxed(offer, check)), found)
}

struct Signer {
    config: Config,
    context: BuildContext,
    provider: OnceCell<SharedCredentialsProvider>,
    /// Credentials and when to renew them.
    current: Mutex<Option<(Credentials, SystemTime)>>,
}

impl ClientAuth for Signer {
    fn sign<'a>(
        &'a self,
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a mut HeaderMap,
        body: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let now = SystemTime::now();
            let credentials = self.credentials(now).await?;
            self.sign_with(credentials, now, method, uri, headers, body)
        })
    }
}

impl Signer {
    fn sign_with(
        &self,
        credentials: Credentials,
        now: SystemTime,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        body: &Bytes,
    ) -> Result<(), String> {
        let (service, region) = host::infer(uri.host().unwrap_or_default());
        let pick = |written: &str, inferred: Option<String>| match written {
            "" => inferred.unwrap_or_default(),
            written => written.to_owned(),
        };
        let (service, region) = (pick(&self.config.service, service), pick(&self.config.region, region));
        if service.is_empty() || region.is_empty() {
            return Err(
                "unable to infer region and/or service from the URL; set region and service of sigv4auth".into()
            );
        }
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(&service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| format!("cannot sign: {e}"))?;
        let uri = uri.to_string();
        let signed_headers = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request = SignableRequest::new(method.as_str(), &uri, signed_headers, SignableBody::Bytes(body));
        let request = request.map_err(|e| format!("cannot sign: {e}"))?;
        let (instructions, _) = sign(request, &params.into()).map_err(|e| format!("cannot sign: {e}"))?.into_parts();
        let added: Vec<_> = instructions.headers().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        for (name, value) in added {
            let name = HeaderName::try_from(name).map_err(|e| format!("cannot sign: {e}"))?;
            let mut value = HeaderValue::try_from(value).map_err(|e| format!("cannot sign: {e}"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(())
    }

    /// Credentials that are good for a while; found again when they end soon. Old ones serve until they end when
    /// no new ones can be found.
    async fn credentials(&self, now: SystemTime) -> Result<Credentials, String> {
        let mut current = self.current.lock().await;
        if let Some((credentials, renew)) = &*current
            && now < *renew
        {
            return Ok(credentials.clone());
        }
        let provider = self.provider.get_or_init(|| self.find_provider()).await;
        let found = match tokio::time::timeout(FIND_TIMEOUT, provider.provide_credentials()).await {
            Ok(found) => found.map_err(|e| chain(&e)),
            Err(_) => Err(format!("no credentials within {FIND_TIMEOUT:?}")),
        };
        match (found, &*current) {
            (Ok(credentials), _) => {
                let renew = credentials.expiry().map_or(now + REREAD_AFTER, |end| end - RENEW_BEFORE);
                *current = Some((credentials.clone(), renew));
                Ok(credentials)
            }
            (Err(error), Some((old, _))) if old.expiry().is_none_or(|end| now < end) => {
                tracing::warn!(extension = %self.context.id, %error, "cannot renew credentials, using the old ones");
                Ok(old.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn find_provider(&self) -> SharedCredentialsProvider {
        let env = |name: &str| (self.context.env)(name).filter(|v| !v.is_empty());
        let role = &self.config.assume_role;
        let region = [&role.sts_region, &self.config.region].into_iter().find(|r| !r.is_empty()).cloned();
        let region = region.or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION")).map(Region::new);
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region.clone() {
            loader = loader.region(region);
        }
        if let (Some(id), Some(secret)) = (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
            let keys = Credentials::new(id, secret, env("AWS_SESSION_TOKEN"), None, "environment");
            loader = loader.credentials_provider(keys);
        }
        let base = loader.load().await;
        if role.arn.is_empty() {
            let ambient = base.credentials_provider();
            return ambient.unwrap_or_else(|| SharedCredentialsProvider::new(NoCredentials));
        }
        let session = match role.session_name.as_str() {
            "" => format!("otelcol-ecs-{}", now_nanos()),
            name => name.to_owned(),
        };
        if !role.web_identity_token_file.is_empty() {
            let configuration = StaticConfiguration {
                web_identity_token_file: role.web_identity_token_file.as_str().into(),
                role_arn: role.arn.clone(),
                session_name: session,
            };
            let provider = WebIdentityTokenCredentialsProvider::builder()
                .configure(&ProviderConfig::without_region().with_region(base.region().cloned()))
                .static_configuration(configuration);
            return SharedCredentialsProvider::new(provider.build());
        }
        let mut builder =
            aws_config::sts::AssumeRoleProvider::builder(&role.arn).session_name(session).configure(&base);
        if let Some(region) = region {
            builder = builder.region(region);
        }
        if !role.external_id.is_empty() {
            builder = builder.external_id(&role.external_id);
        }
        SharedCredentialsProvider::new(builder.build().await)
    }
}

/// Stands in when the SDK knows no source of credentials.
#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = aws_credential_types::provider::error::CredentialsError::not_loaded("no source of credentials");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
    }
}

fn now_nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(keys: bool) -> BuildContext {
        let env = move |name: &str| match name {
            "AWS_ACCESS_KEY_ID" if keys => Some("AKIDEXAMPLE".to_owned()),
            "AWS_SECRET_ACCESS_KEY" if keys => Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            "AWS_SESSION_TOKEN" if keys => Some("token".to_owned()),
            _ => None,
        };
        BuildContext { env: Arc::new(env), ..BuildContext::for_test("sigv4auth") }
    }

    fn built(text: &str, context: &BuildContext) -> (Option<Box<dyn Extension>>, String) {
        let (node, _) = ::config::parse_yaml("test.yaml", text);
        let (extension, found) = build(&node.unwrap(), context);
        (extension, found.iter().map(|d| format!("{d}\n")).collect())
    }

    async fn signed(text: &str, uri: &str) -> Result<HeaderMap, String> {
        let client = built(text, &context(true)).0.unwrap().auth().client.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-protobuf"));
        let body = Bytes::from_static(b"body");
        client.sign(&Method::POST, &uri.parse().unwrap(), &mut headers, &body).await.map(|()| headers)
    }

    #[tokio::test]
    async fn a_request_gets_the_headers_of_a_signature() {
        let headers =
            signed("{}", "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/x/api/v1/remote_write").await;
        let headers = headers.unwrap();
        let text = headers["authorization"].to_str().unwrap();
        assert!(text.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{text}");
        assert!(
            text.contains(
                "/eu-west-1/aps/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"
            )
        );
        assert_eq!(headers["x-amz-security-token"], "token");
        assert!(headers.contains_key("x-amz-date") && !headers.contains_key("x-amz-content-sha256"));
    }

    #[tokio::test]
    async fn written_region_and_service_win_and_without_them_the_host_must_tell() {
        let headers = signed("{region: r, service: s}", "https://logs.eu-west-1.amazonaws.com/").await.unwrap();
        assert!(headers["authorization"].to_str().unwrap().contains("/r/s/aws4_request"));
        let error = signed("{}", "https://example.com/").await.unwrap_err();
        assert!(error.contains("set region and service"), "{error}");
    }

    /// The example of the AWS documentation for `GET /` of `iam` (ListUsers), which fixes the algorithm.
    #[test]
    fn the_signature_is_the_documented_one() {
        let signer = Signer {
            config: Config { region: "us-east-1".into(), service: "iam".into(), ..Config::default() },
            context: context(true),
            provider: OnceCell::new(),
            current: Mutex::new(None),
        };
        let keys = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let time = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        headers.insert("content-type", form);
        let uri = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08".parse().unwrap();
        signer.sign_with(keys, time, &Method::GET, &uri, &mut headers, &Bytes::new()).unwrap();
        let text = headers["authorization"].to_str().unwrap();
        let expected = "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn every_problem_is_named() {
        let (extension, problems) = built("{assume_role: {web_identity_token_file: /t}, profile: x}", &context(true));
        assert!(extension.is_none());
        assert!(problems.contains("must specify ARN when using WebIdentityTokenFile"), "{problems}");
        assert!(problems.contains("profile"), "{problems}");
    }
}
