//! The six ECS calls of discovery through the SDK: paging, batch sizes, and translation into [`super::world`]'s words.
//! Budgets and repetition are [`super::call`]'s; what to ask for is [`super::fetch`]'s.

use std::collections::HashMap;
use std::error::Error;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::timeout::TimeoutConfig;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::{self as sdk, TaskField};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::SdkConfig;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::call::{ApiError, Caller, Failure, Kind, Operation};
use super::world::{Binding, ContainerDefinition, Definition, NetworkMode, PortMapping, RunningContainer, Task};

/// Tasks or container instances that one Describe call takes.
pub(crate) const DESCRIBE_BATCH: usize = 100;
/// Services that one DescribeServices call takes.
const SERVICES_BATCH: usize = 10;
/// Pages that a listing may have (100 ARNs each); more is an endless answer.
const MAX_PAGES: usize = 1000;
/// Calls in flight at a time.
pub(crate) const CONCURRENCY: usize = 4;
/// Time for one attempt, connecting included.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for connecting.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// ECS calls about one cluster.
pub(crate) struct EcsApi {
    client: Client,
    caller: Arc<Caller>,
    cluster: String,
}

/// A service and the ids with which it starts tasks.
pub(crate) struct Service {
    pub(crate) name: String,
    /// Deployments in any state, and task sets.
    pub(crate) starter_ids: Vec<String>,
}

impl EcsApi {
    /// `cluster` is a name or an ARN. Repetition is the caller's, so the SDK's is off.
    pub(crate) fn new(session: &SdkConfig, caller: Arc<Caller>, cluster: &str) -> EcsApi {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let config = aws_sdk_ecs::config::Builder::from(session)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .build();
        EcsApi { client: Client::from_conf(config), caller, cluster: cluster.to_owned() }
    }

    /// ARNs of all tasks that ECS wants to run.
    pub(crate) async fn list_tasks(&self) -> Result<Vec<String>, ApiError> {
        self.list(Operation::ListTasks, |token| async move {
            let page = self.client.list_tasks().cluster(&self.cluster).set_next_token(token).send().await;
            page.map(|p| (p.task_arns.unwrap_or_default(), p.next_token)).map_err(|e| failure(&e))
        })
        .await
    }

    /// The tasks with their tags, in the order of `arns`. One that is gone by now is left out.
    pub(crate) async fn describe_tasks(&self, arns: &[String]) -> Result<Vec<Task>, ApiError> {
        let ask = |batch| {
            self.caller.call(Operation::DescribeTasks, move || async move {
                let call = self.client.describe_tasks().cluster(&self.cluster).include(TaskField::Tags);
                let answer = call.set_tasks(Some(<[String]>::to_vec(batch))).send().await;
                Ok(answer.map_err(|e| failure(&e))?.tasks().iter().map(task).collect())
            })
        };
        in_batches(arns, DESCRIBE_BATCH, |batch| Box::pin(ask(batch))).await
    }

    /// One task definition revision. [`Kind::Refused`] means that there is none.
    pub(crate) async fn describe_task_definition(&self, arn: &str) -> Result<Definition, ApiError> {
        self.caller
            .call(Operation::DescribeTaskDefinition, || async {
                let answer = self.client.describe_task_definition().task_definition(arn).send().await;
                let answer = answer.map_err(|e| failure(&e))?;
                answer
                    .task_definition()
                    .map(definition)
                    .ok_or_else(|| Failure { kind: Kind::Refused, text: "the answer is empty".to_owned() })
            })
            .await
    }

    /// Names and ARNs of all services.
    pub(crate) async fn list_services(&self) -> Result<Vec<String>, ApiError> {
        self.list(Operation::ListServices, |token| async move {
            let call = self.client.list_services().cluster(&self.cluster).max_results(100);
            let page = call.set_next_token(token).send().await;
            page.map(|p| (p.service_arns.unwrap_or_default(), p.next_token)).map_err(|e| failure(&e))
        })
        .await
    }

    /// The services with the ids by which they start tasks.
    pub(crate) async fn describe_services(&self, arns: &[String]) -> Result<Vec<Service>, ApiError> {
        let ask = |batch| {
            self.caller.call(Operation::DescribeServices, move || async move {
                let call = self.client.describe_services().cluster(&self.cluster);
                let answer = call.set_services(Some(<[String]>::to_vec(batch))).send().await;
                Ok(answer.map_err(|e| failure(&e))?.services().iter().map(service).collect())
            })
        };
        in_batches(arns, SERVICES_BATCH, |batch| Box::pin(ask(batch))).await
    }

    /// EC2 instance ids of at most [`DESCRIBE_BATCH`] container instances, by container instance ARN.
    pub(crate) async fn instance_ids(&self, arns: &[String]) -> Result<HashMap<String, String>, ApiError> {
        let answer = self
            .caller
            .call(Operation::DescribeContainerInstances, || async {
                let call = self.client.describe_container_instances().cluster(&self.cluster);
                call.set_container_instances(Some(arns.to_vec())).send().await.map_err(|e| failure(&e))
            })
            .await?;
        let pair = |c: &sdk::ContainerInstance| Some((c.container_instance_arn()?.into(), c.ec2_instance_id()?.into()));
        Ok(answer.container_instances().iter().filter_map(pair).collect())
    }

    async fn list<F>(
        &self,
        operation: Operation,
        mut page: impl FnMut(Option<String>) -> F,
    ) -> Result<Vec<String>, ApiError>
    where
        F: Future<Output = Result<(Vec<String>, Option<String>), Failure>>,
    {
        let mut all = Vec::new();
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let (arns, next) = self.caller.call(operation, || page(token.clone())).await?;
            all.extend(arns);
            match next.filter(|t| !t.is_empty()) {
                Some(next) => token = Some(next),
                None => return Ok(all),
            }
        }
        let text = format!("the list does not end after {MAX_PAGES} pages");
        Err(ApiError { operation, kind: Kind::Unreadable, text })
    }
}

/// Asks about `size` ARNs at a time, some batches at once, and joins the answers in order.
async fn in_batches<'a, T: Send + 'a>(
    arns: &'a [String],
    size: usize,
    ask: impl Fn(&'a [String]) -> BoxFuture<'a, Result<Vec<T>, ApiError>>,
) -> Result<Vec<T>, ApiError> {
    let calls: Vec<_> = arns.chunks(size).map(ask).collect();
    let answers: Vec<Vec<T>> = stream::iter(calls).buffered(CONCURRENCY).try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}

/// Sorts an SDK error by what can be done about it.
fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let kind = match error {
        SdkError::ServiceError(e) => {
            let code = e.err().code().unwrap_or("unknown error");
            let kind = Kind::of(code, e.raw().status().as_u16());
            let text = e.err().message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"));
            return Failure { kind, text };
        }
        SdkError::TimeoutError(_) => Kind::Timeout,
        _ if is_about_credentials(error) => Kind::Credentials,
        SdkError::DispatchFailure(e) if e.is_timeout() => Kind::Timeout,
        SdkError::ResponseError(_) => Kind::Unreadable,
        SdkError::ConstructionFailure(_) => Kind::Refused,
        _ => Kind::Connection,
    };
    Failure { kind, text: causes(error) }
}

fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(e) = next {
        if e.is::<CredentialsError>() {
            return true;
        }
        next = e.source();
    }
    false
}

/// The error and its causes in one line.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        let cause = e.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = e.source();
    }
    text
}

fn task(t: &sdk::Task) -> Task {
    let (interface_ipv4, interface_ipv6) = interface(t);
    Task {
        arn: owned(t.task_arn()),
        definition_arn: owned(t.task_definition_arn()),
        container_instance_arn: t.container_instance_arn().filter(|a| !a.is_empty()).map(str::to_owned),
        launch_type: owned(t.launch_type().map(|l| l.as_str())),
        group: owned(t.group()),
        started_by: owned(t.started_by()),
        health_status: owned(t.health_status().map(|h| h.as_str())),
        tags: t.tags().iter().map(|tag| (owned(tag.key()), owned(tag.value()))).collect(),
        interface_ipv4,
        interface_ipv6,
        containers: t.containers().iter().map(running_container).collect(),
    }
}

/// The addresses of the task's own network interface; IPv6 also as its containers report it.
fn interface(t: &sdk::Task) -> (Option<String>, Option<String>) {
    let detail = |names: &[&str]| {
        let attached = t.attachments().iter().filter(|a| a.r#type() == Some("ElasticNetworkInterface"));
        let mut details = attached.flat_map(sdk::Attachment::details);
        let found = details.find(|d| d.name().is_some_and(|n| names.contains(&n)) && d.value() != Some(""))?;
        found.value().map(str::to_owned)
    };
    let of_containers = || {
        let mut interfaces = t.containers().iter().flat_map(sdk::Container::network_interfaces);
        interfaces.find_map(|i| i.ipv6_address()).map(str::to_owned)
    };
    (detail(&["privateIPv4Address"]), detail(&["privateIPv6Address", "ipv6Address"]).or_else(of_containers))
}

fn running_container(c: &sdk::Container) -> RunningContainer {
    let binding = |b: &sdk::NetworkBinding| {
        let host_range = b.host_port_range().and_then(port_range);
        Some(Binding {
            container_ports: ports(b.container_port(), b.container_port_range())?,
            first_host_port: host_range.map(|r| *r.start()).or(b.host_port())?,
            tcp: b.protocol().is_none_or(|p| *p == sdk::TransportProtocol::Tcp),
            ipv6: b.bind_ip().is_some_and(|ip| ip.contains(':')),
        })
    };
    RunningContainer { name: owned(c.name()), bindings: c.network_bindings().iter().filter_map(binding).collect() }
}

fn definition(d: &sdk::TaskDefinition) -> Definition {
    Definition {
        family: owned(d.family()),
        revision: Some(d.revision()).filter(|r| *r > 0),
        network_mode: NetworkMode::parse(d.network_mode().map_or("", |m| m.as_str())),
        containers: d.container_definitions().iter().map(container_definition).collect(),
    }
}

fn container_definition(c: &sdk::ContainerDefinition) -> ContainerDefinition {
    let mapping = |p: &sdk::PortMapping| {
        let container_ports = ports(p.container_port(), p.container_port_range())?;
        Some(PortMapping { container_ports, host_port: p.host_port() })
    };
    let labels = c.docker_labels().into_iter().flatten();
    let mut docker_labels: Vec<_> = labels.map(|(k, v)| (k.clone(), v.clone())).collect();
    docker_labels.sort();
    let ports = c.port_mappings().iter().filter_map(mapping).collect();
    ContainerDefinition { name: owned(c.name()), ports, docker_labels }
}

fn service(s: &sdk::Service) -> Service {
    let arn = owned(s.service_arn());
    let deployments = s.deployments().iter().filter_map(sdk::Deployment::id);
    let task_sets = s.task_sets().iter().filter_map(sdk::TaskSet::id);
    Service {
        name: service_name(&arn).to_owned(),
        starter_ids: deployments.chain(task_sets).map(str::to_owned).collect(),
    }
}

/// The text after the last `/` of a service ARN.
pub(crate) fn service_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn ports(single: Option<i32>, range: Option<&str>) -> Option<RangeInclusive<i32>> {
    single.map(|p| p..=p).or_else(|| port_range(range?))
}

/// `8000-8010`.
fn port_range(text: &str) -> Option<RangeInclusive<i32>> {
    let (first, last) = text.split_once('-')?;
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

fn owned(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}
