//! Diagnostics as text for a terminal, with the offending line shown. The only module that knows the renderer.
//! Secrets that stand on a shown line are masked.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Severity};
use crate::position::Span;
use crate::shown_line::ShownLine;

/// Characters of a line that are shown.
const SHOWN_LINE_CHARS: usize = 240;

/// Problems that are shown.
const SHOWN_PROBLEMS: usize = 200;

/// Diagnostics as they are shown to a person: in the order of the text, each with its line, then how many
/// there are. `color` is for terminals.
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|d| d.span.as_ref().map(|span| (span.source.name().clone(), span.start)));
    let hidden = sorted.len().saturating_sub(SHOWN_PROBLEMS);
    for diagnostic in sorted.into_iter().take(SHOWN_PROBLEMS) {
        out.push_str(&render_one(diagnostic, &renderer));
        out.push_str("\n\n");
    }
    if hidden > 0 {
        out.push_str(&format!("{hidden} more are not shown\n"));
    }
    out.push_str(&summary(diagnostics));
    out
}

/// `2 errors and 1 warning in the configuration`; nothing when there are none.
fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let counted = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let parts: Vec<String> =
        [counted(errors, "error"), counted(diagnostics.len() - errors, "warning")].into_iter().flatten().collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("{} in the configuration\n", parts.join(" and ")),
    }
}

fn render_one(diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = match diagnostic.path.as_ref() {
        "" => diagnostic.message.clone(),
        path => format!("{path}: {}", diagnostic.message),
    };
    let mut group = Group::with_title(level.primary_title(title));
    let shown: Vec<Shown> = std::iter::once(
        diagnostic.span.as_ref().map(|span| Shown::of(span, &diagnostic.path, "", AnnotationKind::Primary)),
    )
    .flatten()
    .chain(diagnostic.secondary.iter().map(|(span, label)| Shown::of(span, "", label, AnnotationKind::Context)))
    .collect();
    for line in &shown {
        group = group.element(line.snippet());
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(&**help));
    }
    renderer.render(&[group])
}

/// One line of a source with a marked range.
struct Shown {
    source: String,
    line: usize,
    text: String,
    range: std::ops::Range<usize>,
    label: String,
    kind: AnnotationKind,
}

impl Shown {
    fn of(span: &Span, path: &str, label: &str, kind: AnnotationKind) -> Shown {
        let line = ShownLine::of(span, path);
        let mut text = String::new();
        let (mut start, mut end) = (None, None);
        for (at, c) in line.text.char_indices().take(SHOWN_LINE_CHARS) {
            start = start.or((at >= line.range.start).then_some(text.len()));
            end = end.or((at >= line.range.end).then_some(text.len()));
            text.push(if c.is_control() { ' ' } else { c });
        }
        let start = start.unwrap_or(text.len());
        let range = start..end.unwrap_or(text.len()).max(start);
        Shown {
            source: span.source_name().to_owned(),
            line: span.start.line as usize,
            text,
            range,
            label: label.to_owned(),
            kind,
        }
    }

    fn snippet(&self) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let annotation = self.kind.span(self.range.clone());
        let annotation = if self.label.is_empty() { annotation } else { annotation.label(self.label.as_str()) };
        Snippet::source(self.text.as_str()).line_start(self.line).path(self.source.as_str()).annotation(annotation)
    }
}
