//! Instructions, allocations and time of the hot paths in the bench profile, compared with the release figures of
//! `golden/budgets.json`. Run with `cargo bench --workspace --bench hot_paths [NAME...]`.

mod budgets;

fn main() -> std::process::ExitCode {
    budgets::run("release")
}
