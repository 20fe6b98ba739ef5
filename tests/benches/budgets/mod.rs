//! Measures the hot paths and compares them with the figures on file. The paths themselves are in `paths`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod emf;
mod figures;
mod measure;
mod page;
mod paths;
mod payload;
mod push;
mod scrape;
mod wire;

use std::process::ExitCode;

use figures::Figures;
use measure::Inside;
use paths::NAMES;

/// Does what the command line says: words choose paths by a part of their name; [`measure::CHILD`] is the process that
/// is counted.
pub(crate) fn run(profile: &str) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == measure::CHILD
    {
        measure::child(name);
        return ExitCode::SUCCESS;
    }
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let is_chosen = |name: &&str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let names: Vec<&str> = NAMES.into_iter().filter(is_chosen).collect();
    let inside: Vec<Inside> = names.iter().map(|name| measure::inside(name)).collect();
    let counted = measure::instructions(&names);
    let mut figures = Figures::read();
    let mut problems = Vec::new();
    println!("{:<24}{:>8}{:>14}{:>14}{:>12}", "per point", "points", "allocations", "instructions", "ns");
    for ((name, Inside { points, allocations, nanoseconds }), counted) in names.into_iter().zip(inside).zip(counted) {
        let counted = counted.map(|count| count / points as f64);
        let shown = counted.as_ref().map_or("-".to_owned(), |count| format!("{count:.0}"));
        println!("{name:<24}{points:>8}{allocations:>14.4}{shown:>14}{nanoseconds:>12.0}");
        problems.extend(figures.allocations(name, allocations));
        match counted {
            Ok(count) => problems.extend(figures.instructions(profile, name, count)),
            Err(reason) if measure::must_count_instructions() => problems.push(reason),
            Err(_) => {}
        }
    }
    if std::env::var_os("UPDATE_BUDGETS").is_some() {
        figures.write();
        return ExitCode::SUCCESS;
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    ExitCode::from(u8::from(!problems.is_empty()))
}
