//! `file_sd_configs`: target lists in JSON or YAML files, read again when they change. A file that a discovery extension
//! of this process writes is only read until the extension knows targets: from then on they come from memory, at once.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proto::TargetGroup;
use proto::targets::Published;
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::config::glob_pattern;
use super::{DiscoveredTarget, DiscoveryContext, GroupKeys, MAX_LIST_BYTES, expand, parse_json};

/// How often files are looked at for a change.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const META_FILEPATH: &str = "__meta_filepath";

/// Files that one pattern may match.
const MAX_FILES: usize = 10_000;

#[derive(Default)]
struct Files {
    /// What is known of each file, by path.
    known: BTreeMap<String, Known>,
}

struct Known {
    /// Change time and size when it was last looked at.
    stamp: Option<(SystemTime, u64)>,
    targets: Vec<DiscoveredTarget>,
}

/// Follows the files of a block.
pub(super) async fn run(block: usize, patterns: Vec<String>, refresh: Duration, context: &DiscoveryContext) {
    let mut memory: Vec<(String, watch::Receiver<Published>)> = Vec::new();
    let mut on_disk: Vec<String> = Vec::new();
    for pattern in patterns {
        if let Some(receiver) = context.hub.subscribe(&pattern) {
            memory.push((pattern.clone(), receiver));
        }
        on_disk.push(pattern);
    }
    let mut files = Files::default();
    let mut last: Option<Vec<DiscoveredTarget>> = None;
    let mut full_read = Instant::now();
    loop {
        let now = Instant::now();
        let is_full = now >= full_read;
        if is_full {
            full_read = now + refresh;
        }
        let mut in_memory: Vec<DiscoveredTarget> = Vec::new();
        for (path, receiver) in &mut memory {
            // What an earlier run found counts until there is something newer.
            let Some(groups) = receiver.borrow_and_update().clone() else { continue };
            on_disk.retain(|pattern| pattern != path);
            in_memory.extend(from_memory(path, &groups));
        }
        files.update(&on_disk, is_full, &context.job);
        let mut targets: Vec<DiscoveredTarget> =
            files.known.values().flat_map(|file| file.targets.iter().cloned()).collect();
        targets.append(&mut in_memory);
        if last.as_ref() != Some(&targets) {
            context.send(block, targets.clone()).await;
            last = Some(targets);
        }
        let poll = async {
            match on_disk.is_empty() {
                true => std::future::pending().await,
                false => tokio::time::sleep(POLL_INTERVAL).await,
            }
        };
        tokio::select! {
            () = published(&mut memory) => {}
            () = poll => {}
        }
    }
}

/// Waits for a publication; forever when nothing can be published any more.
async fn published(memory: &mut [(String, watch::Receiver<Published>)]) {
    if memory.is_empty() {
        return std::future::pending().await;
    }
    let waits = memory.iter_mut().map(|(_, receiver)| {
        Box::pin(async move {
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    futures_util::future::select_all(waits).await;
}

fn from_memory(path: &str, groups: &Arc<Vec<TargetGroup>>) -> Vec<DiscoveredTarget> {
    let expand_group = |group: &TargetGroup| {
        let labels = group.labels.iter().cloned().collect();
        expand(&group.targets, &labels, &[(META_FILEPATH, path)])
    };
    groups.iter().flat_map(expand_group).collect()
}

impl Files {
    /// Reads what is new or has changed, or everything. A file that cannot be used keeps its targets; one that is gone
    /// loses them.
    fn update(&mut self, patterns: &[String], is_full: bool, job: &str) {
        let paths = matching(patterns);
        self.known.retain(|path, _| paths.contains(path));
        for path in paths {
            let stamp = stamp(&path);
            let known = self.known.get(&path);
            if !is_full && known.is_some_and(|known| known.stamp == stamp) {
                continue;
            }
            match read(&path) {
                Ok(targets) => {
                    self.known.insert(path, Known { stamp, targets });
                }
                Err(error) => {
                    tracing::error!(
                        job,
                        file = path,
                        error,
                        "cannot read targets from file, keeping the targets it had"
                    );
                    self.known.entry(path).or_insert(Known { stamp, targets: Vec::new() }).stamp = stamp;
                }
            }
        }
    }
}

/// Existing files that the patterns name, sorted.
fn matching(patterns: &[String]) -> Vec<String> {
    let mut paths = Vec::new();
    for pattern in patterns {
        if pattern.contains(['*', '?', '[']) {
            let found = glob::glob(&glob_pattern(pattern)).into_iter().flatten().flatten();
            paths.extend(found.take(MAX_FILES).map(|path| path.to_string_lossy().into_owned()));
        } else if std::fs::metadata(pattern).is_ok() {
            paths.push(pattern.clone());
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

fn stamp(path: &str) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

fn read(path: &str) -> Result<Vec<DiscoveredTarget>, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let size = file.take(MAX_LIST_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if size as u64 > MAX_LIST_BYTES {
        return Err(format!("it has more than {MAX_LIST_BYTES} bytes"));
    }
    let groups = if path.to_ascii_lowercase().ends_with(".json") {
        parse_json(text.as_bytes())?
    } else {
        parse_yaml(path, &text)?
    };
    Ok(groups.iter().flat_map(|group| expand(&group.targets, &group.labels, &[(META_FILEPATH, path)])).collect())
}

fn parse_yaml(path: &str, text: &str) -> Result<Vec<GroupKeys>, String> {
    let first = |found: Vec<config::Diagnostic>| found.into_iter().find(config::Diagnostic::is_error);
    let (node, found) = config::parse_yaml(path, text);
    if let Some(error) = first(found) {
        return Err(error.to_string());
    }
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    if let Some(null) = node.elements().iter().find(|group| group.is_null()) {
        return Err(format!("{}: nil target group item found", null.span));
    }
    let (groups, found) = config::decode_prometheus(&node);
    match first(found) {
        Some(error) => Err(error.to_string()),
        None => Ok(groups.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let path = path.to_string_lossy().into_owned();
        let shown = |targets: Vec<DiscoveredTarget>| {
            let one = |mut labels: DiscoveredTarget| {
                labels.retain(|(name, _)| name != META_FILEPATH);
                labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
            };
            targets.into_iter().map(one).collect::<Vec<_>>().join(" ")
        };
        match (read(&path).map(shown), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{text}"),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{got} is not about {expected}"),
            (got, expected) => panic!("{text}: {got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn files_are_json_or_yaml_lists_of_groups() {
        check(
            "a.json",
            r#"[{"targets":["a:1","b:2"],"labels":{"x":"y"}}]"#,
            Ok("x=y,__address__=a:1 x=y,__address__=b:2"),
        );
        check("a.yml", "- targets: [a:1]\n  labels: {v: 1.10, on: yes}\n", Ok("on=yes,v=1.10,__address__=a:1"));
        check("a.YAML", "", Ok(""));
        check("a.json", "[]", Ok(""));
        check("a.json", "[null]", Err("null"));
        check("a.yaml", "- null\n", Err("nil target group"));
        check("a.json", r#"[{"targets":[],"lables":{}}]"#, Err("lables"));
        check("a.yaml", "- {targets: [], lables: {}}", Err("lables"));
        check("a.json", "[{", Err("EOF"));
        check("a.yaml", "targets: [", Err(""));
    }

    #[test]
    fn a_broken_file_keeps_its_targets_and_a_deleted_one_loses_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        std::fs::write(path("a.json"), r#"[{"targets":["a:1"]}]"#).unwrap();
        std::fs::write(path("b.json"), r#"[{"targets":["b:1"]}]"#).unwrap();
        let patterns = [path("*.json")];
        let mut files = Files::default();
        let count = |files: &Files| files.known.values().map(|known| known.targets.len()).sum::<usize>();
        files.update(&patterns, false, "j");
        assert_eq!(count(&files), 2);
        std::fs::write(path("a.json"), "[{ broken").unwrap();
        files.update(&patterns, false, "j");
        assert_eq!(count(&files), 2);
        std::fs::remove_file(path("b.json")).unwrap();
        files.update(&patterns, false, "j");
        assert_eq!(count(&files), 1);
        std::fs::write(path("a.json"), "[]").unwrap();
        files.update(&patterns, true, "j");
        assert_eq!(count(&files), 0);
    }

    #[test]
    fn patterns_match_as_in_go() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t1.json", "t2.json", "t3.json", "tx.json", "t-a-b.json", "tt.yml"] {
            std::fs::write(folder.path().join(name), "[]").unwrap();
        }
        for (pattern, expected) in [
            ("t1.json", "t1"),
            ("t?.json", "t1 t2 t3 tx"),
            ("t[12].json", "t1 t2"),
            ("t[^12x].json", "t3"),
            ("t-*-*.json", "t-a-b"),
            ("**.json", "t-a-b t1 t2 t3 tx"),
            ("t[.json", ""),
            ("none.json", ""),
        ] {
            let paths = matching(&[folder.path().join(pattern).to_string_lossy().into_owned()]);
            let name = |path: &String| std::path::Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
            assert_eq!(paths.iter().map(name).collect::<Vec<_>>().join(" "), expected, "{pattern}");
        }
    }
}
