//! The rules of the house that a program can check: who may depend on whom, why a dependency is there, how long a
//! file may be, and that the repository stands alone.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const CRATES: [&str; 8] = ["proto", "config", "receiver", "processor", "exporter", "extension", "collector", "tests"];

/// The crates of the workspace that each may use.
const ARROWS: [(&str, &[&str]); 8] = [
    ("proto", &[]),
    ("config", &[]),
    ("receiver", &["proto", "config"]),
    ("processor", &["proto", "config"]),
    // The declaration engine is the one thing that it takes from the processors.
    ("exporter", &["proto", "config", "processor"]),
    ("extension", &["proto", "config"]),
    ("collector", &["proto", "config", "receiver", "processor", "exporter", "extension"]),
    ("tests", &["proto", "config", "receiver", "processor", "exporter", "extension", "collector"]),
];

/// Crates that may be compiled in two versions. Each is small, and none of them talks to the network.
const DUPLICATES: [(&str, &str); 3] = [
    ("base64", "the OpenTelemetry crates are one version behind"),
    ("cpufeatures", "two generations of the RustCrypto crates"),
    ("syn", "two generations of derive macros; at build time only"),
];

/// Crates that must never come in: a second TLS, a second HTTP stack, an abandoned YAML.
const FORBIDDEN: [&str; 9] =
    ["openssl", "openssl-sys", "native-tls", "ring", "serde_yml", "aws-sdk-ec2", "isahc", "ureq", "async-std"];

#[test]
fn crates_depend_only_in_the_direction_of_the_design() {
    for (name, allowed) in ARROWS {
        for (section, dependency, _) in manifest(&root().join(name).join("Cargo.toml")) {
            if CRATES.contains(&dependency.as_str()) {
                assert!(allowed.contains(&dependency.as_str()), "{name} must not use {dependency} ({section})");
            }
        }
    }
}

#[test]
fn every_dependency_has_its_version_and_reason_in_one_place() {
    let text = read(&root().join("Cargo.toml"));
    let mut reason = false;
    let mut section = "";
    for line in text.lines() {
        match line.trim() {
            line if line.starts_with('[') => (section, reason) = (line, false),
            line if line.starts_with('#') => reason = true,
            "" => reason = false,
            line if section == "[workspace.dependencies]" && !line.contains("path =") => {
                assert!(reason, "no comment says why this is needed: {line}");
            }
            _ => (),
        }
    }
    for name in CRATES {
        for (section, dependency, value) in manifest(&root().join(name).join("Cargo.toml")) {
            assert!(
                value.contains("workspace"),
                "{name} [{section}] {dependency}: the version belongs to the workspace"
            );
        }
    }
}

#[test]
fn no_crate_comes_in_twice_unless_it_is_listed() {
    // The lock file also lists optional crates that nothing turns on, so ask what is compiled.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = ["tree", "--locked", "--offline", "--workspace", "--prefix", "none", "--format", "{p}"];
    let output = std::process::Command::new(cargo).current_dir(root()).args(tree).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version);
        }
    }
    assert!(versions.len() > 100, "the tree was not understood");
    for (name, versions) in &versions {
        assert!(!FORBIDDEN.contains(name), "{name} must not come in; see what uses it with: cargo tree -i {name}");
        let listed = DUPLICATES.iter().any(|(listed, _)| listed == name);
        assert!(versions.len() == 1 || listed, "{name} comes in as {versions:?}; see why with: cargo tree -d");
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for path in sources(&["rs", "toml", "md"]) {
        let lines = read(&path).lines().count();
        assert!(lines <= 800, "{} has {lines} lines; 800 are allowed, split it", path.display());
    }
}

#[test]
fn every_module_says_first_what_it_is_for() {
    let silent: Vec<_> = sources(&["rs"])
        .into_iter()
        .filter(|path| !path.file_stem().unwrap().to_string_lossy().ends_with("tests"))
        .filter(|path| !read(path).starts_with("//! "))
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    assert!(silent.is_empty(), "the first line must be a doc comment (//!) in {silent:?}");
}

#[test]
fn the_repository_names_no_machine() {
    // Written in two parts so that this file does not name them either.
    let forbidden = [("/wo", "rk/"), ("../sha", "red"), ("/tmp/sk", "el"), ("/ro", "ot/"), ("/tmp/tar", "get-")];
    for path in sources(&["rs", "toml", "md", "yaml", "yml", "json", "sh", "snap", "lock", ""]) {
        // Some seeds of the fuzz targets are not text, whatever they are called.
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for (first, second) in forbidden {
            let name = format!("{first}{second}");
            assert!(!text.contains(&name), "{} contains {name}", path.display());
        }
    }
}

#[test]
fn every_component_folder_has_a_settings_table() {
    for name in ["receiver", "processor", "exporter", "extension"] {
        for folder in std::fs::read_dir(root().join(name).join("src")).unwrap().flatten() {
            let folder = folder.path();
            let module = folder.join("mod.rs");
            if !module.exists() || !read(&module).contains("FACTORY") {
                continue;
            }
            let readme = folder.join("README.md");
            assert!(readme.exists(), "{} has no README.md", folder.display());
            let text = read(&readme).to_lowercase();
            let table =
                text.lines().any(|line| line.starts_with('|') && line.contains("key") && line.contains("default"));
            assert!(table, "{} has no table with the columns key and default", readme.display());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Section, name and value of every dependency of a manifest.
fn manifest(path: &Path) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in read(path).lines() {
        if let Some(header) = line.trim().strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
        } else if let (true, Some((key, value))) = (section.ends_with("dependencies"), line.split_once('=')) {
            let (name, rest) = key.trim().split_once('.').unwrap_or((key.trim(), ""));
            found.push((section.clone(), name.to_owned(), format!("{rest} {}", value.trim())));
        }
    }
    assert!(!section.is_empty(), "{} was not understood", path.display());
    found
}

/// Every file of the repository with one of these extensions, without what builds and tools leave behind.
fn sources(extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let left_behind = matches!(name.as_str(), "target" | ".git" | ".cargo" | "node_modules" | "corpus");
                if !left_behind {
                    folders.push(path);
                }
            } else if name != ".git" {
                let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
                if extensions.contains(&extension) {
                    found.push(path);
                }
            }
        }
    }
    assert!(found.len() > 10, "the repository was not found");
    found.sort();
    found
}
