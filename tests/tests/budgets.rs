//! No hot path needs more allocations or instructions a point than `golden/budgets.json` says. Has no test harness:
//! other tests beside it would be counted, too.

#[path = "../benches/budgets/mod.rs"]
mod budgets;

fn main() -> std::process::ExitCode {
    budgets::run("debug")
}
