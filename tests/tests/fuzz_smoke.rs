//! The fuzz targets on their seeds and on mutations of them: the same ones in each run, without a nightly compiler. Finds
//! what breaks at once; long searches are what `tests/fuzz` is for.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[allow(dead_code, unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// Longest input that mutations make.
const MAX_BYTES: usize = 6000;

#[test]
fn pages_are_read_or_refused() {
    check("text_parser", 100_000, bodies::text_parser::run, TEXT);
}

#[test]
fn configurations_are_loaded_or_refused() {
    check("yaml_loader", 2000, bodies::yaml_loader::run, YAML);
}

#[test]
fn patterns_compile_or_are_refused() {
    check("go_regex", 3000, bodies::go_regex::run, REGEX);
}

#[test]
fn otlp_bodies_read_back_or_are_refused() {
    check("wire_reader", 30_000, bodies::wire_reader::run, OTLP);
}

#[test]
fn otlp_requests_over_http_have_the_right_answers() {
    check("otlp_http", 15_000, bodies::otlp_http::run, OTLP);
}

#[test]
fn otlp_calls_over_grpc_have_the_right_statuses() {
    check("otlp_grpc", 4000, bodies::otlp_grpc::run, OTLP);
}

#[test]
fn mutations_are_the_same_in_each_run_and_differ_from_their_seeds() {
    let seeds = vec![b"some text".to_vec(), b"another".to_vec()];
    let made = |seed| {
        let mut mutator = Mutator { state: seed, seeds: &seeds, words: TEXT };
        (0..200).map(|_| mutator.next()).collect::<Vec<_>>()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    assert!(made(1).iter().filter(|input| !seeds.contains(input)).count() > 150);
}

const TEXT: &[&str] = &[
    "# TYPE a histogram\n",
    "# HELP ",
    "# UNIT ",
    "# EOF\n",
    "_bucket",
    "_created",
    "_total",
    "{le=\"",
    "+Inf",
    "NaN",
    " # {",
    "\\n",
    "\"",
    "}",
    "{",
    " 1e308",
    " -0x1p-3",
    " 1700000000000\n",
    "\u{e9}",
    "\r\n",
    ",",
    "\t",
];
const YAML: &[&str] = &[
    "${env:A}",
    "${B}",
    "${C}",
    "${env:X:-d}",
    "$$",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "- ",
    "? ",
    "|\n",
    ">-\n",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    ": ",
    "\n  ",
    "# ",
    "0x1F",
    "1_000",
    ".inf",
    "~",
    "10s",
    "5MiB",
    "receivers:\n",
    "service:\n",
    "pipelines:\n",
    "\u{feff}",
    "\t",
];
const REGEX: &[&str] = &[
    "(?i)",
    "(?P<n>",
    "(?:",
    ")",
    "[^",
    "]",
    "[[:alpha:]]",
    "\\pL",
    "\\PN",
    "\\Q",
    "\\E",
    "\\x{10FFFF}",
    "{1,1000}",
    "{2}",
    "*?",
    "+",
    "|",
    "^",
    "$",
    "\\b",
    "\\z",
    ".",
    "\\d",
    "\u{212a}",
    "\n",
];
const OTLP: &[&str] = &[
    "\u{a}",
    "\u{12}",
    "\u{1a}",
    "\u{22}",
    "\u{2}\u{8}",
    "\u{0}",
    "\u{7f}",
    "{",
    "}",
    "[",
    "]",
    "\"asInt\":",
    "\"gauge\":",
    "\"dataPoints\":",
    "\"NaN\"",
    "null",
    "1e400",
    "-1",
    "\"18446744073709551616\"",
    "\\ud800",
    "\r\n\r\n",
    "content-length: 5\r\n",
    "HTTP/1.1\r\n",
];

/// Runs the target on all its seeds and on that many mutations of them.
fn check(target: &str, mutations: usize, run: fn(&[u8]), words: &[&str]) {
    let seeds = seeds(target);
    for seed in &seeds {
        guarded(target, run, seed);
    }
    let mut mutator = Mutator { state: 0x9e37_79b9_7f4a_7c15, seeds: &seeds, words };
    for _ in 0..mutations {
        guarded(target, run, &mutator.next());
    }
}

/// Runs one input; one that fails is kept in a file.
#[expect(clippy::print_stderr, reason = "where the input is, for the person whose test failed")]
fn guarded(target: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}.failed"));
        std::fs::write(&path, input).unwrap();
        eprintln!("the input is in {}: {:?}", path.display(), String::from_utf8_lossy(input));
        resume_unwind(panic);
    }
}

/// In the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 3, "{} has hardly any seeds", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Makes inputs out of seeds.
struct Mutator<'a> {
    state: u64,
    seeds: &'a [Vec<u8>],
    words: &'a [&'a str],
}

impl Mutator<'_> {
    fn next(&mut self) -> Vec<u8> {
        let seeds = self.seeds;
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(64) + 1);
        match self.below(9) {
            0 | 1 if at < input.len() => input[at] ^= 1 << self.below(8),
            2 if at < input.len() => input[at] = self.below(256) as u8,
            // The first bytes often say how the rest is to be taken.
            3 if !input.is_empty() => {
                let first = self.below(input.len().min(2));
                input[first] = self.below(256) as u8;
            }
            4 => input.truncate(at),
            5 => drop(input.drain(at..end)),
            6 => {
                let repeated = input[at..end].to_vec();
                input.splice(at..at, repeated);
            }
            7 => {
                let other = &self.seeds[self.below(self.seeds.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend(&other[from..]);
            }
            _ => {
                let word = self.words[self.below(self.words.len())];
                input.splice(at..at, word.bytes());
            }
        }
    }

    /// A number from 0 to one less than `limit`, by xorshift.
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 16) as usize % limit
    }
}
