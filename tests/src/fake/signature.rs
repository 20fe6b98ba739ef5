//! Checks SigV4 signatures the way AWS does: the whole request, body included, is signed again with the secret that
//! belongs to the key and must give the same signature. Signing itself is the SDK's code.

use super::Refusal;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign};
use aws_sigv4::sign::v4;
use aws_smithy_types::date_time::{DateTime, Format};
use axum::http::{HeaderMap, Method, Uri};
use std::time::{Duration, SystemTime};

/// AWS refuses signatures further away from its own clock.
const MAX_SKEW: Duration = Duration::from_secs(300);

/// What a request's `Authorization` header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Access key id.
    pub access_key: String,
    /// Region of the scope.
    pub region: String,
    /// Service of the scope: `ecs`, `ec2`, `logs`, `sts`.
    pub service: String,
    /// Names of the signed headers.
    pub signed_headers: Vec<String>,
    hex: String,
}

/// A pair of keys that requests may be signed with.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    /// After this the key is refused as expired.
    pub(crate) expires: Option<SystemTime>,
}

impl Signature {
    /// Reads the `Authorization` header.
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Refusal> {
        let incomplete = |what: &str| Refusal::new(400, "IncompleteSignatureException", what);
        let Some(text) = headers.get("authorization") else {
            return Err(Refusal::new(400, "MissingAuthenticationTokenException", "Missing Authentication Token"));
        };
        let text = text.to_str().map_err(|_| incomplete("the Authorization header is not text"))?;
        let fields = text
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or_else(|| incomplete("the Authorization header does not begin with AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            fields
                .split(',')
                .filter_map(|part| part.trim().split_once('='))
                .find_map(|(key, value)| (key == name).then_some(value))
                .ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter")))
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [access_key, _day, region, service, "aws4_request"] = scope[..] else {
            return Err(incomplete("the credential scope needs key, date, region, service and aws4_request"));
        };
        Ok(Self {
            access_key: access_key.into(),
            region: region.into(),
            service: service.into(),
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            hex: field("Signature")?.into(),
        })
    }

    /// Signs the request again and compares.
    pub(crate) fn verify(&self, keys: &[Key], request: &Signed<'_>) -> Result<(), Refusal> {
        let invalid = |what: &str| Refusal::new(403, "InvalidSignatureException", what);
        let Some(key) = keys.iter().find(|key| key.id == self.access_key) else {
            let message = "The security token included in the request is invalid.";
            return Err(Refusal::new(403, "UnrecognizedClientException", message));
        };
        let now = SystemTime::now();
        if key.expires.is_some_and(|expires| expires < now) {
            let message = "The security token included in the request is expired";
            return Err(Refusal::new(403, "ExpiredTokenException", message));
        }
        if request.service != self.service {
            let text = format!("Credential should be scoped to correct service: '{}'.", request.service);
            return Err(invalid(&text));
        }
        let time = signing_time(request.headers).ok_or_else(|| invalid("X-Amz-Date is missing or malformed"))?;
        let skew = now.duration_since(time).unwrap_or_else(|error| error.duration());
        if skew > MAX_SKEW {
            return Err(invalid("Signature expired"));
        }
        for needed in ["host", "x-amz-date"] {
            if !self.signed_headers.iter().any(|name| name == needed) {
                return Err(invalid(&format!("'{needed}' must be a signed header")));
            }
        }
        match self.expected(key, time, request) {
            Ok(expected) if expected == self.hex => Ok(()),
            Ok(_) => Err(invalid("The request signature we calculated does not match the signature you provided.")),
            Err(error) => Err(invalid(&format!("the request cannot be signed: {error}"))),
        }
    }

    fn expected(&self, key: &Key, time: SystemTime, request: &Signed<'_>) -> Result<String, String> {
        let identity = Credentials::new(&key.id, &key.secret, key.token.clone(), None, "scripted").into();
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Enabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(time)
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let headers = request.headers.iter().filter_map(|(name, value)| {
            // These two the signer adds itself, from the time and the key.
            let added = name == "x-amz-date" || name == "x-amz-security-token";
            let signed = self.signed_headers.iter().any(|signed| signed == name.as_str());
            (signed && !added).then_some((name.as_str(), value.to_str().ok()?))
        });
        let host = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let uri = format!("http://{host}{}", request.uri.path_and_query().map_or("/", |path| path.as_str()));
        let body = SignableBody::Bytes(request.body);
        let signable =
            SignableRequest::new(request.method.as_str(), uri, headers, body).map_err(|error| error.to_string())?;
        let output = sign(signable, &params).map_err(|error| error.to_string())?;
        Ok(output.signature().to_owned())
    }
}

/// A request as it arrived, for checking its signature.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// As on the wire, before decompression.
    pub(crate) body: &'a [u8],
    /// The service that the call is for.
    pub(crate) service: &'static str,
}

/// `20260102T030405Z` of the `X-Amz-Date` header.
fn signing_time(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get("x-amz-date")?.to_str().ok()?;
    let date = |range: std::ops::Range<usize>| text.get(range);
    let full = format!(
        "{}-{}-{}T{}:{}:{}Z",
        date(0..4)?,
        date(4..6)?,
        date(6..8)?,
        date(9..11)?,
        date(11..13)?,
        date(13..15)?
    );
    SystemTime::try_from(DateTime::from_str(&full, Format::DateTime).ok()?).ok()
}
