//! `bearertokenauth`: a token in a header, checked for receivers and added for exporters. Where it is used is the
//! business of whoever names the extension.

mod config;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::config::{Built, Node, Secret};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Uri};
use proto::auth::{AuthOffer, Check, ClientAuth, Denied, ServerAuth};
use proto::{BoxFuture, BuildContext};
use tokio::time::Instant;

use crate::credentials::{Authenticator, same, show, shown};
use crate::{Extension, ExtensionFactory};

/// `bearertokenauth` in the table of extensions.
pub static FACTORY: ExtensionFactory = ExtensionFactory { kind: "bearertokenauth", build };

fn build(node: &Node, _: &BuildContext) -> Built<Box<dyn Extension>> {
    let (config, found) = config::read(node);
    let extension = config.and_then(|config| {
        let header = HeaderName::try_from(config.header.as_str()).ok()?;
        let values = match config.filename.is_empty() {
            true => Values::Fixed(config.tokens().map(|token| config.value_of(token)).collect()),
            false => Values::File(Mutex::default()),
        };
        let tokens = Arc::new(Tokens { config, header, values });
        let offer = AuthOffer { server: Some(tokens.clone()), client: Some(tokens.clone()) };
        Some(Authenticator::boxed(offer, move || Box::pin(async move { tokens.values().map(drop) })))
    });
    (extension, found)
}

struct Tokens {
    config: config::Config,
    header: HeaderName,
    values: Values,
}

/// How often it is looked whether a file has changed, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Whole header values; the first one is sent, any of them is accepted.
enum Values {
    Fixed(Known),
    /// Read again when the file changes.
    File(Mutex<Read>),
}

type Known = Arc<[Secret]>;

#[derive(Default)]
struct Read {
    /// When the file was looked at last, and what came of it.
    looked: Option<(Instant, Result<Known, String>)>,
    changed: Option<(SystemTime, u64)>,
    values: Known,
}

impl Tokens {
    fn values(&self) -> Result<Known, String> {
        let read = match &self.values {
            Values::Fixed(values) => return Ok(values.clone()),
            Values::File(read) => read,
        };
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        match &read.looked {
            Some((at, values)) if at.elapsed() < LOOK_INTERVAL => values.clone(),
            _ => {
                let values = self.look(&mut read);
                read.looked = Some((Instant::now(), values.clone()));
                values
            }
        }
    }

    /// What the file says now.
    fn look(&self, read: &mut Read) -> Result<Known, String> {
        let path = self.config.filename.as_str();
        let failed = |e: std::io::Error| format!("cannot read the token file {path}: {e}");
        let about = std::fs::metadata(path).map_err(failed)?;
        let changed = Some((about.modified().map_err(failed)?, about.len()));
        if read.changed != changed {
            let text = std::fs::read_to_string(path).map_err(failed)?;
            let tokens = text.lines().map(str::trim).filter(|token| !token.is_empty());
            let values: Known = tokens.map(|token| self.config.value_of(token)).collect();
            if values.is_empty() {
                return Err(format!("no token in {path}"));
            }
            (read.changed, read.values) = (changed, values);
        }
        Ok(read.values.clone())
    }
}

impl ServerAuth for Tokens {
    fn authenticate(&self, headers: &HeaderMap) -> Check<'_> {
        Check::Done(self.check(headers).map(|()| None).map_err(Denied::Unauthenticated))
    }
}

impl Tokens {
    fn check(&self, headers: &HeaderMap) -> Result<(), String> {
        let Some(shown) = shown(headers, &self.header) else {
            return Err(format!("missing or empty authorization header: {}", self.config.header.as_str()));
        };
        let known = self.values()?;
        // Every token is looked at, so that the time tells nothing.
        let found = known.iter().fold(false, |found, value| found | same(value.expose().as_bytes(), shown.as_bytes()));
        if found { Ok(()) } else { Err("provided authorization does not match expected scheme or token".to_owned()) }
    }
}

impl ClientAuth for Tokens {
    fn sign<'a>(
        &'a self,
        _: &'a Method,
        _: &'a Uri,
        headers: &'a mut HeaderMap,
        _: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let values = self.values()?;
            let first = values.first().ok_or("no token to send")?;
            show(headers, &self.header, first.expose())
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn offer(text: &str) -> Result<AuthOffer, String> {
        let (node, _) = ::config::parse_yaml("test.yaml", text);
        let (extension, found) = build(&node.unwrap(), &BuildContext::for_test("bearertokenauth"));
        match found.first() {
            Some(problem) => Err(problem.to_string()),
            None => Ok(extension.unwrap().auth()),
        }
    }

    fn check(offer: &AuthOffer, header: &str, value: &str) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::try_from(header).unwrap(), HeaderValue::from_str(value).unwrap());
        match offer.server.as_ref().unwrap().authenticate(&headers) {
            Check::Done(Ok(None)) => Ok(()),
            Check::Done(Err(Denied::Unauthenticated(reason))) => Err(reason),
            _ => panic!("tokens are checked at once"),
        }
    }

    async fn sent(offer: &AuthOffer, header: &str) -> String {
        let mut headers = HeaderMap::new();
        let (uri, body) = (Uri::from_static("http://x/"), Bytes::new());
        offer.client.as_ref().unwrap().sign(&Method::POST, &uri, &mut headers, &body).await.unwrap();
        headers[header].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_sent_and_checked_with_its_scheme() {
        let one = offer("token: abc").unwrap();
        assert_eq!(sent(&one, "authorization").await, "Bearer abc");
        assert_eq!(check(&one, "authorization", "Bearer abc"), Ok(()));
        for wrong in ["Bearer ab", "Bearer abcd", "abc", "bearer abc", "Basic abc"] {
            assert!(check(&one, "authorization", wrong).unwrap_err().starts_with("provided authorization"), "{wrong}");
        }
        assert_eq!(
            check(&one, "x-other", "Bearer abc"),
            Err("missing or empty authorization header: Authorization".to_owned())
        );
        let many = offer("{header: X-Key, scheme: \"\", tokens: [a, b]}").unwrap();
        assert_eq!(sent(&many, "x-key").await, "a");
        assert_eq!((check(&many, "x-key", "b"), check(&many, "x-key", "c").is_err()), (Ok(()), true));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_of_a_file_are_read_again_within_a_second_of_its_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        std::fs::write(&path, "one\n\n two \n").unwrap();
        let file = offer(&format!("filename: {}", path.display())).unwrap();
        assert_eq!(sent(&file, "authorization").await, "Bearer one");
        assert_eq!(check(&file, "authorization", "Bearer two"), Ok(()));
        assert!(check(&file, "authorization", "Bearer ").is_err());
        std::fs::write(&path, "three").unwrap();
        // Nobody has looked yet: a request does not touch the file.
        tokio::time::advance(LOOK_INTERVAL - Duration::from_millis(1)).await;
        assert_eq!(check(&file, "authorization", "Bearer one"), Ok(()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(check(&file, "authorization", "Bearer three"), Ok(()));
        assert!(check(&file, "authorization", "Bearer one").is_err());
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK_INTERVAL).await;
        assert!(check(&file, "authorization", "Bearer three").unwrap_err().starts_with("cannot read the token file"));
    }

    #[test]
    fn each_wrong_setting_is_named() {
        for (text, expected) in [
            ("{}", "no bearer token provided"),
            ("{token: a, tokens: [b]}", "token and tokens exclude each other"),
            ("{token: a, filename: b}", "the tokens of the file are used"),
            ("{token: a, header: \"x y\"}", "is not a header name"),
            ("{tokens: [\"\"]}", "token is empty"),
        ] {
            let problem = offer(text).err().unwrap();
            assert!(problem.contains(expected) && problem.starts_with("test.yaml:1:"), "{problem}");
        }
    }
}
