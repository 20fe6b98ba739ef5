use super::*;

fn load(configs: &[&str], sets: &[&str], env: &[(&str, &str)]) -> (Option<Node>, Vec<String>) {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let (node, found) = load_tree(&Sources { configs: owned(configs), sets: owned(sets), ..Sources::default() }, &env);
    (node, found.iter().map(ToString::to_string).collect())
}

fn text<'a>(node: &'a Node, keys: &[&str]) -> &'a str {
    node.at(keys).unwrap().as_str().unwrap()
}

#[test]
fn sources_are_merged_left_to_right_and_sets_come_last() {
    let (node, found) = load(
        &["yaml:{a: {x: one, y: keep, l: [1, 2]}, gone: {deep: 1}}", "env:SECOND", "yaml:a::x: three"],
        &["a.z=[1]", "b.c=${env:V}"],
        &[("SECOND", "a: {x: two, l: [3]}\ngone:\n"), ("V", "v")],
    );
    assert!(found.is_empty(), "{found:?}");
    let node = node.unwrap();
    assert_eq!((text(&node, &["a", "x"]), text(&node, &["a", "y"]), text(&node, &["b", "c"])), ("three", "keep", "v"));
    assert_eq!(node.at(&["a", "l"]).unwrap().elements().len(), 1);
    assert_eq!(node.at(&["a", "z"]).unwrap().elements().len(), 1);
    assert!(node.get("gone").unwrap().is_null());
    assert_eq!(node.at(&["a", "l"]).unwrap().span.source_name(), "env:SECOND");
    assert_eq!(&*node.at(&["a", "x"]).unwrap().path, "a::x");
}

#[test]
fn the_content_variable_replaces_everything() {
    let (node, found) = load(&["/does/not/exist"], &["a=1"], &[("AOT_CONFIG_CONTENT", "a: ${env:X}"), ("X", "x")]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("AOT_CONFIG_CONTENT is set and replaces"));
    assert_eq!(text(&node.unwrap(), &["a"]), "x");
    let (_, found) = load(&[], &[], &[("AOT_CONFIG_CONTENT", "")]);
    assert_eq!(
        found,
        [
            "env:AOT_CONFIG_CONTENT:1:1: empty configuration file (a configuration starts with keys such as receivers: and service:)"
        ]
    );
    let (_, found) = load(&[], &[], &[("AOT_CONFIG_CONTENT", "cmVjZWl2ZXJzOgogIG90bHA6Cg==")]);
    assert!(found[0].contains("it looks like base64"), "{found:?}");
}

#[test]
fn files_are_read_with_or_without_scheme_and_may_be_json() {
    let dir = std::env::temp_dir().join(format!("config-load-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("a.json");
    std::fs::write(&path, "\u{feff}{\r\n\t\"a\": \"b\", \"n\": [1, true, null]}").unwrap();
    let path = path.to_str().unwrap();
    for uri in [path.to_owned(), format!("file:{path}")] {
        let (node, found) = load(&[&uri], &[], &[]);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(text(&node.unwrap(), &["a"]), "b");
    }
    let (node, found) = load(&[&format!("yaml:whole: ${{file:{path}}}")], &[], &[]);
    assert!(found.is_empty(), "{found:?}");
    let node = node.unwrap();
    assert_eq!(
        (node.at(&["whole", "a"]).unwrap().span.source_name(), node.at(&["whole", "a"]).unwrap().span.start.line),
        (path, 2)
    );
    std::fs::write(dir.join("latin1.yaml"), b"a: b\nc: \xe9\n").unwrap();
    let (_, found) = load(&[dir.join("latin1.yaml").to_str().unwrap()], &[], &[]);
    assert!(found[0].contains("line 2 is not UTF-8 text"), "{found:?}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn bad_sources_are_all_named() {
    let (node, found) = load(
        &["/does/not/exist.yaml", "foo:bar", "http://x/y", "env:NOPE", "yaml:- a", "yaml:{a: 1, a: 2}"],
        &["abc", "=1"],
        &[],
    );
    assert!(node.is_none());
    let want = [
        "cannot read the file \"/does/not/exist.yaml\": no such file or directory",
        "unsupported scheme on URI \"foo:...\"",
        "scheme \"http\" is not supported",
        "--config env:NOPE: environment variable \"NOPE\" is not set",
        "yaml::1:1: expected a map of settings, got a list",
        "yaml::1:8: mapping key \"a\" already defined at line 1",
        "invalid value \"abc\" for flag --set: missing equal sign",
        "invalid value \"=...\" for flag --set: the key is empty",
    ];
    assert_eq!(found.len(), want.len(), "{found:#?}");
    for (got, want) in found.iter().zip(want) {
        assert!(got.starts_with(want), "{got}\n{want}");
    }
    assert!(load(&[], &[], &[]).1[0].contains("at least one config flag must be provided"));
}

#[test]
fn what_leaves_a_tree_hides_no_other_problem() {
    let yaml = "yaml:{a: 1, a: 2, b: !!int x, c: {<<: 1, d: e}, f: {{g}}, h: {[i]: j, k: l}, m: '${1}'}";
    let (node, found) = load(&[yaml], &["n.o=1"], &[]);
    let node = node.unwrap_or_else(|| panic!("{found:#?}"));
    let leaf = |keys: &[&str]| node.at(keys).unwrap().value.clone();
    assert_eq!([leaf(&["a"]), leaf(&["n", "o"])], [Value::Int(1), Value::Int(1)]);
    assert_eq!((text(&node, &["c", "d"]), text(&node, &["h", "k"])), ("e", "l"));
    assert_eq!([leaf(&["b"]), leaf(&["f"]), leaf(&["m"])], [Value::Null, Value::Null, Value::Null]);
    for want in [
        "mapping key \"a\" already defined at line 1",
        "cannot read the text \"x\" as !!int",
        "a merge key (<<) needs a map",
        "a map cannot be a key ({{...}} is a placeholder of a template; fill it in)",
        "a list cannot be a key (a key is a text or a number)",
        "environment variable \"1\" has invalid name",
    ] {
        assert_eq!(found.iter().filter(|text| text.contains(want)).count(), 1, "{want} in {found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
    let (node, found) = load(&["yaml:{a: 1, a: 2}", "yaml:{a: ["], &[], &[]);
    assert!(node.is_none() && found.len() == 2, "{found:#?}");
}

#[test]
fn the_text_of_a_source_is_in_no_message_and_no_description() {
    let configs = [
        "yaml:{password: hunter2}",
        "hunter: {password: hunter2}",
        "http://user:hunter2@host/x",
        "https://host/x?token=hunter2",
        "env:PW:-hunter2",
        "ssm:/name/of/a/parameter",
    ];
    let sets = ["exporters.x.password:hunter2", "=hunter2", "a b=hunter2: ["];
    let (_, found) = load(&configs, &sets, &[]);
    assert!(found.len() >= configs.len(), "{found:#?}");
    assert!(!found.iter().any(|text| text.contains("hunter2")), "{found:#?}");
    assert!(found.iter().any(|text| text.contains("\"exporters.x.password...\" for flag --set")), "{found:#?}");
    let sources = Sources { configs: configs.map(str::to_owned).to_vec(), ..Sources::default() };
    let described = describe_sources(&sources, &[].as_slice());
    let want = "--config yaml:... --config hunter:... --config http://user:[REDACTED]@host/x --config https://host/x?token=[REDACTED] --config env:PW:-... \
                --config ssm:/name/of/a/parameter";
    assert_eq!(described, want);
}
