//! Which settings hold secrets, by name, and how a shown line of configuration hides them.

/// What is printed instead of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Last words of key names whose values are secrets.
const SECRET_WORDS: &[&str] = &[
    "password",
    "secret",
    "token",
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
        || key == "authorization_header"
        || key == "x-api-key"
}

/// Whether a whole map under this key holds secrets: HTTP headers.
pub fn is_secret_map(key: &str) -> bool {
    matches!(key, "headers" | "response_headers" | "proxy_connect_header" | "http_headers")
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
        if value_follows && is_secret_key(key) {
            let value = after.trim_start();
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
