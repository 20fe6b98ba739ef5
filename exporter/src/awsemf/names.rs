//! Field names (metric names and label keys) for the life of the exporter: one number per name, its JSON text, and
//! its rank in byte order, so that documents are sorted by comparing numbers.

use proto::{SymbolId, Symbols};

use super::form::Form;
use super::json;

/// Number of a field name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameId(u32);

impl NameId {
    /// The empty name.
    pub(crate) const EMPTY: NameId = NameId(0);

    /// The number itself, for hashing.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// Names kept. Beyond it the exporter forgets all it has cached, which only a sender that makes up names can cause.
const MAX_NAMES: usize = 200_000;
/// Bytes of their JSON texts.
const MAX_NAME_BYTES: usize = 32 << 20;

/// All field names seen.
pub(crate) struct Names {
    symbols: Symbols,
    /// `"name":` by number, in the form of the documents.
    fields: Vec<Box<[u8]>>,
    field_bytes: usize,
    pub(crate) form: Form,
    /// Position in byte order by number; valid after [`Names::settle`].
    ranks: Vec<u32>,
    /// Numbers in byte order, up to the last settling.
    sorted: Vec<u32>,
    /// Names that the exporter writes itself.
    pub(crate) own: OwnNames,
}

/// Fields that are not labels or metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnNames {
    pub(crate) aws: NameId,
    pub(crate) cloudwatch_metrics: NameId,
    pub(crate) timestamp: NameId,
    pub(crate) version: NameId,
    pub(crate) prom_metric_type: NameId,
}

impl Names {
    /// No names yet; what is cached for documents takes this form.
    pub(crate) fn new(form: Form) -> Names {
        let none = NameId::EMPTY;
        let own =
            OwnNames { aws: none, cloudwatch_metrics: none, timestamp: none, version: none, prom_metric_type: none };
        let mut names = Names {
            symbols: Symbols::default(),
            fields: Vec::new(),
            field_bytes: 0,
            form,
            ranks: Vec::new(),
            sorted: Vec::new(),
            own,
        };
        names.intern("");
        names.own = OwnNames {
            aws: names.intern("_aws"),
            cloudwatch_metrics: names.intern("CloudWatchMetrics"),
            timestamp: names.intern("Timestamp"),
            version: names.intern("Version"),
            prom_metric_type: names.intern("prom_metric_type"),
        };
        names
    }

    /// The number of a name, new or not.
    pub(crate) fn intern(&mut self, name: &str) -> NameId {
        let id = self.symbols.intern(name);
        // The arena starts with the empty string, so a symbol is new exactly when there is no field for it yet.
        if id.0 as usize >= self.fields.len() {
            let mut field = Vec::with_capacity(name.len() + 3);
            json::push_string(&mut field, name);
            field.push(b':');
            let field = self.form.seal(field);
            self.field_bytes += field.len();
            self.fields.push(field);
        }
        NameId(id.0)
    }

    pub(crate) fn text(&self, id: NameId) -> &str {
        self.symbols.get(SymbolId(id.0))
    }

    /// `"name":`, in the form of the documents.
    pub(crate) fn field(&self, id: NameId) -> &[u8] {
        &self.fields[id.0 as usize]
    }

    /// Ranks the names that are new since the last call. Needed before [`Names::rank`].
    pub(crate) fn settle(&mut self) {
        let known = self.sorted.len();
        if known == self.fields.len() {
            return;
        }
        let text = |id: u32| self.symbols.get(SymbolId(id)).as_bytes();
        let mut new: Vec<u32> = (known as u32..self.fields.len() as u32).collect();
        new.sort_unstable_by(|a, b| text(*a).cmp(text(*b)));
        let mut old = std::mem::take(&mut self.sorted).into_iter().peekable();
        let mut new = new.into_iter().peekable();
        let mut merged = Vec::with_capacity(self.fields.len());
        while let (Some(a), Some(b)) = (old.peek(), new.peek()) {
            merged.extend(if text(*a) < text(*b) { old.next() } else { new.next() });
        }
        merged.extend(old);
        merged.extend(new);
        self.ranks.resize(merged.len(), 0);
        for (rank, id) in merged.iter().enumerate() {
            self.ranks[*id as usize] = rank as u32;
        }
        self.sorted = merged;
    }

    /// Position in byte order among all names.
    pub(crate) fn rank(&self, id: NameId) -> u32 {
        self.ranks[id.0 as usize]
    }

    /// Whether there are more names than are kept, or longer ones.
    pub(crate) fn is_full(&self) -> bool {
        self.fields.len() > MAX_NAMES || self.field_bytes > MAX_NAME_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ranked_by_their_bytes_however_they_come() {
        let mut names = Names::new(Form::Plain);
        let rounds: [&[&str]; 3] = [&["b", "a", "é", "OTelLib"], &["aa", "A", "Version"], &["", "~", "b\u{1}"]];
        let mut all = Vec::new();
        for round in rounds {
            all.extend(round.iter().map(|name| (names.intern(name), *name)));
            names.settle();
            for (a, x) in &all {
                for (b, y) in &all {
                    assert_eq!(names.rank(*a).cmp(&names.rank(*b)), x.as_bytes().cmp(y.as_bytes()), "{x} {y}");
                }
            }
        }
        let special = names.intern("a\"b");
        assert_eq!(names.field(special), b"\"a\\\"b\":");
    }
}
