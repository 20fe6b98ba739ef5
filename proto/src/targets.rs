//! In-memory hand-over of discovered scrape targets, from a discovery extension to the scrape jobs that name its
//! result file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// Targets that share labels: an entry of a Prometheus `file_sd` document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// `host:port` of each target.
    pub targets: Vec<String>,
    /// Labels, `__meta_*` and `__metrics_path__` included, sorted by name.
    pub labels: Vec<(String, String)>,
}

/// What a subscriber sees: `None` until the first publication.
pub type Published = Option<Arc<Vec<TargetGroup>>>;

/// Meeting point of the publishers and subscribers of one service, keyed by the path of the result file. Cheap to clone.
#[derive(Clone, Default)]
pub struct TargetHub(Arc<Mutex<HashMap<String, watch::Sender<Published>>>>);

impl TargetHub {
    /// Announces that `path` will be published to, before anything is; a subscriber then prefers memory to the file.
    pub fn announce(&self, path: &str) {
        self.sender(path);
    }

    /// Replaces the targets of `path`.
    pub fn publish(&self, path: &str, groups: Arc<Vec<TargetGroup>>) {
        self.sender(path).send_replace(Some(groups));
    }

    /// Follows the targets of `path`, if someone announced it.
    pub fn subscribe(&self, path: &str) -> Option<watch::Receiver<Published>> {
        let map = self.0.lock().expect("no panic while the hub is locked");
        map.get(path).map(watch::Sender::subscribe)
    }

    fn sender(&self, path: &str) -> watch::Sender<Published> {
        let mut map = self.0.lock().expect("no panic while the hub is locked");
        map.entry(path.to_owned()).or_insert_with(|| watch::channel(None).0).clone()
    }
}
