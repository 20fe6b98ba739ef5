//! New names of metrics.

use super::config::{Matcher, Transform};

/// The new name of a metric that the transform includes; `None` when it keeps its name. With a regular expression
/// `$1` and `${name}` stand for its groups; an expansion that comes out empty gives the literal text (Go).
pub(super) fn renamed(transform: &Transform, name: &str) -> Option<String> {
    if transform.new_name.is_empty() {
        return None;
    }
    let Matcher::Regexp(regex) = &transform.include else { return Some(transform.new_name.clone()) };
    let mut captures = regex.captures();
    if !regex.captures_into(name, &mut captures) {
        return Some(transform.new_name.clone());
    }
    let mut expanded = String::new();
    regex.template(&transform.new_name).expand(&captures, name, &mut expanded);
    Some(if expanded.is_empty() { transform.new_name.clone() } else { expanded })
}
