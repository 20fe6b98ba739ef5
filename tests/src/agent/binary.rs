//! Where the binary under test is. It is taken as it is when it is newer than its sources, and built otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Names a binary to test instead of the workspace's own.
const BINARY: &str = "OTELCOL_ECS_BINARY";
/// The crates that the binary is made of.
const CRATES: [&str; 7] = ["proto", "config", "receiver", "processor", "exporter", "extension", "collector"];

/// The path of the binary: `OTELCOL_ECS_BINARY`, or `otelcol-ecs` in the build folder and profile of this very
/// program, built once per process when it is missing or older than its sources.
///
/// # Panics
/// When it cannot be built.
pub fn binary() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| match std::env::var_os(BINARY) {
        Some(path) => PathBuf::from(path),
        None => built(),
    })
}

fn built() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the workspace");
    let folder = profile_folder();
    let binary = folder.join("otelcol-ecs");
    if is_current(&binary, workspace) {
        return binary;
    }
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let target = folder.parent().expect("a profile's folder is inside the target folder");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(workspace)
        // A test target among them: the features of all are then those that `cargo test` compiles, and no dependency is
        // compiled a second time.
        .args(["build", "--quiet", "--locked", "--workspace", "--bins", "--test", "tidy", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .status();
    match status {
        Ok(status) if status.success() => binary,
        Ok(status) => panic!("cargo cannot build the binary: {status}"),
        Err(error) => panic!("cannot run cargo to build the binary: {error}"),
    }
}

/// `target/debug` or `target/release`: the folder of this program, without `deps`.
fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its path");
    let folder = program.parent().expect("a program is in a folder");
    if folder.ends_with("deps") { folder.parent().expect("deps is in a folder").to_owned() } else { folder.to_owned() }
}

/// Whether the binary is newer than everything it is made from.
fn is_current(binary: &Path, workspace: &Path) -> bool {
    let Some(built) = modified(binary) else { return false };
    let mut newest = modified(&workspace.join("Cargo.lock")).max(modified(&workspace.join("Cargo.toml")));
    for name in CRATES {
        newest = newest.max(modified(&workspace.join(name).join("Cargo.toml")));
        newest = newest.max(newest_below(&workspace.join(name).join("src")));
    }
    newest.is_none_or(|newest| newest <= built)
}

fn newest_below(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries
        .map(|entry| if entry.path().is_dir() { newest_below(&entry.path()) } else { modified(&entry.path()) })
        .max()?
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}
