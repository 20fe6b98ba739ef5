//! `basicauth`: user and password, checked for receivers (`htpasswd`) or added for exporters (`client_auth`).

mod config;
mod hash;
mod htpasswd;

use std::sync::Arc;

use ::config::{Built, Node};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use proto::auth::{AuthOffer, Check, ClientAuth, Denied, ServerAuth};
use proto::{BoxFuture, BuildContext};

use self::config::Client;
use self::htpasswd::Users;
use crate::credentials::{Authenticator, show, shown};
use crate::{Extension, ExtensionFactory};

/// `basicauth` in the table of extensions.
pub static FACTORY: ExtensionFactory = ExtensionFactory { kind: "basicauth", build };

fn build(node: &Node, _: &BuildContext) -> Built<Box<dyn Extension>> {
    let (config, mut found) = config::read(node);
    let Some(config) = config else { return (None, found) };
    let server = config.htpasswd.and_then(|htpasswd| match Users::read(&htpasswd) {
        Ok(users) => Some(Arc::new(users) as Arc<dyn ServerAuth>),
        Err(reason) => {
            found.push(htpasswd.file.error(reason).or_on(node));
            None
        }
    });
    let client = config.client_auth.map(|client| Arc::new(client) as Arc<dyn ClientAuth>);
    (Some(Authenticator::boxed(AuthOffer { server, client }, || Box::pin(async { Ok(()) }))), found)
}

impl ServerAuth for Users {
    fn authenticate(&self, headers: &HeaderMap) -> Check<'_> {
        match credentials(headers) {
            Ok((user, password)) => self.check(&user, &password),
            Err(reason) => Check::Done(Err(Denied::Unauthenticated(reason.to_owned()))),
        }
    }
}

/// User and password that a request shows.
fn credentials(headers: &HeaderMap) -> Result<(String, String), &'static str> {
    let shown = shown(headers, &AUTHORIZATION).ok_or("no basic auth provided")?;
    let encoded = shown.as_bytes().strip_prefix(b"Basic ").ok_or("invalid authorization scheme")?;
    let decoded = BASE64_STANDARD.decode(encoded).map_err(|_| "invalid format")?;
    let text = String::from_utf8(decoded).map_err(|_| "invalid format")?;
    let (user, password) = text.split_once(':').ok_or("invalid format")?;
    Ok((user.to_owned(), password.to_owned()))
}

impl ClientAuth for Client {
    fn sign<'a>(
        &'a self,
        _: &'a Method,
        _: &'a Uri,
        headers: &'a mut HeaderMap,
        _: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (user, password) = self.credentials()?;
            let encoded = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
            show(headers, &AUTHORIZATION, &format!("Basic {encoded}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proto::auth::User;

    use super::*;

    fn offer(text: &str) -> Result<AuthOffer, String> {
        let (node, _) = ::config::parse_yaml("test.yaml", text);
        let (extension, found) = build(&node.unwrap(), &BuildContext::for_test("basicauth"));
        match found.first() {
            Some(problem) => Err(problem.to_string()),
            None => Ok(extension.unwrap().auth()),
        }
    }

    async fn check(offer: &AuthOffer, authorization: &str) -> Result<User, Denied> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        offer.server.as_ref().unwrap().authenticate(&headers).answer().await
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    #[tokio::test]
    async fn users_of_the_list_and_the_file_are_let_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        std::fs::write(&path, "# people\nbob:plain:text\nann:old\n").unwrap();
        // bcrypt of `secret` at the lowest cost.
        let hash = bcrypt::hash_with_result("secret", 4).unwrap().to_string();
        let md5 = "tom:$apr1$lZL6Vci.$OKVcByRNLFzp8XZ3MPpGg0";
        let text = format!("{{htpasswd: {{file: {}, inline: \"ann:{hash}\\n{md5}\\n\"}}}}", path.display());
        let offer = offer(&text).unwrap();
        for (shown, expected) in [
            (basic("bob:plain:text"), Ok("bob")),
            (basic("ann:secret"), Ok("ann")),
            (basic("ann:secret"), Ok("ann")),
            (basic("tom:secret"), Ok("tom")),
            (basic("tom:secret"), Ok("tom")),
            (basic("tom:Secret"), Err("invalid credentials")),
            (basic("ann:old"), Err("invalid credentials")),
            (basic("ann:"), Err("invalid credentials")),
            (basic("eve:secret"), Err("invalid credentials")),
            (basic("nocolon"), Err("invalid format")),
            ("Basic ?".to_owned(), Err("invalid format")),
            ("Bearer x".to_owned(), Err("invalid authorization scheme")),
        ] {
            let expected = expected.map(|user: &str| Some(user.into()));
            let expected = expected.map_err(|reason: &str| Denied::Unauthenticated(reason.to_owned()));
            assert_eq!(check(&offer, &shown).await, expected, "{shown}");
        }
        let denied = offer.server.unwrap().authenticate(&HeaderMap::new()).answer().await.unwrap_err();
        assert_eq!(denied, Denied::Unauthenticated("no basic auth provided".to_owned()));
    }

    #[tokio::test]
    async fn a_client_sends_its_credentials_from_the_section_or_from_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("p"), "from file\n").unwrap();
        for (text, expected) in [
            ("{client_auth: {username: a, password: b}}".to_owned(), basic("a:b")),
            (
                format!("{{client_auth: {{username: a, password_file: {}}}}}", dir.path().join("p").display()),
                basic("a:from file"),
            ),
        ] {
            let offer = offer(&text).unwrap();
            let (mut headers, uri, body) = (HeaderMap::new(), Uri::from_static("http://x/"), Bytes::new());
            offer.client.unwrap().sign(&Method::POST, &uri, &mut headers, &body).await.unwrap();
            assert_eq!(headers[AUTHORIZATION].to_str().unwrap(), expected);
        }
    }

    #[test]
    fn each_wrong_setting_is_named() {
        for (text, expected) in [
            ("{}", "no credential source provided"),
            ("{htpasswd: {inline: \"a:b\"}, client_auth: {username: a}}", "only one of htpasswd and client_auth"),
            ("{htpasswd: {}}", "no credential source provided"),
            ("{htpasswd: {file: /nonexistent}}", "cannot read /nonexistent"),
            ("{htpasswd: {inline: \"a\"}}", "line 1 of inline has no colon"),
            ("{htpasswd: {inline: \"a:$6$x$y\"}}", "the hash of user \"a\" is of a kind that is not supported"),
            ("{client_auth: {password: b}}", "client_auth has no user name"),
            ("{client_auth: {username: a, username_file: b}}", "username and username_file exclude each other"),
        ] {
            let problem = offer(text).err().unwrap();
            assert!(problem.contains(expected) && problem.starts_with("test.yaml:1:"), "{problem}");
        }
    }
}
