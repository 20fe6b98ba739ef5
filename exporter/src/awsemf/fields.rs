//! Metric definitions: name, unit and selection of a metric field, with the JSON that describes it. Made once per
//! distinct (name, unit).

use hashbrown::HashTable;
use proto::attrs::mix;
use proto::symbols::hash_bytes;

use super::config::TranslationSettings;
use super::json::push_string;
use super::names::{NameId, Names};
use super::selection::{SelectionId, Selections};

/// Index of a metric field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldId(u32);

/// A metric as a field of events.
pub(crate) struct Field {
    pub(crate) name: NameId,
    pub(crate) selection: SelectionId,
    /// `{"Name":"x","Unit":"Count","StorageResolution":`, or in the agent's layout the whole
    /// `{"Unit":"Count","Name":"x"}`; in the form of the documents.
    pub(crate) definition: Box<[u8]>,
    unit: Box<str>,
}

/// All metric fields seen.
#[derive(Default)]
pub(crate) struct Fields {
    list: Vec<Field>,
    index: HashTable<u32>,
    definition_bytes: usize,
}

/// Fields kept; beyond it all is forgotten before the next batch.
const MAX_FIELDS: usize = 200_000;
/// Bytes of their definitions.
const MAX_FIELD_BYTES: usize = 32 << 20;

impl Fields {
    /// The field of a metric. `unit` is the final one.
    pub(crate) fn get(
        &mut self,
        name: NameId,
        unit: &str,
        settings: &TranslationSettings,
        names: &Names,
        selections: &mut Selections,
    ) -> FieldId {
        let hash = hash(name, unit);
        let is = |index: &u32| {
            let field = &self.list[*index as usize];
            field.name == name && *field.unit == *unit
        };
        if let Some(index) = self.index.find(hash, is) {
            return FieldId(*index);
        }
        let definition = names.form.seal(definition(names.text(name), unit, settings));
        self.definition_bytes += definition.len();
        let selection = selections.of_name(settings, names.text(name));
        let index = self.list.len() as u32;
        self.list.push(Field { name, selection, definition, unit: unit.into() });
        let list = &self.list;
        self.index.insert_unique(hash, index, |index| {
            let field = &list[*index as usize];
            self::hash(field.name, &field.unit)
        });
        FieldId(index)
    }

    pub(crate) fn at(&self, field: FieldId) -> &Field {
        &self.list[field.0 as usize]
    }

    pub(crate) fn is_full(&self) -> bool {
        self.list.len() > MAX_FIELDS || self.definition_bytes > MAX_FIELD_BYTES
    }
}

fn definition(name: &str, unit: &str, settings: &TranslationSettings) -> Vec<u8> {
    let mut out = vec![b'{'];
    let push_name = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"\"Name\":");
        push_string(out, name);
    };
    let push_unit = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"\"Unit\":");
        push_string(out, unit);
    };
    if settings.is_agent() {
        if !unit.is_empty() {
            push_unit(&mut out);
            out.push(b',');
        }
        push_name(&mut out);
        out.push(b'}');
    } else {
        push_name(&mut out);
        out.push(b',');
        push_unit(&mut out);
        out.extend_from_slice(b",\"StorageResolution\":");
    }
    out
}

fn hash(name: NameId, unit: &str) -> u64 {
    mix(u64::from(name.number()), hash_bytes(unit.as_bytes()))
}
