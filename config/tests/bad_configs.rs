//! What a person sees for each of many bad configurations, compared with files. `UPDATE_GOLDEN=1` writes them.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use config::{Config, Sources, has_errors, load, render};

const ENV: &[(&str, &str)] = &[("LOOP", "${env:LOOP}")];

#[test]
fn every_bad_config_gets_its_message() {
    // Messages show the file as it was named.
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/bad-configs")).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(".")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 30, "{} configs", names.len());
    let mut different = Vec::new();
    for name in &names {
        let shown = shown(name);
        let golden = name.replace(".yaml", ".txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &shown).unwrap();
        }
        let want = std::fs::read_to_string(&golden).unwrap_or_default();
        if want != shown {
            different.push(format!("{name}\n--- expected\n{want}\n--- shown\n{shown}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

fn shown(name: &str) -> String {
    let sources = Sources { configs: vec![name.to_owned()], ..Sources::default() };
    let (config, mut found) = load(&sources, &ENV, &common::known());
    found.extend(config.as_ref().map(|config: &Config| common::check_components(config)).unwrap_or_default());
    assert!(has_errors(&found), "{name} was accepted");
    let shown = render(&found, false);
    assert!(!shown.contains("hunter2"), "{name} shows a secret");
    for diagnostic in &found {
        assert!(!diagnostic.to_string().contains('\n'), "{name}: the one-line form has several");
        assert!(diagnostic.span.is_some(), "{name}: no position for {diagnostic}");
        assert!(
            diagnostic.help.is_some() || !diagnostic.is_error(),
            "{name}: it does not say what to do: {diagnostic}"
        );
    }
    shown
}
