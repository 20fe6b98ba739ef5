//! ECS discovery: lists what runs in one ECS cluster, picks containers by the configured matchers, and hands their
//! addresses and labels to the scrape jobs that name its result file, in memory and as that file.
//!
//! Two config front ends share it: the Collector's `ecs_observer` ([`config`]) and the CloudWatch agent's
//! `ecs_service_discovery` ([`cloudwatch_agent`]). A round is: [`fetch`] asks ECS and EC2 for a [`world`], [`targets`]
//! decides without I/O, [`observer`] hands over. It does not scrape and does not watch for changes between rounds.

pub mod address;
mod cache;
mod call;
pub mod cloudwatch_agent;
pub mod config;
mod ec2;
mod ec2_xml;
mod ecs_api;
mod fetch;
mod file;
mod gap;
pub mod labels;
pub mod matcher;
mod metadata;
pub mod observer;
mod report;
pub mod targets;
pub mod world;
pub mod yaml_text;

#[cfg(test)]
mod tests;

use ::config::{Built, Node};
use proto::{BoxFuture, BuildContext, Stop, Task};

use crate::{Extension, ExtensionFactory, Readiness};
use config::Settings;
use observer::Observer;

/// The Collector's `ecs_observer`.
pub static FACTORY: ExtensionFactory =
    ExtensionFactory { kind: "ecs_observer", build: |node, context| extension(config::build(node, context), context) };

/// The CloudWatch agent's `ecs_service_discovery`, as an extension with the same keys.
pub static CLOUDWATCH_AGENT_FACTORY: ExtensionFactory = ExtensionFactory {
    kind: "ecs_service_discovery",
    build: |node: &Node, context| extension(cloudwatch_agent::build(node, context), context),
};

/// A discovery that is configured but not started.
struct Discovery {
    settings: Settings,
    context: BuildContext,
}

impl Extension for Discovery {
    fn publishes_targets(&self) -> Vec<String> {
        vec![self.settings.result_file.clone()]
    }

    /// Never fails: what is missing now (permissions, the endpoint, a folder) can be there in the next round.
    fn start(self: Box<Self>, _ready: Readiness, stop: Stop) -> BoxFuture<'static, Result<Task, String>> {
        Box::pin(async move {
            let task: Task = Box::pin(Observer::new(self.settings, &self.context, None).run(stop));
            Ok(task)
        })
    }
}

fn extension((settings, problems): Built<Settings>, context: &BuildContext) -> Built<Box<dyn Extension>> {
    let made =
        settings.map(|settings| -> Box<dyn Extension> { Box::new(Discovery { settings, context: context.clone() }) });
    (made, problems)
}
