//! The `otelcol-ecs` binary: everything is in the library of this crate.

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    collector::cli::main()
}
