//! What the extensions for authentication share: an extension that does nothing but offer it, and headers that hold
//! secrets. Which header says what is the business of each extension.

use http::{HeaderMap, HeaderName, HeaderValue};
use proto::auth::AuthOffer;
use proto::{BoxFuture, Stop, Task};

use crate::{Extension, Readiness};

/// Whether the credentials can be used; asked once, at the start.
type Check = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), String>> + Send>;

/// An extension that offers authentication and has nothing to run.
pub(crate) struct Authenticator {
    offer: AuthOffer,
    check: Check,
}

impl Authenticator {
    /// `check` says at the start what keeps the credentials from being used; the service does not start then.
    pub(crate) fn boxed(
        offer: AuthOffer,
        check: impl FnOnce() -> BoxFuture<'static, Result<(), String>> + Send + 'static,
    ) -> Box<dyn Extension> {
        Box::new(Authenticator { offer, check: Box::new(check) })
    }
}

impl Extension for Authenticator {
    fn auth(&self) -> AuthOffer {
        self.offer.clone()
    }

    fn start(self: Box<Self>, _: Readiness, stop: Stop) -> BoxFuture<'static, Result<Task, String>> {
        Box::pin(async move {
            (self.check)().await?;
            Ok(Box::pin(async move {
                stop.cancelled().await;
                Ok(())
            }) as Task)
        })
    }
}

/// What a client shows in a header, unless it is empty.
pub(crate) fn shown<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    headers.get(name).filter(|value| !value.is_empty())
}

/// Puts a secret into a header that no log shows.
pub(crate) fn show(headers: &mut HeaderMap, name: &HeaderName, secret: &str) -> Result<(), String> {
    let mut value = HeaderValue::from_str(secret)
        .map_err(|_| format!("the value for the header {name} has characters that a header cannot have"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Whether both are equal. The time depends on the lengths only, so that it does not tell how much was right.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn only_equal_bytes_are_the_same() {
        for (a, b, expected) in [("", "", true), ("ab", "ab", true), ("ab", "abc", false), ("ab", "ac", false)] {
            assert_eq!(same(a.as_bytes(), b.as_bytes()), expected);
        }
    }

    #[test]
    fn a_secret_in_a_header_is_not_printed_and_a_broken_one_not_repeated() {
        let mut headers = HeaderMap::new();
        show(&mut headers, &AUTHORIZATION, "Bearer abc").unwrap();
        assert_eq!(shown(&headers, &AUTHORIZATION).unwrap(), "Bearer abc");
        assert!(!format!("{headers:?}").contains("abc"));
        let error = show(&mut headers, &AUTHORIZATION, "ab\nc").unwrap_err();
        assert!(error.contains("authorization") && !error.contains("ab"), "{error}");
        headers.insert(AUTHORIZATION, HeaderValue::from_static(""));
        assert!(shown(&headers, &AUTHORIZATION).is_none());
    }

    #[tokio::test]
    async fn credentials_that_cannot_be_used_stop_the_start() {
        let failing = Authenticator::boxed(AuthOffer::default(), || Box::pin(async { Err("no file".to_owned()) }));
        let (_, ready) = tokio::sync::watch::channel(false);
        assert_eq!(failing.start(ready, Stop::new()).await.err().unwrap(), "no file");
    }
}
