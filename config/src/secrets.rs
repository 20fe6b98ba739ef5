//! Which settings hold secrets, by name, and how a shown line of configuration hides them.

/// What is printed instead of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Last words of key names whose values are secrets.
const SECRET_WORDS: &[&str] = &[
    "password",
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

/// Whether values under this key are secrets: `password`, `client_secret`, `bearer_token`, ... A `..._file` names a
/// file and is none.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS
        .iter()
        .any(|word| key == *word || key.strip_suffix(word).is_some_and(|head| head.ends_with(['_', '-', '.'])))
        || key == "x-api-key"
}

/// Whether a whole map under this key holds secrets: HTTP headers, lists of users.
pub fn is_secret_map(key: &str) -> bool {
    matches!(key, "headers" | "htpasswd" | "response_headers" | "proxy_connect_header" | "http_headers")
}

/// A line of YAML with the value of a secret key replaced.
pub(crate) fn mask_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(colon) = rest.find(':') {
        let (before, after) = rest.split_at(colon + 1);
        out.push_str(before);
        let key = before[..colon].rsplit([' ', '\t', '{', ',', '[']).next().unwrap_or("");
        let key = key.trim_matches(['"', '\'']);
        let value_follows = after.starts_with([' ', '\t']) || before.ends_with("\":") || before.ends_with("':");
        let value = after.trim_start();
        let is_header =
            matches!(key.to_ascii_lowercase().as_str(), "authorization" | "cookie") && !value.starts_with('{');
        if value_follows && (is_header || is_secret_key(key)) {
            let is_reference = value.starts_with("${") || value.starts_with("\"${") || value.starts_with("'${");
            let is_block = value.is_empty() || value.starts_with('#');
            if !is_reference && !is_block {
                out.push(' ');
                out.push_str(REDACTED);
                return out;
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A URL with the password of its user replaced; any other text as it is.
pub(crate) fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}:{REDACTED}@{host}{tail}"),
        None => text.to_owned(),
    }
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
        assert!(is_secret_map("headers") && is_secret_map("htpasswd") && !is_secret_map("client_auth"));
    }

    #[test]
    fn shown_lines_hide_secrets() {
        for (line, want) in [
            ("  password: hunter2 # x", "  password: [REDACTED]"),
            ("basic_auth: {username: u, password: 'hunter2'}", "basic_auth: {username: u, password: [REDACTED]"),
            ("  {\"password\":\"hunter2\"}", "  {\"password\": [REDACTED]"),
            ("password: ${env:PW}", "password: ${env:PW}"),
            ("  Authorization: Bearer hunter2", "  Authorization: [REDACTED]"),
            ("authorization: {type: Basic}", "authorization: {type: Basic}"),
            ("password_file: /x", "password_file: /x"),
            ("endpoint: localhost:80", "endpoint: localhost:80"),
        ] {
            assert_eq!(mask_line(line), want);
        }
        assert_eq!(mask_url("http://a:b@c:1/d@e"), "http://a:[REDACTED]@c:1/d@e");
        assert_eq!(mask_url("http://c/a:b@d"), "http://c/a:b@d");
    }
}
