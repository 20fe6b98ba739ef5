//! `PutLogEvents` after the model of a call that the SDK made: the same URL, headers, region and keys, and a signature
//! of its own. To put all that together anew takes the SDK a tenth of what a scrape costs. It makes one call in five
//! minutes, and every call while keys change or something fails: so endpoints and keys are always those it found.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::connector::chain;

/// How long a call of the SDK is a model.
const LIFE: Duration = Duration::from_secs(300);
/// How long there is no new model after a call failed.
const PAUSE: Duration = Duration::from_secs(60);
/// Keys that end sooner are the SDK's to renew.
const SPARE: Duration = Duration::from_secs(60);

/// The model of one exporter.
#[derive(Debug, Default)]
pub(super) struct Templates {
    /// What the provider gave the SDK last.
    keys: Arc<Mutex<Option<Credentials>>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    template: Option<Arc<Template>>,
    /// No model before.
    paused_until: Option<Instant>,
}

/// What is the same in all calls.
#[derive(Debug)]
pub(super) struct Template {
    made: Instant,
    url: reqwest::Url,
    /// Without the signature's.
    headers: HeaderMap,
    region: String,
    service: String,
    keys_end: Option<SystemTime>,
    identity: Identity,
}

impl Templates {
    /// The same provider, whose keys are seen here.
    pub(super) fn watch(&self, provider: SharedCredentialsProvider) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Watched { provider, keys: self.keys.clone() })
    }

    /// Takes a call that succeeded as the model, if its keys are known.
    pub(super) fn learn(&self, request: &reqwest::Request) {
        let now = Instant::now();
        let keys = self.keys.lock().expect("no panic while locked").clone();
        let template = keys.and_then(|keys| Template::of(request, keys, now)).map(Arc::new);
        let mut state = self.lock();
        if state.paused_until.is_none_or(|until| until <= now) {
            state.template = template;
        }
    }

    /// The model, if it may be used now.
    pub(super) fn get(&self) -> Option<Arc<Template>> {
        let template = self.lock().template.clone()?;
        template.is_usable(Instant::now(), SystemTime::now()).then_some(template)
    }

    /// Leaves the next calls to the SDK.
    pub(super) fn pause(&self) {
        *self.lock() = State { template: None, paused_until: Some(Instant::now() + PAUSE) };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }
}

impl Template {
    fn of(request: &reqwest::Request, keys: Credentials, made: Instant) -> Option<Template> {
        let authorization = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let scope = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split_once(',')?.0;
        let [key, _, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else { return None };
        if key != keys.access_key_id() {
            return None;
        }
        let mut headers = request.headers().clone();
        for of_one_call in [AUTHORIZATION, CONTENT_LENGTH, HOST] {
            headers.remove(of_one_call);
        }
        for of_one_call in
            ["x-amz-date", "x-amz-security-token", "amz-sdk-invocation-id", "amz-sdk-request", "x-amzn-trace-id"]
        {
            headers.remove(of_one_call);
        }
        Some(Template {
            made,
            url: request.url().clone(),
            headers,
            region: region.to_owned(),
            service: service.to_owned(),
            keys_end: keys.expiry(),
            identity: keys.into(),
        })
    }

    fn is_usable(&self, now: Instant, time: SystemTime) -> bool {
        now < self.made + LIFE && self.keys_end.is_none_or(|end| time + SPARE < end)
    }

    /// A signed call with this body.
    pub(super) fn request(&self, body: Bytes) -> Result<reqwest::Request, String> {
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| chain(&e))?
            .into();
        let headers = self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signed = SignableRequest::new("POST", self.url.as_str(), headers, SignableBody::Bytes(&body));
        let signature = sign(signed.map_err(|e| chain(&e))?, &params).map_err(|e| chain(&e))?.into_parts().0;
        let mut request = reqwest::Request::new(reqwest::Method::POST, self.url.clone());
        request.headers_mut().clone_from(&self.headers);
        for header in signature.into_parts().0 {
            let name = HeaderName::try_from(header.name()).map_err(|e| chain(&e))?;
            let mut value = HeaderValue::try_from(header.value()).map_err(|e| chain(&e))?;
            value.set_sensitive(header.sensitive());
            request.headers_mut().insert(name, value);
        }
        *request.body_mut() = Some(body.into());
        Ok(request)
    }
}

/// Notes what another provider gives.
#[derive(Debug)]
struct Watched {
    provider: SharedCredentialsProvider,
    keys: Arc<Mutex<Option<Credentials>>>,
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let keys = self.provider.provide_credentials().await?;
            *self.keys.lock().expect("no panic while locked") = Some(keys.clone());
            Ok(keys)
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.provider.fallback_on_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORIZED: &str =
        "AWS4-HMAC-SHA256 Credential=KEY/20261129/us-west-2/logs/aws4_request, SignedHeaders=host, Signature=ab";

    fn call(authorization: &str) -> reqwest::Request {
        let mut request = reqwest::Request::new(reqwest::Method::POST, "http://logs.test/".parse().unwrap());
        request.headers_mut().insert(AUTHORIZATION, authorization.parse().unwrap());
        request
    }

    async fn templates(key: &str, lasts: Option<Duration>) -> Templates {
        let templates = Templates::default();
        let keys = Credentials::new(key, "wJalrXUt", None, lasts.map(|lasts| SystemTime::now() + lasts), "test");
        let given = templates.watch(SharedCredentialsProvider::new(keys)).provide_credentials().await.unwrap();
        assert_eq!(given.access_key_id(), key);
        templates
    }

    #[tokio::test]
    async fn a_call_is_a_model_when_its_keys_are_known_and_last() {
        let check = async |key: &str, lasts: Option<u64>, authorization: &str, expected: bool| {
            let templates = templates(key, lasts.map(Duration::from_secs)).await;
            templates.learn(&call(authorization));
            assert_eq!(templates.get().is_some(), expected, "{key} {lasts:?} {authorization}");
        };
        check("KEY", None, AUTHORIZED, true).await;
        check("KEY", Some(600), AUTHORIZED, true).await;
        check("KEY", Some(59), AUTHORIZED, false).await;
        check("OTHER", None, AUTHORIZED, false).await;
        check("KEY", None, "AWS4-ECDSA-P256-SHA256 Credential=KEY/20261129/logs/aws4_request, X=y", false).await;
        check("KEY", None, "AWS4-HMAC-SHA256 Credential=KEY/20261129/logs/aws4_request, X=y", false).await;
        check("KEY", None, "Bearer KEY", false).await;
        let unknown = Templates::default();
        unknown.learn(&call(AUTHORIZED));
        assert!(unknown.get().is_none());
    }

    #[tokio::test]
    async fn a_model_serves_for_five_minutes_and_none_is_taken_in_the_minute_after_a_failure() {
        let templates = templates("KEY", Some(Duration::from_secs(3600))).await;
        templates.learn(&call(AUTHORIZED));
        let template = templates.get().unwrap();
        let time = SystemTime::now();
        assert!(template.is_usable(template.made + LIFE - Duration::from_secs(1), time));
        assert!(!template.is_usable(template.made + LIFE, time));
        assert!(!template.is_usable(template.made, time + Duration::from_secs(3560)));
        templates.pause();
        templates.learn(&call(AUTHORIZED));
        assert!(templates.get().is_none());
        templates.lock().paused_until = Some(Instant::now());
        templates.learn(&call(AUTHORIZED));
        assert!(templates.get().is_some());
    }

    #[tokio::test]
    async fn what_belongs_to_one_call_is_made_anew_and_the_rest_kept() {
        let templates = templates("KEY", None).await;
        let mut model = call(AUTHORIZED);
        for (name, value) in [
            ("x-amz-date", "20200101T000000Z"),
            ("x-amz-security-token", "old"),
            ("amz-sdk-invocation-id", "1"),
            ("amz-sdk-request", "attempt=2; max=2"),
            ("content-length", "5"),
            ("x-amz-target", "Logs_20140328.PutLogEvents"),
            ("user-agent", "sdk ours"),
        ] {
            model.headers_mut().insert(name, value.parse().unwrap());
        }
        templates.learn(&model);
        let request = templates.get().unwrap().request(Bytes::from_static(b"{}")).unwrap();
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-amz-target"), Some("Logs_20140328.PutLogEvents"));
        assert_eq!(header("user-agent"), Some("sdk ours"));
        let gone = ["x-amz-security-token", "amz-sdk-invocation-id", "amz-sdk-request", "content-length"];
        assert_eq!(gone.map(header), [None; 4]);
        assert_ne!(header("x-amz-date"), Some("20200101T000000Z"));
        let authorization = header("authorization").unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=KEY/"), "{authorization}");
        assert!(authorization.contains("/us-west-2/logs/aws4_request"), "{authorization}");
        assert!(authorization.contains("SignedHeaders=host;x-amz-date;x-amz-target,"), "{authorization}");
        assert_eq!(request.body().unwrap().as_bytes(), Some(&b"{}"[..]));
        assert!(!format!("{templates:?}").contains("wJalrXUt"), "keys are not shown");
    }
}
