//! What a resource contributes: namespace, attributes for placeholders and conversion, the `receiver` mark. Made once
//! per distinct resource and shared by all plans that came from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hashbrown::HashTable;
use proto::{AttrSetId, SymbolId, Tables, ValueId};

use super::config::ResourceConversion;

/// The content of an attribute set in a form that can be kept and compared: pairs in the order they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttributeKey(Box<[u8]>);

impl AttributeKey {
    pub(crate) fn of(tables: &Tables, set: AttrSetId) -> AttributeKey {
        let mut bytes = Vec::new();
        for &(key, value) in tables.attrs.pairs(set) {
            bytes.push(tables.attrs.kind(value) as u8);
            for text in [tables.str(key), tables.value_str(value)] {
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        // A copy, because an allocator seldom takes back the rest of a vector.
        AttributeKey(Box::from(&*bytes))
    }

    /// Length of the content.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Whether a set has this content, in any order.
    pub(crate) fn is(&self, tables: &Tables, set: AttrSetId) -> bool {
        let mut kept = Pairs(&self.0);
        let given = |&(key, value): &(SymbolId, ValueId)| {
            (tables.attrs.kind(value) as u8, tables.str(key).as_bytes(), tables.value_str(value).as_bytes())
        };
        let same_order = tables.attrs.pairs(set).iter().all(|pair| kept.next() == Some(given(pair)));
        if same_order {
            return kept.0.is_empty();
        }
        // Rare: a sender that gives the same attributes in changing order.
        let mut kept: Vec<_> = Pairs(&self.0).collect();
        let mut given: Vec<_> = tables.attrs.pairs(set).iter().map(given).collect();
        kept.sort_unstable();
        given.sort_unstable();
        kept == given
    }
}

/// Reads an [`AttributeKey`]: kind, key, value text; the texts as bytes, since they are only compared.
struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    fn text(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.0 = rest;
        Some(text)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (u8, &'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*kind, self.text()?, self.text()?))
    }
}

/// A resource as the translation sees it.
#[derive(Debug)]
pub(crate) struct ResourceContext {
    /// Never given twice while the process runs.
    pub(crate) id: u64,
    pub(crate) namespace: String,
    /// Attribute names and texts.
    pub(crate) attributes: Vec<(String, String)>,
    /// Whether its metrics were scraped: the attribute `receiver` is the string `prometheus`.
    pub(crate) prometheus: bool,
    /// Which attributes become labels.
    conversion: ResourceConversion,
    content_hash: u64,
    key: AttributeKey,
    /// Series plans that refer to it.
    users: AtomicU32,
}

impl ResourceContext {
    /// Notes that another series plan refers to it; gives the memory it takes for the first one.
    pub(crate) fn bytes_of_new_user(&self) -> usize {
        if self.users.fetch_add(1, Relaxed) == 0 { self.bytes() } else { 0 }
    }

    /// Notes that a series plan refers to it no longer; gives the memory it takes for the last one.
    pub(crate) fn bytes_of_lost_user(&self) -> usize {
        if self.users.fetch_sub(1, Relaxed) == 1 { self.bytes() } else { 0 }
    }

    fn bytes(&self) -> usize {
        let texts = self.attributes.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        size_of::<ResourceContext>() + self.namespace.len() + size_of_val(&*self.attributes) + texts + self.key.bytes()
    }

    /// The text of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The attributes that every data point has as labels, in place of its own of the same names.
    pub(crate) fn converted(&self) -> impl Iterator<Item = &(String, String)> {
        const SERVICE: [&str; 3] = ["service.name", "service.instance.id", "service.namespace"];
        let ResourceConversion { enabled, exclude_service_attributes } = self.conversion;
        let is_left_out = move |key: &str| exclude_service_attributes && SERVICE.contains(&key);
        self.attributes.iter().filter(move |(key, _)| enabled && !is_left_out(key))
    }

    /// Whether a label of this name comes from the resource.
    pub(crate) fn converts(&self, name: &str) -> bool {
        self.converted().any(|(key, _)| key == name)
    }
}

/// The resources of all plans.
#[derive(Default)]
pub(crate) struct Resources {
    table: HashTable<Arc<ResourceContext>>,
    next_id: u64,
    purge_at: usize,
}

impl Resources {
    /// The context of a resource; `namespace` and `conversion` are the configured ones, always the same.
    pub(crate) fn get(
        &mut self,
        tables: &Tables,
        set: AttrSetId,
        namespace: &str,
        conversion: ResourceConversion,
    ) -> Arc<ResourceContext> {
        let hash = tables.attrs.content_hash(set);
        let is = |known: &Arc<ResourceContext>| known.content_hash == hash && known.key.is(tables, set);
        if let Some(known) = self.table.find(hash, is) {
            return known.clone();
        }
        if self.table.len() >= self.purge_at {
            self.purge();
        }
        let text = |(key, value): &_| (tables.str(*key).to_owned(), tables.value_str(*value).to_owned());
        let context = Arc::new(ResourceContext {
            id: self.next_id,
            namespace: namespace_of(tables, set, namespace),
            attributes: tables.attrs.pairs(set).iter().map(text).collect(),
            prometheus: tables.string_attr(set, "receiver") == Some("prometheus"),
            conversion,
            content_hash: hash,
            key: AttributeKey::of(tables, set),
            users: AtomicU32::new(0),
        });
        self.next_id += 1;
        self.table.insert_unique(hash, context.clone(), |context| context.content_hash);
        context
    }

    /// Forgets the resources that nothing refers to.
    pub(crate) fn purge(&mut self) {
        self.table.retain(|context| Arc::strong_count(context) > 1);
        self.purge_at = (self.table.len() * 2).max(64);
    }
}

/// The configured namespace, or one from the service attributes that are strings, or `default`.
fn namespace_of(tables: &Tables, set: AttrSetId, configured: &str) -> String {
    let namespace = match (tables.string_attr(set, "service.namespace"), tables.string_attr(set, "service.name")) {
        _ if !configured.is_empty() => configured.to_owned(),
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (None, Some(only)) | (Some(only), None) => only.to_owned(),
        (None, None) => String::new(),
    };
    if namespace.is_empty() { "default".to_owned() } else { namespace }
}

#[cfg(test)]
mod tests {
    use proto::ValueKind;

    use super::*;

    #[test]
    fn the_namespace_comes_from_configuration_or_service() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
        let cases: &[Case<'_>] = &[
            (&[("service.name", "n")], "ns", "ns"),
            (&[("service.namespace", "myNS"), ("service.name", "mySvc")], "", "myNS/mySvc"),
            (&[("service.name", "mySvc")], "", "mySvc"),
            (&[("service.namespace", "myNS")], "", "myNS"),
            (&[], "", "default"),
            (&[("service.namespace", "x"), ("service.name", "")], "", "x/"),
            (&[("service.namespace", ""), ("service.name", "")], "", "/"),
            (&[("service.name", "")], "", "default"),
        ];
        for (pairs, configured, expected) in cases {
            let mut tables = Tables::default();
            let set = tables.string_set(pairs);
            assert_eq!(namespace_of(&tables, set, configured), *expected);
        }
        let mut tables = Tables::default();
        let (key, text) = (tables.symbols.intern("service.name"), tables.symbols.intern("5"));
        let five = tables.attrs.scalar(ValueKind::Int, 5, text);
        let set = tables.set(&[(key, five)]);
        assert_eq!(namespace_of(&tables, set, ""), "default");
    }

    #[test]
    fn a_resource_is_known_again_in_another_batch_and_in_another_order() {
        let mut resources = Resources::default();
        let (mut a, mut b) = (Tables::default(), Tables::default());
        b.symbols.intern("something else first");
        let one = a.string_set(&[("x", "1"), ("receiver", "prometheus")]);
        let same = b.string_set(&[("x", "1"), ("receiver", "prometheus")]);
        let turned = b.string_set(&[("receiver", "prometheus"), ("x", "1")]);
        let other = b.string_set(&[("receiver", "prometheus"), ("x", "2")]);
        let context = resources.get(&a, one, "", ResourceConversion::default());
        assert!(context.prometheus);
        assert_eq!(resources.get(&b, same, "", ResourceConversion::default()).id, context.id);
        assert_eq!(resources.get(&b, turned, "", ResourceConversion::default()).id, context.id);
        assert_ne!(resources.get(&b, other, "", ResourceConversion::default()).id, context.id);
    }

    #[test]
    fn resources_that_nothing_refers_to_are_forgotten() {
        let mut resources = Resources::default();
        let mut tables = Tables::default();
        for i in 0..10_000 {
            let set = tables.string_set(&[("task", &i.to_string())]);
            resources.get(&tables, set, "", ResourceConversion::default());
        }
        assert!(resources.table.len() <= 64);
    }
}
