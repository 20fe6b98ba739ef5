//! Log group and stream names: templates filled in, defaults, and one number per distinct pair.

use std::sync::Arc;

use hashbrown::HashTable;
use proto::attrs::mix;
use proto::symbols::hash_bytes;

use super::config::TranslationSettings;
use super::event::Destination;
use super::labels::Labels;
use super::layout::stream_name;
use super::resource::ResourceContext;

/// Destinations in use.
pub(crate) struct Destinations {
    table: HashTable<Arc<Destination>>,
    default_stream: Arc<str>,
    next_id: u32,
    purge_at: usize,
}

impl Destinations {
    pub(crate) fn new(default_stream: Arc<str>) -> Destinations {
        Destinations { table: HashTable::new(), default_stream, next_id: 0, purge_at: 0 }
    }

    /// Where events with these labels go.
    pub(crate) fn get(
        &mut self,
        settings: &TranslationSettings,
        resource: &ResourceContext,
        labels: &Labels,
    ) -> Arc<Destination> {
        // The agent knows labels only; its job would be the resource's service name.
        let of_resource = |name: &str| if settings.is_agent() { None } else { resource.attribute(name) };
        let of_labels = |name: &str| labels.get(name).map(String::as_str);
        let group = match settings.group.is_empty() {
            true => format!("/metrics/{}", resource.namespace),
            false => settings.group.resolve(of_resource, of_labels),
        };
        let stream = settings.stream.resolve(of_resource, of_labels);
        let default_stream = self.default_stream.clone();
        let stream = if stream.is_empty() { &*default_stream } else { &stream };
        let stream = if settings.is_agent() { stream_name(stream) } else { stream.into() };
        let stream = &*stream;
        let hash = hash(&group, stream);
        let is = |known: &Arc<Destination>| *known.group == *group && *known.stream == *stream;
        if let Some(known) = self.table.find(hash, is) {
            return known.clone();
        }
        if self.table.len() >= self.purge_at {
            self.purge();
        }
        let destination = Arc::new(Destination { id: self.next_id, group: group.into(), stream: stream.into() });
        self.next_id = self.next_id.wrapping_add(1);
        self.table.insert_unique(hash, destination.clone(), |d| self::hash(&d.group, &d.stream));
        destination
    }

    /// Forgets the destinations that nothing refers to.
    pub(crate) fn purge(&mut self) {
        self.table.retain(|destination| Arc::strong_count(destination) > 1);
        self.purge_at = (self.table.len() * 2).max(64);
    }
}

fn hash(group: &str, stream: &str) -> u64 {
    mix(hash_bytes(group.as_bytes()), hash_bytes(stream.as_bytes()))
}
