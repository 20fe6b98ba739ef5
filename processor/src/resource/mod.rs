//! `resource`: edits the attributes of resources with a list of actions.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use config::{Built, Diagnostic, Node, Spanned};
use proto::{Batch, BuildContext, Tables, Uses};
use serde::Deserialize;

use crate::actions::{ActionConfig, Actions, Origin};
use crate::tables_cache::TablesCache;
use crate::{AnyProcessor, Processor, ProcessorFactory, Verdict};

/// `resource` in the table of processors.
pub static FACTORY: ProcessorFactory = ProcessorFactory { kind: "resource", build };

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    attributes: Vec<Spanned<ActionConfig>>,
}

fn build(node: &Node, _: &BuildContext) -> Built<AnyProcessor> {
    let (config, mut found) = ::config::decode::<Config>(node);
    let Some(config) = config else { return (None, found) };
    if config.attributes.is_empty() {
        found.push(
            Diagnostic::error("missing required field \"attributes\"")
                .on(node)
                .help("list actions, for example {key: receiver, value: prometheus, action: insert}"),
        );
    }
    let actions = Actions::compile(&config.attributes, &mut found);
    let processor = Resource { actions, edited: TablesCache::default() };
    (Some(AnyProcessor::Inline(Box::new(processor))), found)
}

struct Resource {
    actions: Actions,
    /// Edited copies of tables that batches share.
    edited: TablesCache<Option<Arc<Tables>>>,
}

impl Processor for Resource {
    /// A request that was edited is no longer what came in.
    fn uses(&self, behind: Uses) -> Uses {
        Uses { request: false, ..behind }
    }

    fn process(&mut self, batch: &mut Batch) -> Verdict {
        let origin = Origin::of(&batch.meta);
        if batch.meta.shared_tables && origin.is_unknown() {
            let edited = self.edited.get(&batch.tables, || None);
            let edited = edited.get_or_insert_with(|| {
                let mut tables = Tables::clone(&batch.tables);
                edit(&self.actions, &mut tables, &origin);
                Arc::new(tables)
            });
            batch.tables = edited.clone();
            batch.meta.raw = None;
        } else {
            edit(&self.actions, batch.tables_mut(), &origin);
        }
        Verdict::Pass
    }
}

fn edit(actions: &Actions, tables: &mut Tables, origin: &Origin) {
    let mut pairs = Vec::new();
    for i in 0..tables.resources.len() {
        pairs.clear();
        pairs.extend_from_slice(tables.attrs.pairs(tables.resources[i].attrs));
        actions.apply(&mut pairs, tables, origin);
        tables.resources[i].attrs = tables.set(&pairs);
        tables.resources[i].present |= !pairs.is_empty();
    }
}
