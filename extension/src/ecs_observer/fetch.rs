//! One round of questions: which calls a [`World`] takes, in which order, and what is remembered between rounds.
//! Only the list of tasks is indispensable; everything else that cannot be read leaves a gap in the world, which costs
//! the tasks concerned.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use super::cache::Cache;
use super::call::{ApiError, Kind};
use super::ec2::{Ec2Api, INSTANCES_BATCH};
use super::ecs_api::{CONCURRENCY, DESCRIBE_BATCH, EcsApi, service_name};
use super::gap::Gap;
use super::matcher::Rules;
use super::targets::wants;
use super::world::{Definition, Instance, Lookup, Services, Task, World};

/// Entries that each cache keeps beyond what the current round uses.
const CACHE_ENTRIES: usize = 2000;
/// How long an instance's addresses and tags are believed.
const INSTANCE_MAX_AGE: Duration = Duration::from_secs(600);
/// So many definitions in a row that cannot be read (all calls in flight) mean that the cause is not theirs.
const MAX_FAILURES_IN_A_ROW: usize = CONCURRENCY;

/// Asks, and remembers what need not be asked again.
pub(crate) struct Fetcher {
    ecs: EcsApi,
    ec2: Ec2Api,
    cluster_name: String,
    definitions: Cache<Definition>,
    /// Definitions that could not be read.
    unread: HashMap<String, Unread>,
    rounds: u64,
    instances: Cache<Instance>,
}

/// A definition that could not be read.
struct Unread {
    /// The round that asked for it last.
    asked: u64,
    /// Why it failed then.
    text: String,
}

/// What a round brought.
pub(crate) struct Fetched {
    pub(crate) world: World,
    /// What failed without ending the round.
    pub(crate) gaps: Vec<Gap>,
}

impl Fetcher {
    pub(crate) fn new(ecs: EcsApi, ec2: Ec2Api, cluster_name: &str) -> Fetcher {
        Fetcher {
            ecs,
            ec2,
            cluster_name: cluster_name.to_owned(),
            definitions: Cache::new(CACHE_ENTRIES, None),
            unread: HashMap::new(),
            rounds: 0,
            instances: Cache::new(CACHE_ENTRIES, Some(INSTANCE_MAX_AGE)),
        }
    }

    /// The cluster as it is now; an error if its tasks cannot be read.
    pub(crate) async fn round(&mut self, rules: &Rules) -> Result<Fetched, ApiError> {
        self.rounds += 1;
        self.definitions.begin_round();
        self.instances.begin_round();
        let mut world = World { cluster_name: self.cluster_name.clone(), ..World::default() };
        let mut gaps = Vec::new();
        let arns = self.ecs.list_tasks().await?;
        world.tasks = self.ecs.describe_tasks(&arns).await?;
        // ECS has not placed it yet.
        world.tasks.retain(|t| t.launch_type != "EC2" || t.container_instance_arn.is_some());
        self.definitions(&mut world, &mut gaps).await;
        self.services(rules, &mut world, &mut gaps).await;
        self.instances(rules, &mut world, &mut gaps).await;
        Ok(Fetched { world, gaps })
    }

    /// Definitions of all tasks. One that cannot be read costs itself; after several in a row the others are not asked
    /// for in this round. Who failed goes last in the next one, so that no definition stands in another's way for ever.
    async fn definitions(&mut self, world: &mut World, gaps: &mut Vec<Gap>) {
        let arns: BTreeSet<&str> =
            world.tasks.iter().map(|t| t.definition_arn.as_str()).filter(|a| !a.is_empty()).collect();
        self.unread.retain(|arn, _| arns.contains(arn.as_str()));
        let mut missing = Vec::new();
        for arn in arns {
            match self.definitions.fresh(arn) {
                Some(known) => {
                    world.definitions.insert(arn.to_owned(), Lookup::Found(known));
                }
                None => missing.push(arn.to_owned()),
            }
        }
        missing.sort_by_key(|arn| self.unread.get(arn).map_or(0, |unread| unread.asked));
        let ecs = &self.ecs;
        let ask = |arn: &String| -> BoxFuture<'_, _> {
            let arn = arn.clone();
            Box::pin(async move {
                let answer = ecs.describe_task_definition(&arn).await;
                (arn, answer)
            })
        };
        let calls: Vec<_> = missing.iter().map(ask).collect();
        let mut answers = stream::iter(calls).buffer_unordered(CONCURRENCY);
        let mut failures: Vec<(String, ApiError)> = Vec::new();
        let mut in_a_row = 0;
        while let Some((arn, answer)) = answers.next().await {
            let lookup = match answer {
                Ok(definition) => {
                    let definition = Arc::new(definition);
                    self.definitions.put(&arn, definition.clone());
                    Lookup::Found(definition)
                }
                Err(error) if error.kind == Kind::Refused => Lookup::Missing(error.text),
                Err(error) => {
                    let text = error.to_string();
                    self.unread.insert(arn.clone(), Unread { asked: self.rounds, text: text.clone() });
                    failures.push((arn.clone(), error));
                    Lookup::Failed(text)
                }
            };
            in_a_row = if matches!(lookup, Lookup::Failed(_)) { in_a_row + 1 } else { 0 };
            if in_a_row == 0 {
                self.unread.remove(&arn);
            }
            world.definitions.insert(arn, lookup);
            if in_a_row == MAX_FAILURES_IN_A_ROW {
                break;
            }
        }
        let Some((_, last)) = failures.last() else { return };
        let last = last.to_string();
        let mut not_asked = 0;
        for arn in missing {
            let why = self.unread.get(&arn).map_or(&last, |unread| &unread.text);
            world.definitions.entry(arn).or_insert_with(|| {
                not_asked += 1;
                Lookup::Failed(why.clone())
            });
        }
        gaps.extend(Gap::definitions(failures, not_asked));
    }

    /// The ids by which services start tasks, if a matcher asks for services and a task's group does not name its own.
    async fn services(&mut self, rules: &Rules, world: &mut World, gaps: &mut Vec<Gap>) {
        let unclear = |t: &Task| !t.started_by.is_empty() && t.service_of_group().is_none();
        if !rules.match_services() || !world.tasks.iter().any(unclear) {
            return;
        }
        world.services = match self.starters(rules).await {
            Ok(known) => Services::Known(known),
            Err(error) => {
                let failed = Services::Failed(error.to_string());
                gaps.push(Gap::services(error));
                failed
            }
        };
    }

    async fn starters(&self, rules: &Rules) -> Result<HashMap<String, String>, ApiError> {
        let mut arns = self.ecs.list_services().await?;
        arns.retain(|arn| rules.wants_service(service_name(arn)));
        let mut known = HashMap::new();
        for service in self.ecs.describe_services(&arns).await? {
            known.extend(service.starter_ids.into_iter().map(|id| (id, service.name.clone())));
        }
        Ok(known)
    }

    /// The hosts of the wanted tasks.
    async fn instances(&mut self, rules: &Rules, world: &mut World, gaps: &mut Vec<Gap>) {
        let mut missing = BTreeSet::new();
        for task in &world.tasks {
            let Some(arn) = &task.container_instance_arn else { continue };
            let definition = match world.definitions.get(&task.definition_arn) {
                Some(Lookup::Found(definition)) => definition,
                _ => continue,
            };
            if !task.needs_instance(Some(definition)) || !wants(world, rules, task) {
                continue;
            }
            match self.instances.fresh(arn) {
                Some(known) => {
                    world.instances.insert(arn.clone(), Lookup::Found(known));
                }
                None => {
                    missing.insert(arn.clone());
                }
            }
        }
        let missing: Vec<String> = missing.into_iter().collect();
        let mut failed: Option<ApiError> = None;
        for batch in missing.chunks(DESCRIBE_BATCH.min(INSTANCES_BATCH)) {
            let found = match &failed {
                // The same call has just failed for another batch.
                Some(error) => Err(error.clone()),
                None => self.hosts(batch).await,
            };
            for arn in batch {
                let lookup = match &found {
                    Ok(hosts) => match hosts.get(arn) {
                        Some(host) => {
                            let host = Arc::new(host.clone());
                            self.instances.put(arn, host.clone());
                            Lookup::Found(host)
                        }
                        None => {
                            self.instances.remove(arn);
                            Lookup::Missing("it is not known any more".to_owned())
                        }
                    },
                    // An old answer is better than none.
                    Err(error) => match self.instances.any(arn) {
                        Some(old) => Lookup::Found(old),
                        None => Lookup::Failed(error.to_string()),
                    },
                };
                world.instances.insert(arn.clone(), lookup);
            }
            if let (Err(error), None) = (found, &failed) {
                failed = Some(error.clone());
                gaps.push(Gap::hosts(error));
            }
        }
    }

    /// The EC2 instances of one batch of container instances, by container instance ARN.
    async fn hosts(&self, arns: &[String]) -> Result<HashMap<String, Instance>, ApiError> {
        let ids = self.ecs.instance_ids(arns).await?;
        let wanted: Vec<String> = ids.values().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.ec2.describe_instances(&wanted).await?;
        let host = |(arn, id): (String, String)| Some((arn, found.get(&id)?.clone()));
        Ok(ids.into_iter().filter_map(host).collect())
    }
}
