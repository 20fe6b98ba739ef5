//! Counts allocations and time in this process, and instructions of another one under valgrind.

use std::alloc::System;
use std::process::Command;
use std::time::Instant;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use super::paths::Path;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rounds until everything is in its caches.
const WARM_UP: usize = 4;
const ROUNDS: usize = 8;
/// The same for counting instructions, which takes fifty times as long.
const COUNTED_WARM_UP: u32 = 2;
const COUNTED_ROUNDS: u32 = 2;
/// The flag of the counted process; the name of a path follows.
pub(crate) const CHILD: &str = "--child";

/// What was measured in this process.
pub(crate) struct Inside {
    /// Of a round.
    pub(crate) points: usize,
    /// A point, in the round that had the fewest.
    pub(crate) allocations: f64,
    /// A point, in the fastest round.
    pub(crate) nanoseconds: f64,
}

/// Counts allocations and time.
pub(crate) fn inside(name: &str) -> Inside {
    let mut path = Path::new(name);
    for _ in 0..WARM_UP {
        path.round();
    }
    let (mut allocations, mut nanoseconds) = (usize::MAX, f64::INFINITY);
    for _ in 0..ROUNDS {
        let (region, start) = (Region::new(ALLOCATOR), Instant::now());
        path.round();
        nanoseconds = nanoseconds.min(start.elapsed().as_secs_f64() * 1e9);
        let change = region.change();
        allocations = allocations.min(change.allocations + change.reallocations);
    }
    let points = path.points();
    Inside { points, allocations: allocations as f64 / points as f64, nanoseconds: nanoseconds / points as f64 }
}

/// What the counted process does: a few rounds that are not counted, and a few that are.
pub(crate) fn child(name: &str) {
    let mut path = Path::new(name);
    for _ in 0..COUNTED_WARM_UP {
        path.round();
    }
    for _ in 0..COUNTED_ROUNDS {
        counted_round(&mut path);
    }
}

/// Valgrind counts while this function runs, which it finds by its name.
#[inline(never)]
fn counted_round(path: &mut Path) {
    path.round();
}

/// Instructions of a round once warm, of each path; two processes at a time.
///
/// # Errors
/// There is no valgrind, or it did not work.
pub(crate) fn instructions(names: &[&str]) -> Vec<Result<f64, String>> {
    let (first, second) = names.split_at(names.len().div_ceil(2));
    let count = |names: &[&str]| names.iter().map(|name| collected(name)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| count(second));
        let mut counted = count(first);
        counted.extend(other.join().expect("counting does not panic"));
        counted
    })
}

/// Whether it is a failure that instructions cannot be counted.
pub(crate) fn must_count_instructions() -> bool {
    std::env::var_os("REQUIRE_VALGRIND").is_some()
}

fn collected(name: &str) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_round*"])
        .arg(program)
        .args([CHILD, name])
        .output()
        .map_err(|error| format!("{name}: instructions cannot be counted without valgrind: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let count = log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
    match count {
        Some(count) if count > 0 && output.status.success() => Ok(count as f64 / f64::from(COUNTED_ROUNDS)),
        _ => Err(format!("{name}: valgrind failed:\n{log}")),
    }
}
