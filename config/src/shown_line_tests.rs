use super::*;

/// The last line of a text, shown for a mark of its own.
fn shown(text: &str, mark: &str, path: &str) -> ShownLine {
    let source = Source::new("t", text);
    let number = text.lines().count();
    let line = source.line(number as u32);
    let start = line.find(mark).map_or(0, |at| line[..at].chars().count());
    let at = |chars| source.position(number, chars, Position::default());
    let span = Span { source: source.clone(), start: at(start), end: at(start + mark.chars().count()) };
    ShownLine::of(&span, path)
}

#[test]
fn shown_lines_hide_secrets() {
    for (line, want) in [
        ("  password: hunter2 # x", "  password: [REDACTED]"),
        ("a: {username: u, password: 'hun, ter2'}", "a: {username: u, password: [REDACTED]}"),
        ("  {\"password\":\"hunter2\", \"a\": 1}", "  {\"password\":[REDACTED], \"a\": 1}"),
        ("password: ${env:PW}", "password: ${env:PW}"),
        ("password: ${env:PW:-hunter2}", "password: [REDACTED]"),
        ("password: ${env:PW}hunter2", "password: [REDACTED]"),
        ("  Authorization: Bearer hunter2", "  Authorization: [REDACTED]"),
        ("authorization: {type: Basic}", "authorization: {type: Basic}"),
        ("authorization: {type: Basic, credentials: hunter2}", "authorization: {type: Basic, credentials: [REDACTED]}"),
        ("password_file: /x", "password_file: /x"),
        ("endpoint: localhost:80", "endpoint: localhost:80"),
        ("a::b::password: hunter2", "a::b::password: [REDACTED]"),
        ("pasword: hunter2", "pasword: [REDACTED]"),
        (
            "{headers: {api-key: hunter2, x: [hunter2]}, compresion: gzip}",
            "{headers: {api-key: [REDACTED], x: [REDACTED]}, compresion: gzip}",
        ),
        ("- {tokens: [hunter2, hunter2], a: b}", "- {tokens: [REDACTED], a: b}"),
        ("tokens: [hunter2,", "tokens: [REDACTED]"),
        ("headers: *common", "headers: *common"),
        ("password: \"hunter2\" hunter2", "password: [REDACTED]"),
        ("# password: hunter2", "# password: [REDACTED]"),
        ("a: b # token: hunter2", "a: b # token: [REDACTED]"),
        (
            "proxi_url: http://user:hunter2@p?access_token=hunter2",
            "proxi_url: http://user:[REDACTED]@p?access_token=[REDACTED]",
        ),
        ("urls: ['http://hunter2@p', \"http://h\"]", "urls: ['http://[REDACTED]@p', \"http://h\"]"),
        ("headers:\n  x-custom: hunter2", "  x-custom: [REDACTED]"),
        ("headers:\n- name: hunter2\n  value: hunter2", "  value: [REDACTED]"),
        ("tokens:\n- hunter2", "- [REDACTED]"),
        ("a:\n  tokens:\n  # why\n\n  - hunter2", "  - [REDACTED]"),
        ("password: |\n  hunter2: hunter2", "  [REDACTED]"),
        ("- password: hunter2\n  username: u", "  username: u"),
        ("a: {headers: {\n  x: hunter2 }}", "  x: [REDACTED]"),
        ("headers:\n  a: b\nurl: u", "url: u"),
        ("    headers:\n      x: ${env:X}", "      x: ${env:X}"),
    ] {
        assert_eq!(shown(line, "no mark", "").text, want, "{line}");
    }
}

#[test]
fn the_value_of_a_key_that_is_the_problem_is_left_out() {
    let line = shown("{a: 1, key: hunter2, b: 2}", "key", "");
    assert_eq!(line, ShownLine { text: "{a: 1, key: ..., b: 2}".to_owned(), range: 7..10 });
    assert_eq!(shown("\"key\": {a: hunter2}", "\"key\"", "").text, "\"key\": ...");
    assert_eq!(shown("key: ${env:X}", "key", "").text, "key: ${env:X}");
    // The value is the problem, not the key.
    assert_eq!(shown("key: hunter2", "hunter2", "").text, "key: hunter2");
}

#[test]
fn what_a_path_calls_a_secret_is_hidden_wherever_it_was_written() {
    let line = shown("base: &base {x: hunter2, y: 1}", "hunter2", "exporters::otlphttp::headers::x");
    assert!(!line.text.contains("hunter2"), "{line:?}");
    assert_eq!(&line.text[line.range], REDACTED);
    assert_eq!(shown("x: ${env:X}", "${env:X}", "headers::x").text, "x: ${env:X}");
}

#[test]
fn marks_move_with_the_text_before_them() {
    let line = shown("{é: 1, password: hunter2, b: 22}", "22}", "");
    assert_eq!(&line.text[line.range.clone()], "22}");
    let line = shown("{password: hunter2}", "hunter2", "");
    assert_eq!(&line.text[line.range.clone()], REDACTED);
}
