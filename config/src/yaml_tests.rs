use super::*;

fn read(text: &str) -> (Option<Node>, Vec<String>) {
    let (node, found) = parse_yaml("t", text);
    (node, found.iter().map(ToString::to_string).collect())
}

fn good(text: &str) -> Node {
    let (node, found) = read(text);
    assert!(found.is_empty(), "{text}: {found:?}");
    node.unwrap()
}

/// The tree in one line, for comparisons.
fn flat(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Str(text) => format!("{text:?}"),
        Value::Seq(nodes) => format!("[{}]", nodes.iter().map(flat).collect::<Vec<_>>().join(" ")),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, node)| format!("{}:{}", key.name, flat(node))).collect();
            format!("{{{}}}", entries.join(" "))
        }
    }
}

#[test]
fn texts_become_the_trees_that_go_makes() {
    for (text, want) in [
        ("", "null"),
        ("# only a comment\n", "null"),
        ("a: yes\nb: 0777\nc: 1_000\nd: 2024-01-02\n", "{a:\"yes\" b:511 c:1000 d:\"2024-01-02\"}"),
        ("\u{feff}a: 1\r\nb:\r\n- 2\r\n", "{a:1 b:[2]}"),
        ("a: 1\n---\nb: 2\n", "{a:1}"),
        ("--- {a: 1}\n...\nnot: [yaml", "{a:1}"),
        ("1: a\n1.5: b\ntrue: c\n", "{1:\"a\" 1.5:\"b\" true:\"c\"}"),
        (
            "a: !custom 1\nb: !!str 12\nc: !!int \"12\"\nd: !!float 1\ne: !!bool \"true\"\nf: !!null \"\"\n",
            "{a:1 b:\"12\" c:12 d:1.0 e:true f:null}",
        ),
        ("a: '12'\nb: \"0x1\"\nc: |\n  1\n", "{a:\"12\" b:\"0x1\" c:\"1\\n\"}"),
        ("{\"a\": [1, 2.5, null, true, \"x\"]}", "{a:[1 2.5 null true \"x\"]}"),
        ("a: &x {k: 1}\nb: *x\n", "{a:{k:1} b:{k:1}}"),
    ] {
        assert_eq!(flat(&good(text)), want, "{text}");
    }
}

#[test]
fn merge_keys_fill_in_what_a_map_does_not_have() {
    for (text, want) in [
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", "{a:{x:1 y:2} b:{y:3 x:1}}"),
        ("a: &a {x: 1}\nb: {y: 3, <<: *a}\n", "{a:{x:1} b:{y:3 x:1}}"),
        ("a: &a {x: 1}\nb: &b {x: 2, z: 4}\nc: {<<: [*a, *b]}\n", "{a:{x:1} b:{x:2 z:4} c:{x:1 z:4}}"),
        ("a: {\"<<\": 1}\n", "{a:{<<:1}}"),
        ("a: {<<: {x: 1}}\n", "{a:{x:1}}"),
    ] {
        assert_eq!(flat(&good(text)), want, "{text}");
    }
    for bad in ["a: {<<: 1}", "a: {<<: [1]}", "a: &a {x: 1}\nb: {<<: *a, <<: *a}"] {
        assert_eq!(read(bad).1.len(), 1, "{bad}");
    }
}

#[test]
fn keys_written_twice_are_errors_that_name_both_lines() {
    let (_, found) = read("a: 1\nb: {c: 1, c: 2}\na: 2\n'1': x\n1: y\n");
    let want = [
        "t:2:11: mapping key \"c\" already defined at line 2 (keep one of the two, or merge their contents)",
        "t:3:1: mapping key \"a\" already defined at line 1 (keep one of the two, or merge their contents)",
        "t:5:1: mapping key \"1\" already defined at line 4 (keep one of the two, or merge their contents)",
    ];
    assert_eq!(found, want);
}

#[test]
fn what_go_refuses_is_refused() {
    for bad in [
        "a: *x",
        "a: &a [*a]",
        "[a]: 1",
        "{}: 1",
        "~: 1",
        "a: !!int x",
        "a: !!bool yes",
        "a: [1",
        "a: b: c",
        "\ta: 1",
        "a:\n\t- 1",
        "a: 'x",
        "a: @x",
        "a: %x",
        "- a\nb: 1",
        "a: [${env:A}, b]",
        "a: `x`",
        "\"\\q\"",
    ] {
        let (node, found) = read(bad);
        assert!(!found.is_empty(), "{bad} became {}", flat(&node.unwrap()));
        assert!(found[0].starts_with("t:"), "{found:?}");
    }
}

#[test]
fn positions_count_characters_and_bytes() {
    let node = good("é: 'ü'\nlist: [a, {b: ü, c: d}]\n");
    let d = node.get("list").unwrap().elements()[1].get("c").unwrap();
    assert_eq!((d.span.start.line, d.span.start.column, &*d.path), (2, 21, "list[1]::c"));
    assert_eq!(&d.span.source.text()[d.span.byte_range()], "d");
    let list = node.get("list").unwrap();
    assert_eq!(node.key("é").unwrap().span.to_string(), "t:1:1");
    assert_eq!(&list.elements()[0].span.source.text()[list.elements()[0].span.byte_range()], "a");
}

#[test]
fn every_dimension_of_a_text_has_a_limit() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let bomb: String = (0..20)
        .fold("a0: &a0 [x, x]\n".to_owned(), |text, i| format!("{text}a{}: &a{} [*a{i}, *a{i}]\n", i + 1, i + 1));
    let long = "x".repeat(MAX_SOURCE_BYTES + 1);
    let wide = format!("[{}]", "1,".repeat(MAX_NODES + 1));
    let repeated: String = "a: 1\n".repeat(1_000);
    for (text, want) in [
        (deep, "nested deeper than 96 levels"),
        (bomb, "more than 250000 values, aliases expanded"),
        (long, "bytes of configuration are too many"),
        (wide, "more than 250000 values"),
        (repeated, "more than 100 problems"),
    ] {
        let (node, found) = read(&text);
        assert!(node.is_none() && found.iter().any(|text| text.contains(want)), "{want}: {:?}", found.last());
    }
}

#[test]
fn a_long_line_is_read_in_linear_time() {
    // Quadratic counting would take minutes for one line of this length.
    let text = format!("{{{}}}", (0..40_000).map(|i| format!("\"key{i}\": \"value\"")).collect::<Vec<_>>().join(", "));
    let node = good(&text);
    assert_eq!(node.entries().len(), 40_000);
    let (key, _) = &node.entries()[39_999];
    assert_eq!(&key.span.source.text()[key.span.byte_range()], "\"key39999\"");
}
