//! Which settings hold secrets, by name, and how texts hide them. Lines of a source are masked in `shown_line`.

use std::ops::Range;

use crate::hint;

/// What is printed instead of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Last words of key names whose values are secrets.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "tokens",
    "credentials",
    "key_pem",
    "api_key",
    "apikey",
    "access_key",
    "secret_key",
    "private_key",
    "client_secret",
    "bearer_token",
    "passphrase",
];

/// Maps in which every value is a secret: HTTP headers, lists of users.
const SECRET_MAPS: &[&str] = &["headers", "htpasswd", "response_headers", "proxy_connect_header", "http_headers"];

/// Query parameters that grant access, beside those that are named as secret keys are.
const SECRET_PARAMETERS: &[&str] = &["key", "sig", "signature", "auth", "pwd", "x_amz_signature", "x_amz_credential"];

/// Whether values under this key are secrets: `password`, `client-secret`, `tokens[0]`, ... A `..._file` names a file
/// and is none.
pub fn is_secret_key(key: &str) -> bool {
    let key = fold(key);
    SECRET_WORDS
        .iter()
        .any(|word| key == *word || key.strip_suffix(word).is_some_and(|head| head.ends_with(['_', '.'])))
}

/// Whether a whole map under this key holds secrets: HTTP headers, lists of users.
pub fn is_secret_map(key: &str) -> bool {
    SECRET_MAPS.contains(&&*fold(key))
}

/// Whether what stands at this path is a secret or a part of one: `exporters::otlphttp::headers::x-tenant`.
pub fn is_secret_path(path: &str) -> bool {
    path.split("::").any(|key| is_secret_key(key) || is_secret_map(key))
}

/// Whether a key that is written in a text is one for a secret, also one with a typing mistake.
pub(crate) fn resembles_secret(key: &str) -> bool {
    let key = fold(key);
    let last_words = key.match_indices('_').map(|(at, _)| &key[at + 1..]).chain([&*key]);
    // The one setting whose name is near to `headers`.
    let is_near =
        |word: &str, names: &[&'static str]| hint::nearest(word, names.iter().copied()).is_some() && word != "readers";
    is_secret_path(&key)
        || last_words.into_iter().any(|word| word.len() > 4 && is_near(word, SECRET_WORDS))
        || is_near(&key, SECRET_MAPS)
}

/// The spelling by which names are compared: `X-Api-Key` and `tokens[0]` are `x_api_key` and `tokens`.
fn fold(key: &str) -> String {
    key.split('[').next().unwrap_or_default().to_ascii_lowercase().replace('-', "_")
}

/// A text with the secrets of its URLs replaced; any other text as it is.
pub(crate) fn mask_urls(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let mut out = text.to_owned();
    for range in url_secrets(text, |_| false).into_iter().rev() {
        out.replace_range(range, REDACTED);
    }
    out
}

/// Where the URLs of a text have a password, a user without one, or a query parameter that grants access. A URL ends at
/// a character that `ends` says.
pub(crate) fn url_secrets(text: &str, ends: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (scheme_end, _) in text.match_indices("://") {
        let start = scheme_end + 3;
        if found.last().is_some_and(|last| start < last.end) {
            continue;
        }
        let end = text[start..].find(&ends).map_or(text.len(), |at| start + at);
        let authority_end = text[start..end].find(['/', '?', '#']).map_or(end, |at| start + at);
        if let Some(at) = text[start..authority_end].rfind('@').map(|at| start + at) {
            let password = text[start..at].find(':').map_or(start, |colon| start + colon + 1);
            found.push(password..at);
        }
        let next = text[authority_end..end].find("://").map_or(end, |at| authority_end + at);
        let Some(query) = text[authority_end..next].find('?').map(|at| authority_end + at + 1) else { continue };
        let mut from = query;
        for parameter in text[query..next].split('#').next().unwrap_or_default().split('&') {
            let name = parameter.split('=').next().unwrap_or_default();
            if name.len() < parameter.len() && (is_secret_key(name) || SECRET_PARAMETERS.contains(&&*fold(name))) {
                found.push(from + name.len() + 1..from + parameter.len());
            }
            from += parameter.len() + 1;
        }
    }
    found.retain(|range| !range.is_empty() && !is_reference(&text[range.clone()]));
    found
}

/// Whether a text is nothing but references to something outside of it, which are no secret: `${env:TOKEN}`. One with
/// a default is, the default may be a secret.
pub(crate) fn is_reference(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'']);
    text.starts_with("${")
        && text.split("${").skip(1).all(|part| {
            let name = part.strip_suffix('}').and_then(|uri| uri.rsplit(':').next().zip(Some(uri)));
            name.is_some_and(|(name, uri)| {
                !uri.starts_with("yaml:")
                    && !uri.contains(":-")
                    && !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./-".contains(&b))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_keys_are_known_by_their_names() {
        for key in [
            "password",
            "client_secret",
            "bearer_token",
            "tokens",
            "credentials",
            "key_pem",
            "secret_key",
            "X-Api-Key",
            "api_key",
            "aws_secret_access_key",
            "api-key",
            "tokens[0]",
        ] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in [
            "password_file",
            "username",
            "authenticator",
            "tokenizer",
            "keys",
            "metric_declarations",
            "secretary",
            "credentials_file",
        ] {
            assert!(!is_secret_key(key), "{key}");
        }
        assert!(
            is_secret_path("exporters::a::headers::x") && is_secret_path("a::tokens[0]") && !is_secret_path("a::b")
        );
        for key in ["pasword", "client_sekret", "hedaers", "aws_secret_acces_key", "apikey"] {
            assert!(resembles_secret(key), "{key}");
        }
        for key in ["readers", "endpoint", "username", "region", "tls"] {
            assert!(!resembles_secret(key), "{key}");
        }
        assert!(is_secret_map("headers") && is_secret_map("htpasswd") && !is_secret_map("client_auth"));
    }

    #[test]
    fn secrets_of_urls_are_hidden() {
        for (text, want) in [
            ("http://a:b@c:1/d@e", "http://a:[REDACTED]@c:1/d@e"),
            ("http://c/a:b@d", "http://c/a:b@d"),
            ("http://hunter2@p:80", "http://[REDACTED]@p:80"),
            ("x http://a:b c@d, http://e:f@g", "x http://a:[REDACTED]@d, http://e:[REDACTED]@g"),
            ("http://a?x=1&access_token=b#c", "http://a?x=1&access_token=[REDACTED]#c"),
            ("http://a?api-key=b&X-Amz-Signature=c", "http://a?api-key=[REDACTED]&X-Amz-Signature=[REDACTED]"),
            ("http://a?tokenizer=b", "http://a?tokenizer=b"),
            ("no url: a@b", "no url: a@b"),
        ] {
            assert_eq!(mask_urls(text), want);
        }
    }

    #[test]
    fn a_reference_is_no_secret_unless_it_has_a_default() {
        for text in ["${env:PW}", "${PW}", "'${env:PW}'", "${file:/run/pw}", "${A}${B}"] {
            assert!(is_reference(text), "{text}");
        }
        for text in ["${env:PW:-hunter2}", "${PW:-hunter2}", "${yaml:hunter2}", "${A}hunter2", "hunter2", "${A} b}"] {
            assert!(!is_reference(text), "{text}");
        }
    }
}
