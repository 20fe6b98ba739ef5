//! The component types of this binary, from the factory tables.

use std::process::ExitCode;

use config::KnownComponents;

/// Types by section, as the configuration check wants them.
pub(crate) fn components() -> KnownComponents {
    KnownComponents {
        receivers: receiver::FACTORIES.iter().map(|f| f.kind).collect(),
        processors: processor::FACTORIES.iter().map(|f| f.kind).collect(),
        exporters: exporter::FACTORIES.iter().map(|f| f.kind).collect(),
        extensions: extension::FACTORIES.iter().map(|f| f.kind).collect(),
    }
}

/// `otelcol-ecs components`: YAML with one list a section.
pub(crate) fn print_components() -> ExitCode {
    let known = components();
    let sections = [
        ("receivers", known.receivers),
        ("processors", known.processors),
        ("exporters", known.exporters),
        ("extensions", known.extensions),
    ];
    let mut text =
        format!("buildinfo:\n  command: {}\n  version: {}\n", crate::build_info::NAME, crate::build_info::VERSION);
    for (section, mut kinds) in sections {
        kinds.sort_unstable();
        text.push_str(&format!("{section}:\n"));
        for kind in kinds {
            text.push_str(&format!("  - name: {kind}\n"));
        }
    }
    crate::cli::write_stdout(&text);
    ExitCode::SUCCESS
}
