//! A job: merges what its discoveries found, and keeps one scrape loop for each target.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::config::JobSettings;
use super::discovery::{self, DiscoveredTarget, DiscoveryContext, Update};
use super::scrape::{JobShared, ScrapeLoop};
use super::target::{self, Target};

/// Updates that may wait for the job; discoveries wait beyond that.
pub(crate) const WAITING_UPDATES: usize = 16;

/// A job that runs.
pub(crate) struct Job {
    settings: JobSettings,
    shared: Arc<JobShared>,
    /// What each discovery block found.
    blocks: Vec<Vec<DiscoveredTarget>>,
    /// Targets to be scraped, by key.
    wanted: BTreeMap<String, Target>,
    loops: HashMap<String, watch::Sender<bool>>,
    tasks: JoinSet<()>,
    keys: HashMap<Id, String>,
}

impl Job {
    /// A job without targets yet.
    pub(crate) fn new(settings: JobSettings, shared: Arc<JobShared>) -> Job {
        let blocks = vec![Vec::new(); settings.discoveries.len()];
        Job {
            settings,
            shared,
            blocks,
            wanted: BTreeMap::new(),
            loops: HashMap::new(),
            tasks: JoinSet::new(),
            keys: HashMap::new(),
        }
    }

    /// Runs until the receiver stops and all loops have handed over what they had.
    pub(crate) async fn run(mut self, context: DiscoveryContext, mut updates: mpsc::Receiver<Update>) {
        let mut discoveries = JoinSet::new();
        for (block, settings) in self.settings.discoveries.iter().enumerate() {
            discoveries.spawn(discovery::run(block, settings.clone(), context.clone()));
        }
        let stop = self.shared.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(update) = updates.recv() => {
                    self.blocks[update.block] = update.targets;
                    while let Ok(update) = updates.try_recv() {
                        self.blocks[update.block] = update.targets;
                    }
                    self.sync();
                }
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
        discoveries.shutdown().await;
        while self.tasks.join_next().await.is_some() {}
    }

    /// Starts loops for new targets and tells those of vanished ones.
    fn sync(&mut self) {
        self.wanted = self.targets();
        let count = self.wanted.len();
        self.shared.metrics.set_targets(count);
        let limit = self.settings.target_limit;
        let is_over = limit != 0 && count as u64 > limit;
        self.shared.over_limit.store(if is_over { count as u64 } else { 0 }, Ordering::Relaxed);
        for (key, wanted) in &self.loops {
            let is_wanted = self.wanted.contains_key(key);
            wanted.send_if_modified(|old| std::mem::replace(old, is_wanted) != is_wanted);
        }
        let new: Vec<Target> = self
            .wanted
            .iter()
            .filter(|(key, _)| !self.loops.contains_key(*key))
            .map(|(_, target)| target.clone())
            .collect();
        for target in new {
            self.start(target);
        }
    }

    fn targets(&self) -> BTreeMap<String, Target> {
        let mut targets = BTreeMap::new();
        for discovered in self.blocks.iter().flatten() {
            match target::build(discovered, &self.settings) {
                Ok(Some(target)) => {
                    targets.entry(target.key.clone()).or_insert(target);
                }
                Ok(None) => {}
                Err(error) => {
                    let address =
                        discovered.iter().find(|(name, _)| name == "__address__").map(|(_, value)| value.as_str());
                    tracing::error!(job = self.settings.name, address, %error, "a target cannot be scraped");
                }
            }
        }
        targets
    }

    fn start(&mut self, target: Target) {
        let (sender, receiver) = watch::channel(true);
        let key = target.key.clone();
        let task = self.tasks.spawn(ScrapeLoop::new(target, self.shared.clone(), receiver).run());
        self.keys.insert(task.id(), key.clone());
        self.loops.insert(key, sender);
    }

    /// A loop has ended: its target was gone, or something went wrong inside. A target that is wanted gets a new one.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(key) = self.keys.remove(&id) else { return };
        if let Err(error) = ended {
            tracing::error!(job = self.settings.name, target = key, %error, "a scrape loop has failed, it starts over");
        }
        self.loops.remove(&key);
        if let Some(target) = self.wanted.get(&key).cloned() {
            self.start(target);
        }
    }
}
