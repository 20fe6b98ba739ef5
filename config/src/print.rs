//! The effective configuration as YAML for people, with secrets left out. What it prints can be loaded again.

use serde_yaml::{Mapping, Number, Value as Yaml};

use crate::node::{Node, Value};
use crate::scalar;
use crate::secrets::{REDACTED, is_secret_key, is_secret_map, mask_urls};

/// The tree as YAML. Values of keys that name secrets, of headers, and passwords in URLs are `[REDACTED]`. Dollars are
/// escaped where loading would expand them.
pub fn print(root: &Node) -> String {
    let mut quoted = Vec::new();
    let value = yaml(root, Redact::Nothing, &mut quoted);
    let mut text = serde_yaml::to_string(&value).unwrap_or_default();
    for (index, original) in quoted.iter().enumerate().rev() {
        let json = serde_json::to_string(original).unwrap_or_default();
        text = text.replace(&token(index), &json);
    }
    text
}

#[derive(Clone, Copy, PartialEq)]
enum Redact {
    Nothing,
    /// Every text below.
    All,
}

fn yaml(node: &Node, redact: Redact, quoted: &mut Vec<String>) -> Yaml {
    match &node.value {
        Value::Null => Yaml::Null,
        Value::Map(entries) => Yaml::Mapping(mapping(entries, redact, quoted)),
        Value::Seq(nodes) => Yaml::Sequence(nodes.iter().map(|node| yaml(node, redact, quoted)).collect()),
        _ if redact == Redact::All => Yaml::String(REDACTED.to_owned()),
        Value::Bool(value) => Yaml::Bool(*value),
        Value::Float(value) => Yaml::Number(Number::from(*value)),
        Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
            (Ok(value), _) => Yaml::Number(Number::from(value)),
            (_, Ok(value)) => Yaml::Number(Number::from(value)),
            _ => Yaml::Number(Number::from(*value as f64)),
        },
        Value::Str(text) => string(&mask_urls(text).replace("$$", "$$$$").replace("${", "$${"), quoted),
    }
}

fn mapping(entries: &[(crate::node::Key, Node)], redact: Redact, quoted: &mut Vec<String>) -> Mapping {
    let mut out = Mapping::new();
    for (key, node) in entries {
        let name = key.name.as_ref();
        let is_value = !matches!(node.value, Value::Map(_) | Value::Null);
        let redact = match redact == Redact::All || is_secret_map(name) || (is_value && is_secret_key(name)) {
            true => Redact::All,
            false => Redact::Nothing,
        };
        let key = string(name, quoted);
        out.insert(key, yaml(node, redact, quoted));
    }
    out
}

/// Text that this agent or Go would read as something else, and that the printer leaves plain, is quoted by us.
fn string(text: &str, quoted: &mut Vec<String>) -> Yaml {
    let is_ambiguous = !matches!(scalar::resolve(text), Value::Str(_)) || text == "<<";
    let is_plain = is_ambiguous && serde_yaml::to_string(text).is_ok_and(|shown| shown.trim_end() == text);
    if !is_plain {
        return Yaml::String(text.to_owned());
    }
    quoted.push(text.to_owned());
    Yaml::String(token(quoted.len() - 1))
}

fn token(index: usize) -> String {
    format!("quoted-text-{index}-of-the-printer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Sources, load_tree};
    use crate::yaml::parse_yaml;

    #[test]
    fn secrets_are_not_printed() {
        let text = "
exporters:
  otlphttp:
    endpoint: https://user:hunter2@host/x
    headers: {x-custom: hunter2}
    tls: {key_pem: hunter2, key_file: /key.pem}
    auth: {authenticator: sigv4auth}
receivers:
  prometheus:
    config:
      scrape_configs:
      - basic_auth: {username: u, password: hunter2, password_file: /p}
        authorization: {credentials: hunter2}
        bearer_token: 12345
        oauth2: {client_secret: hunter2}
        http_headers: {x: {secrets: [hunter2]}}
";
        let shown = print(&parse_yaml("t", text).0.unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("12345"), "{shown}");
        for kept in ["/key.pem", "/p", "sigv4auth", "username: u", "https://user:[REDACTED]@host/x"] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
    }

    #[test]
    fn what_is_secret_by_its_spelling_or_place_is_not_printed() {
        let text = "
x:
  params: {api-key: [hunter2], token: [hunter2]}
  url: http://h/?access_token=hunter2&a=b
  proxy_url: http://hunter2@p:80
  headers: {list: [hunter2], map: {x: 12345}}
";
        let shown = print(&parse_yaml("t", text).0.unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("12345"), "{shown}");
        assert!(shown.contains("http://h/?access_token=[REDACTED]&a=b"), "{shown}");
        assert!(shown.contains("http://[REDACTED]@p:80"), "{shown}");
    }

    #[test]
    fn what_is_printed_loads_as_the_same() {
        let text = "a: ['0777', 0777, 1_000, '1_000', '0x1F', yes, 'true', true, ~, '', 1.5, 1e3, '1e3', .inf, 18446744073709551615]\n'1': {'<<': x, '~': 1, y: |\n  two\n  lines\n}\nd: ['$1', '$$$$', '$${env:X}', 'a: b', '# c', '- d', ' e ']\n";
        let (tree, found) =
            load_tree(&Sources { configs: vec![format!("yaml:{text}")], ..Sources::default() }, &[].as_slice());
        let tree = tree.unwrap_or_else(|| panic!("{found:?}"));
        let printed = print(&tree);
        let (again, found) =
            load_tree(&Sources { configs: vec![format!("yaml:{printed}")], ..Sources::default() }, &[].as_slice());
        assert!(found.is_empty(), "{found:?}\n{printed}");
        assert_eq!(plain(&again.unwrap()), plain(&tree), "{printed}");
    }

    fn plain(node: &Node) -> String {
        match &node.value {
            Value::Seq(nodes) => format!("{:?}", nodes.iter().map(plain).collect::<Vec<_>>()),
            Value::Map(entries) => {
                format!("{:?}", entries.iter().map(|(k, n)| (k.name.clone(), plain(n))).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        }
    }
}
