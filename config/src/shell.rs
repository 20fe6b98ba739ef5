//! `$NAME` in the external labels of a Prometheus configuration, the one place where Prometheus itself looks at the
//! environment. Done here, after `expand`, because no component reads the environment.

use crate::diagnostic::Diagnostic;
use crate::node::{Node, Value};
use crate::source::Env;

/// Expands the values of `receivers::prometheus*::config::global::external_labels`, once.
pub(crate) fn expand_external_labels(root: &mut Node, env: &dyn Env) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let receivers = entry(root, "receivers").map(|node| &mut node.value);
    let Some(Value::Map(receivers)) = receivers else { return found };
    for (key, receiver) in receivers {
        if key.name.split('/').next().map(str::trim) != Some("prometheus") {
            continue;
        }
        let labels = ["config", "global", "external_labels"].into_iter().try_fold(receiver, entry);
        let Some(Node { value: Value::Map(labels), .. }) = labels else { continue };
        for (_, label) in labels {
            let Some(text) = label.as_str().filter(|text| text.contains('$')) else { continue };
            let mut unset = Vec::new();
            let expanded = expand(text, env, &mut unset);
            for name in unset {
                let text = format!("external label references unset environment variable {name:?}");
                found.push(Diagnostic::warning(text).on(label).help("for a dollar sign write $$$$"));
            }
            label.value = Value::Str(expanded.into());
            label.raw = None;
        }
    }
    found
}

fn entry<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|(k, _)| &*k.name == key).map(|(_, node)| node),
        _ => None,
    }
}

/// Go's `os.Expand` with Prometheus' lookup: `$name`, `${name}`, `$$`; what is not set is empty.
fn expand(text: &str, env: &dyn Env, unset: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, length) = shell_name(after);
        rest = &after[length..];
        match name {
            "" if length == 0 => out.push('$'),
            "" => {}
            "$" => out.push('$'),
            name => match env.var(name).filter(|value| !value.is_empty()) {
                Some(value) => out.push_str(&value),
                None => unset.push(name.to_owned()),
            },
        }
    }
    out + rest
}

/// The name after a dollar and the bytes that it takes. An empty name with a length is bad syntax, which is eaten.
fn shell_name(text: &str) -> (&str, usize) {
    let is_special = |c: char| "*#$@!?-".contains(c) || c.is_ascii_digit();
    let mut chars = text.chars();
    match chars.next() {
        Some('{') => match text[1..].find('}') {
            Some(0) => ("", 2),
            Some(end) => (&text[1..=end], end + 2),
            None => ("", 1),
        },
        Some(c) if is_special(c) => (&text[..1], 1),
        _ => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
            (&text[..end], end)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::load::{Sources, load_tree};

    #[test]
    fn external_labels_are_expanded_once_and_nothing_else_is() {
        const ENV: &[(&str, &str)] = &[("HOME", "/home/me"), ("D", "$HOME")];
        for (text, want) in [
            ("plain", "plain"),
            ("$HOME", "/home/me"),
            ("${env:HOME}", "/home/me"),
            ("$$HOME", "/home/me"),
            ("$${HOME}", "/home/me"),
            ("$$$$HOME", "$HOME"),
            ("x$HOME/y", "x/home/me/y"),
            ("$D", "$HOME"),
            ("a$", "a$"),
            ("a$.b", "a$.b"),
            ("a$b", "a"),
            ("a$1b", "ab"),
            ("a$${}b", "ab"),
            ("é$é", "é$é"),
        ] {
            let yaml = format!(
                "yaml:receivers: {{prometheus/x: {{config: {{global: {{external_labels: {{l: \"{text}\"}}}}, other: \"{text}\"}}}}}}"
            );
            let (tree, found) = load_tree(&Sources { configs: vec![yaml], ..Sources::default() }, &ENV);
            let tree = tree.unwrap();
            let config = tree.at(&["receivers", "prometheus/x", "config"]).unwrap();
            assert_eq!(
                config.at(&["global", "external_labels", "l"]).unwrap().as_str(),
                Some(want),
                "{text}: {found:?}"
            );
            assert_eq!(found.len(), usize::from(["a$b", "a$1b"].contains(&text)), "{text}: {found:?}");
            if text == "$HOME" {
                assert_eq!(config.get("other").unwrap().as_str(), Some("$HOME"));
            }
        }
    }
}
