//! Edits of one attribute set.

use std::collections::HashMap;

use proto::Tables;

use crate::actions::Pairs;

/// Adds a label unless it is there.
pub(super) fn add_label(tables: &mut Tables, pairs: &mut Pairs, label: &str, value: &str) {
    let key = tables.symbols.intern(label);
    if !pairs.iter().any(|(k, _)| *k == key) {
        let value = tables.string_value(value);
        pairs.push((key, value));
    }
}

/// Renames a label and maps its value; an attribute that has the new name already is replaced.
pub(super) fn update_label(
    tables: &mut Tables,
    pairs: &mut Pairs,
    label: &str,
    new_label: &str,
    values: &HashMap<String, String>,
) {
    let Some(key) = tables.symbols.lookup(label) else { return };
    let Some(at) = pairs.iter().position(|(k, _)| *k == key) else { return };
    if let Some(new) = values.get(tables.value_str(pairs[at].1)) {
        pairs[at].1 = tables.string_value(new);
    }
    if new_label != label {
        let new = tables.symbols.intern(new_label);
        pairs[at].0 = new;
        let mut index = 0;
        pairs.retain(|(k, _)| {
            index += 1;
            *k != new || index - 1 == at
        });
    }
}
