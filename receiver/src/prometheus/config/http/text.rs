//! Texts that may stand in files instead. Looks whether a file is there, reads none.

use std::path::Path;

use config::{Diagnostic, Node, Secret, Spanned};

/// A text, or the file that holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Text {
    /// Written in the configuration.
    Inline(Secret),
    /// Path of the file.
    File(String),
}

pub(super) fn text(inline: Option<Secret>, file: Option<Spanned<String>>) -> Option<Text> {
    match (inline.filter(|s| !s.is_empty()), file.filter(|s| !s.is_empty())) {
        (_, Some(file)) => Some(Text::File(file.value)),
        (Some(inline), None) => Some(Text::Inline(inline)),
        (None, None) => None,
    }
}

pub(super) fn check_file(path: &Spanned<String>, what: &str, found: &mut Vec<Diagnostic>) {
    if let Err(error) = std::fs::metadata(Path::new(&path.value)) {
        found.push(path.error(format!("error checking {what} file {:?}: {error}", path.value)));
    }
}

pub(super) fn refuse_ref(node: Option<&Node>, found: &mut Vec<Diagnostic>) {
    if let Some(node) = node {
        found.push(
            Diagnostic::error("there is no secret manager to take this from")
                .on(node)
                .help("use the key that ends in _file"),
        );
    }
}
