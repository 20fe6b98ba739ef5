//! The effective configuration as YAML for people, with secrets left out. What it prints can be loaded again.

use serde_yaml::{Mapping, Number, Value as Yaml};

use crate::node::{Node, Origin, Value};
use crate::scalar;
use crate::secrets::{REDACTED, is_secret_key, is_secret_map, mask_urls};

/// The tree as YAML. Values of keys that name secrets, of headers, and what is secret in URLs are `[REDACTED]`. Dollars
/// are escaped where loading would expand them, and scalars keep their spelling where it matters.
///
/// One thing loads differently: `${env:ID}` with the value `12` may be a text or a number, whatever the setting needs;
/// printed it is the number, which a setting of text refuses.
pub fn print(root: &Node) -> String {
    let mut printer = Printer::default();
    let value = printer.yaml(root, Redact::Nothing);
    printer.fill(&serde_yaml::to_string(&value).unwrap_or_default())
}

#[derive(Clone, Copy, PartialEq)]
enum Redact {
    Nothing,
    /// Every text below.
    All,
}

/// Stands in the printed text for a scalar that we spell ourselves, with its number and [`TOKEN_END`] behind it.
const TOKEN: &str = "spelled-by-the-printer-";
const TOKEN_END: char = '.';

/// Scalars that the YAML printer would spell in another way.
#[derive(Default)]
struct Printer {
    spelled: Vec<String>,
}

impl Printer {
    fn yaml(&mut self, node: &Node, redact: Redact) -> Yaml {
        match &node.value {
            Value::Null => Yaml::Null,
            Value::Map(entries) => Yaml::Mapping(self.mapping(entries, redact)),
            Value::Seq(nodes) => Yaml::Sequence(nodes.iter().map(|node| self.yaml(node, redact)).collect()),
            _ if redact == Redact::All => Yaml::String(REDACTED.to_owned()),
            Value::Str(text) => self.text(&escaped(&mask_urls(text), is_expanded_twice(&node.path))),
            value => self.scalar(node, value),
        }
    }

    fn mapping(&mut self, entries: &[(crate::node::Key, Node)], redact: Redact) -> Mapping {
        let mut out = Mapping::new();
        for (key, node) in entries {
            let name = key.name.as_ref();
            let is_value = !matches!(node.value, Value::Map(_) | Value::Null);
            let redact = match redact == Redact::All || is_secret_map(name) || (is_value && is_secret_key(name)) {
                true => Redact::All,
                false => Redact::Nothing,
            };
            let key = self.text(name);
            out.insert(key, self.yaml(node, redact));
        }
        out
    }

    /// Text that this agent or Go would read as something else, and that the YAML printer leaves plain, gets quotes.
    fn text(&mut self, text: &str) -> Yaml {
        let is_ambiguous = !matches!(scalar::resolve(text), Value::Str(_)) || text == "<<";
        let is_plain = is_ambiguous && serde_yaml::to_string(text).is_ok_and(|shown| shown.trim_end() == text);
        match is_plain || text.contains(TOKEN) {
            true => self.spell(serde_json::to_string(text).unwrap_or_default()),
            false => Yaml::String(text.to_owned()),
        }
    }

    /// A number or boolean, spelled as it was written. One that came through a reference and is spelled in an unusual
    /// way (`0123`, `1.10`) is rather an id or a version: it becomes a text, but for Prometheus, where a plain scalar is
    /// both.
    fn scalar(&mut self, node: &Node, value: &Value) -> Yaml {
        let usual = usual(value);
        match node.raw.as_deref().filter(|raw| **raw != *usual && scalar::resolve(raw) == *value) {
            Some(raw) if node.origin == Origin::Expanded && !is_prometheus(&node.path) => self.text(raw),
            Some(raw) => self.spell(raw.to_owned()),
            None => number(value),
        }
    }

    fn spell(&mut self, text: String) -> Yaml {
        self.spelled.push(text);
        Yaml::String(format!("{TOKEN}{}{TOKEN_END}", self.spelled.len() - 1))
    }

    /// Puts the scalars where their tokens are.
    fn fill(&self, text: &str) -> String {
        let mut parts = text.split(TOKEN);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let spelled = part
                .split_once(TOKEN_END)
                .and_then(|(number, rest)| Some((self.spelled.get(number.parse::<usize>().ok()?)?, rest)));
            match spelled {
                Some((spelled, rest)) => out.extend([spelled, rest]),
                None => out.extend([TOKEN, part]),
            }
        }
        out
    }
}

fn number(value: &Value) -> Yaml {
    match value {
        Value::Bool(value) => Yaml::Bool(*value),
        Value::Float(value) => Yaml::Number(Number::from(*value)),
        Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
            (Ok(value), _) => Yaml::Number(Number::from(value)),
            (_, Ok(value)) => Yaml::Number(Number::from(value)),
            _ => Yaml::Number(Number::from(*value as f64)),
        },
        _ => Yaml::Null,
    }
}

/// How the YAML printer spells a scalar.
fn usual(value: &Value) -> String {
    serde_yaml::to_string(&number(value)).unwrap_or_default().trim_end().to_owned()
}

/// Each run of dollars that loading would take for an escape or the start of a reference, doubled.
fn escaped(text: &str, is_expanded_twice: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, run) = rest.split_at(at);
        let dollars = run.len() - run.trim_start_matches('$').len();
        rest = &run[dollars..];
        let times = match (is_expanded_twice, dollars > 1 || rest.starts_with('{')) {
            (true, _) => 4,
            (false, true) => 2,
            (false, false) => 1,
        };
        out.push_str(before);
        out.push_str(&"$".repeat(dollars * times));
    }
    out + rest
}

/// Whether it is part of a Prometheus configuration.
fn is_prometheus(path: &str) -> bool {
    let mut keys = path.split("::");
    keys.next() == Some("receivers")
        && keys.next().and_then(|id| id.split('/').next()).map(str::trim) == Some("prometheus")
        && keys.next().is_some_and(|key| key == "config")
}

/// External labels are expanded a second time, as Prometheus does.
fn is_expanded_twice(path: &str) -> bool {
    is_prometheus(path) && path.split("::").skip(3).take(2).eq(["global", "external_labels"])
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

    const ENV: &[(&str, &str)] =
        &[("ID", "0123"), ("VERSION", "1.10"), ("SIZE", "512"), ("ON", "true"), ("HOME", "/h")];

    fn loaded(text: &str) -> Node {
        let sources = Sources { configs: vec![format!("yaml:{text}")], ..Sources::default() };
        let (tree, found) = load_tree(&sources, &ENV);
        assert!(found.is_empty(), "{found:?}\n{text}");
        tree.unwrap()
    }

    #[test]
    fn what_is_printed_loads_as_the_same() {
        let text = "a: ['0777', 0777, 1_000, '1_000', '0x1F', yes, 'true', true, ~, '', 1.5, 1e3, '1e3', .inf, 18446744073709551615]\n'1': {'<<': x, '~': 1, y: |\n  two\n  lines\n}\nd: ['$1', '$$$$', '$${env:X}', '$$$${env:X}', '$$$$$${X}', '$$$$$', '$$x$$${', 'a: b', '# c', '- d', ' e ']\nt: [!!float 1, spelled-by-the-printer-0., x-spelled-by-the-printer-0.]\n";
        let tree = loaded(text);
        let printed = print(&tree);
        let again = loaded(&printed);
        assert_eq!(plain(&again), plain(&tree), "{printed}");
        assert_eq!(printed, print(&again));
        assert!(printed.contains("- 0777\n") && printed.contains("- 1_000\n"), "{printed}");
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Settings {
        id: String,
        version: String,
        size: u32,
        on: bool,
        labels: std::collections::BTreeMap<String, String>,
    }

    #[test]
    fn what_came_through_references_is_printed_so_that_it_loads_as_the_same() {
        let text = "{id: '${env:ID}', version: '${env:VERSION}', size: '${env:SIZE}', on: '${env:ON}'}";
        let tree = loaded(text);
        let printed = print(&tree);
        let (before, found) = crate::decode::<Settings>(&tree);
        assert!(found.is_empty(), "{found:?}");
        let (after, found) = crate::decode::<Settings>(&loaded(&printed));
        assert!(found.is_empty(), "{found:?}\n{printed}");
        assert_eq!(after, before, "{printed}");
        assert_eq!(before.unwrap().id, "0123");
    }

    #[test]
    fn prometheus_reads_the_same_spelling_again() {
        let text = "receivers: {prometheus/a: {config: {id: 0123, version: '${env:VERSION}', size: '${env:SIZE}', labels: {v: 1.10, t: '${env:ID}', r: '$$1', b: true}, global: {external_labels: {d: 'a$$$$HOME$$$$$$$$x', h: $HOME}}}}}";
        let tree = loaded(text);
        let printed = print(&tree);
        let again = loaded(&printed);
        let config = ["receivers", "prometheus/a", "config"];
        let decode = |tree: &Node| crate::decode_prometheus::<Settings>(tree.at(&config).unwrap()).0.unwrap();
        let before = decode(&tree);
        assert_eq!(decode(&again), before, "{printed}");
        assert_eq!((before.id.as_str(), before.version.as_str(), &*before.labels["v"]), ("0123", "1.10", "1.10"));
        let labels = |tree: &Node| plain(tree.at(&config).unwrap().at(&["global", "external_labels"]).unwrap());
        assert_eq!(labels(&again), labels(&tree), "{printed}");
        assert!(labels(&tree).contains("a$HOME$$x"), "{}", labels(&tree));
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
