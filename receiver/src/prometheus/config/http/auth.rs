//! Keys that say who a request is from, of which there are four ways and may be one.

use config::{Diagnostic, Node, Secret, Spanned};
use serde::Deserialize;

use super::text::{Text, check_file, refuse_ref};

/// Credentials of requests. Files are read again for each request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Auth {
    /// None.
    #[default]
    None,
    /// `Basic`.
    Basic { username: Text, password: Text },
    /// Any other scheme, usually `Bearer`.
    Scheme { scheme: String, credentials: Text },
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct BasicAuthKeys {
    username: Option<String>,
    username_file: Option<String>,
    username_ref: Option<Node>,
    password: Option<Secret>,
    password_file: Option<String>,
    password_ref: Option<Node>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthorizationKeys {
    r#type: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<Spanned<String>>,
    credentials_ref: Option<Node>,
}

const KEEP_ONE: &str = "remove all but one of them";

pub(super) fn auth(
    basic: Option<Spanned<BasicAuthKeys>>,
    authorization: Option<Spanned<AuthorizationKeys>>,
    bearer_token: Option<Spanned<Secret>>,
    bearer_token_file: Option<Spanned<String>>,
    found: &mut Vec<Diagnostic>,
) -> Auth {
    let ways = [
        basic.as_ref().map(|keys| keys.error("")),
        authorization.as_ref().map(|keys| keys.error("")),
        bearer_token.as_ref().map(|keys| keys.error("")),
        bearer_token_file.as_ref().map(|keys| keys.error("")),
    ];
    let given: Vec<Diagnostic> = ways.into_iter().flatten().collect();
    if let [_, second, ..] = given.as_slice() {
        let mut diagnostic = second.clone();
        diagnostic.message = match (&bearer_token, &bearer_token_file) {
            (Some(_), Some(_)) => "at most one of bearer_token & bearer_token_file must be configured".into(),
            _ => "at most one of basic_auth, oauth2 & authorization must be configured".into(),
        };
        found.push(diagnostic.help(KEEP_ONE));
    }
    if let Some(keys) = basic {
        return basic_auth(keys, found);
    }
    if let Some(token) = bearer_token {
        return Auth::Scheme { scheme: "Bearer".into(), credentials: Text::Inline(token.value) };
    }
    if let Some(file) = bearer_token_file {
        check_file(&file, "authorization credentials", found);
        return Auth::Scheme { scheme: "Bearer".into(), credentials: Text::File(file.value) };
    }
    let Some(keys) = authorization else { return Auth::None };
    let scheme = keys.r#type.as_deref().map_or("Bearer", str::trim);
    let scheme = if scheme.is_empty() { "Bearer" } else { scheme };
    if scheme.eq_ignore_ascii_case("basic") {
        let problem = keys.error("authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
        found.push(problem.help("write basic_auth: {username: ..., password: ...}"));
    }
    let credentials = match (&keys.credentials, &keys.credentials_file) {
        (Some(_), Some(_)) => {
            let text =
                "at most one of authorization credentials, credentials_file & credentials_ref must be configured";
            found.push(keys.error(text).help(KEEP_ONE));
            return Auth::None;
        }
        (_, Some(file)) => {
            check_file(file, "authorization credentials", found);
            Text::File(file.value.clone())
        }
        (credentials, None) => Text::Inline(credentials.clone().unwrap_or_default()),
    };
    refuse_ref(keys.credentials_ref.as_ref(), found);
    Auth::Scheme { scheme: scheme.to_owned(), credentials }
}

fn basic_auth(keys: Spanned<BasicAuthKeys>, found: &mut Vec<Diagnostic>) -> Auth {
    if keys.username.is_some() && keys.username_file.is_some() {
        let text = "at most one of basic_auth username, username_file & username_ref must be configured";
        found.push(keys.error(text).help(KEEP_ONE));
    }
    if keys.password.is_some() && keys.password_file.is_some() {
        let text = "at most one of basic_auth password, password_file & password_ref must be configured";
        found.push(keys.error(text).help(KEEP_ONE));
    }
    refuse_ref(keys.username_ref.as_ref(), found);
    refuse_ref(keys.password_ref.as_ref(), found);
    let keys = keys.value;
    let pick = |inline: Option<Secret>, file: Option<String>| match file {
        Some(file) => Text::File(file),
        None => Text::Inline(inline.unwrap_or_default()),
    };
    Auth::Basic {
        username: pick(keys.username.map(Secret::new), keys.username_file),
        password: pick(keys.password, keys.password_file),
    }
}
