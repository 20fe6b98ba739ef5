//! The scripted AWS, asked by the real SDK: if these fail, no other test means anything.
#![allow(clippy::unwrap_used)]

use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::TaskField;
use std::time::{Duration, Instant, SystemTime};
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{ACCESS_KEY, SECRET_KEY, Service};
use tests::{FakeAws, Fault, World};

async fn sdk_with(aws: &FakeAws, id: &str, secret: &str) -> aws_config::SdkConfig {
    let keys = aws_sdk_ecs::config::Credentials::new(id, secret, None, None, "test");
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .region("us-west-2")
        .credentials_provider(keys)
        .endpoint_url(aws.url())
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .load()
        .await
}

async fn sdk(aws: &FakeAws) -> aws_config::SdkConfig {
    sdk_with(aws, ACCESS_KEY, SECRET_KEY).await
}

fn world_of(tasks: usize, services: usize) -> World {
    let mut world = World::default();
    let definition = world.define("web", 3, "awsvpc", vec![container("app", Port { container: 8080, host: 8080 })]);
    world.cluster("prod");
    for n in 0..tasks {
        let place = Place::Fargate { ip: "10.0.0.1" };
        let id = format!("t{n}");
        let run = Run { cluster: "prod", id: &id, definition: &definition, container: "app", service: None, place };
        world.run(run).tags = Some(vec![serde_json::json!({"key": "team", "value": "a"})]);
    }
    for n in 0..services {
        world.add_service("prod", &format!("s{n}"), "ecs-svc/1");
    }
    world
}

#[tokio::test]
async fn lists_are_paged_and_describes_are_limited_as_by_ecs() {
    let aws = FakeAws::start(world_of(203, 25)).await;
    let ecs = aws_sdk_ecs::Client::new(&sdk(&aws).await);
    let (mut arns, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = ecs.list_tasks().cluster("prod").set_next_token(token).send().await.unwrap();
        arns.extend(page.task_arns().to_vec());
        pages += 1;
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!((arns.len(), pages), (203, 3));
    let too_many = ecs.describe_tasks().cluster("prod").set_tasks(Some(arns[..101].to_vec())).send().await;
    assert_eq!(too_many.unwrap_err().code(), Some("InvalidParameterException"));
    let none = ecs.describe_tasks().cluster("prod").set_tasks(Some(vec![])).send().await;
    assert_eq!(none.unwrap_err().message(), Some("Tasks cannot be empty."));
    let tasks = ecs.describe_tasks().cluster("prod").tasks(&arns[7]).tasks("gone").send().await.unwrap();
    assert_eq!((tasks.tasks().len(), tasks.failures()[0].reason()), (1, Some("MISSING")));
    assert!(tasks.tasks()[0].tags().is_empty(), "tags come only when asked for");
    let tagged = ecs.describe_tasks().cluster("prod").tasks(&arns[7]).include(TaskField::Tags).send().await.unwrap();
    assert_eq!(tagged.tasks()[0].tags()[0].value(), Some("a"));
    let services = ecs.list_services().cluster("prod").send().await.unwrap();
    assert_eq!((services.service_arns().len(), services.next_token().is_some()), (10, true));
    let definition = ecs.describe_task_definition().task_definition("web:3").send().await.unwrap();
    let definition = definition.task_definition().unwrap();
    assert_eq!((definition.family(), definition.revision()), (Some("web"), 3));
    let missing = ecs.list_tasks().cluster("gone").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("ClusterNotFoundException"));
}

#[tokio::test]
async fn a_recorded_world_loads_and_keeps_every_field() {
    let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("../golden/ecs_observer.json")).unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let world: World = serde_json::from_value(case["world"].clone()).unwrap();
        let again = serde_json::to_value(&world).unwrap();
        assert_eq!(again["clusters"], case["world"]["clusters"], "{}", case["name"]);
        assert_eq!(again["task_definitions"], case["world"]["task_definitions"], "{}", case["name"]);
        assert_eq!(again["instances"], case["world"]["instances"], "{}", case["name"]);
    }
}

#[tokio::test]
async fn events_are_accepted_into_a_stream_that_was_created() {
    let aws = FakeAws::start(World::default()).await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&sdk(&aws).await);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    let event = InputLogEvent::builder().timestamp(now).message(r#"{"a":1}"#).build().unwrap();
    let put = || logs.put_log_events().log_group_name("g").log_stream_name("s").log_events(event.clone()).send();
    assert_eq!(put().await.unwrap_err().code(), Some("ResourceNotFoundException"));
    logs.create_log_group().log_group_name("g").tags("team", "a").send().await.unwrap();
    logs.put_retention_policy().log_group_name("g").retention_in_days(7).send().await.unwrap();
    logs.create_log_stream().log_group_name("g").log_stream_name("s").send().await.unwrap();
    put().await.unwrap();
    assert_eq!(aws.documents(), [serde_json::json!({"a": 1})]);
    let group = &aws.groups()[0];
    assert_eq!((group.retention_days, group.tags["team"].as_str()), (Some(7), "a"));
    let calls = aws.calls_of("PutLogEvents");
    assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [Some(400), Some(200)]);
    assert_eq!(calls[1].service, Service::Logs);
    assert_eq!(calls[1].signature.as_ref().unwrap().access_key, ACCESS_KEY);
}

#[tokio::test]
async fn a_wrong_secret_an_unknown_key_and_a_changed_body_are_refused() {
    let aws = FakeAws::start(world_of(1, 0)).await;
    let code = async |id: &str, secret: &str| {
        let ecs = aws_sdk_ecs::Client::new(&sdk_with(&aws, id, secret).await);
        ecs.list_tasks().cluster("prod").send().await.err().and_then(|error| error.code().map(str::to_owned))
    };
    assert_eq!(code(ACCESS_KEY, SECRET_KEY).await, None);
    assert_eq!(code(ACCESS_KEY, "other").await.as_deref(), Some("InvalidSignatureException"));
    assert_eq!(code("AKIDOTHER", SECRET_KEY).await.as_deref(), Some("UnrecognizedClientException"));
    aws.expire_keys();
    assert_eq!(code(ACCESS_KEY, SECRET_KEY).await.as_deref(), Some("ExpiredTokenException"));

    let aws = FakeAws::start(world_of(1, 0)).await;
    let ecs = aws_sdk_ecs::Client::new(&sdk(&aws).await);
    ecs.list_tasks().cluster("prod").send().await.unwrap();
    let signed = aws.calls().remove(0);
    let mut headers = signed.headers.clone();
    headers.remove("content-length");
    let again = reqwest::Client::new().post(aws.url()).headers(headers).body(r#"{"cluster":"default"}"#);
    assert_eq!(again.send().await.unwrap().status(), 403, "the signature covers the body");
    let unsigned = reqwest::Client::new().post(aws.url()).body("{}");
    let unsigned = unsigned.header("x-amz-target", "Logs_20140328.DescribeLogGroups");
    let answer = unsigned.send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("MissingAuthenticationTokenException"), "{answer}");
}

#[tokio::test]
async fn faults_refuse_delay_and_drop_and_the_record_says_so() {
    let aws = FakeAws::start(world_of(1, 0)).await;
    let ecs = aws_sdk_ecs::Client::new(&sdk(&aws).await);
    let list = async || ecs.list_tasks().cluster("prod").send().await;
    aws.fault(Fault::throttle("ListTasks"));
    assert_eq!(list().await.unwrap_err().code(), Some("ThrottlingException"));
    aws.fault(Fault::deny("ListTasks"));
    let denied = list().await.unwrap_err();
    assert_eq!(denied.code(), Some("AccessDeniedException"));
    assert!(denied.message().unwrap().contains("not authorized to perform: ListTasks"));
    aws.fault(Fault::drop("ListTasks"));
    assert_eq!(list().await.unwrap_err().code(), None);
    aws.fault(Fault::drop_after("ListTasks"));
    assert_eq!(list().await.unwrap_err().code(), None);
    let always = aws.fault(Fault::broken("ListTasks", 500).always());
    assert!(list().await.is_err() && list().await.is_err());
    aws.clear_fault(always);
    aws.fault(Fault::delay("ListTasks", Duration::from_millis(150)));
    let start = Instant::now();
    list().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(150));
    let statuses: Vec<_> = aws.calls_of("ListTasks").iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(400), Some(400), None, None, Some(500), Some(500), Some(200)]);
    aws.pause();
    assert!(list().await.is_err());
    aws.resume().await;
    list().await.unwrap();
}

#[tokio::test]
async fn the_world_changes_between_calls() {
    let aws = FakeAws::start(world_of(3, 0)).await;
    let ecs = aws_sdk_ecs::Client::new(&sdk(&aws).await);
    let count = async || ecs.list_tasks().cluster("prod").send().await.unwrap().task_arns().len();
    assert_eq!(count().await, 3);
    aws.change(|world| world.stop("prod", "t1"));
    assert_eq!(count().await, 2);
}

#[tokio::test]
async fn the_surroundings_of_a_task_are_answered() {
    let aws = FakeAws::start(World::default()).await;
    let environment: std::collections::BTreeMap<_, _> = aws.task_environment().into_iter().collect();
    let get = async |url: String| -> serde_json::Value {
        serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap()
    };
    let base = environment["ECS_CONTAINER_METADATA_URI_V4"].clone();
    assert_eq!(get(format!("{base}/task")).await["LaunchType"], "FARGATE");
    assert_eq!(get(base).await["KnownStatus"], "RUNNING");
    let keys = get(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"].clone()).await;
    let field = |name: &str| keys[name].as_str().unwrap();
    let credentials = aws_sdk_ecs::config::Credentials::new(
        field("AccessKeyId"),
        field("SecretAccessKey"),
        Some(field("Token").to_owned()),
        None,
        "task",
    );
    let config = sdk(&aws).await.into_builder();
    let config = config.credentials_provider(aws_sdk_ecs::config::SharedCredentialsProvider::new(credentials)).build();
    aws_sdk_ecs::Client::new(&config).list_clusters().send().await.unwrap();
}

/// Signs a Query API call as a client without an SDK does, and sends it.
async fn query(aws: &FakeAws, service: &str, body: &str) -> (u16, String) {
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    let identity = aws_sdk_ecs::config::Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test").into();
    let params = aws_sigv4::sign::v4::SigningParams::builder()
        .identity(&identity)
        .region("us-west-2")
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let url = format!("{}/", aws.url());
    let signable = SignableRequest::new("POST", &url, [kind].into_iter(), SignableBody::Bytes(body.as_bytes()));
    let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
    let mut request = reqwest::Client::new().post(&url).header(kind.0, kind.1).body(body.to_owned());
    for (name, value) in instructions.headers() {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn instances_are_described_over_the_query_api() {
    let mut world = World::default();
    for n in 0..12 {
        world.add_instance("prod", &format!("i-{n}"), &format!("10.0.0.{n}"));
    }
    world.instances[0].tags.insert("a<b".into(), "c&d".into());
    let aws = FakeAws::start(world).await;
    let describe =
        async |rest: &str| query(&aws, "ec2", &format!("Action=DescribeInstances&Version=2016-11-15&{rest}")).await;
    let (status, one) = describe("InstanceId.1=i-0").await;
    assert_eq!(status, 200);
    assert!(one.contains("<privateIpAddress>10.0.0.0</privateIpAddress>"), "{one}");
    assert!(one.contains("<item><key>a&lt;b</key><value>c&amp;d</value></item>"), "{one}");
    assert_eq!(one.matches("<instanceId>").count(), 1);
    let (_, page) = describe("MaxResults=5").await;
    assert!(page.matches("<instanceId>").count() == 5 && page.contains("<nextToken>5</nextToken>"), "{page}");
    let (_, page) = describe("MaxResults=5&NextToken=10").await;
    assert!(page.matches("<instanceId>").count() == 2 && !page.contains("nextToken"), "{page}");
    let filter = "Filter.1.Name=instance-id&Filter.1.Value.1=i-3&Filter.1.Value.2=i-gone";
    assert_eq!(describe(filter).await.1.matches("<instanceId>").count(), 1, "a filter tolerates what is gone");
    let (status, gone) = describe("InstanceId.1=i-3&InstanceId.2=i-gone").await;
    assert!(status == 400 && gone.contains("InvalidInstanceID.NotFound"), "{gone}");
    aws.fault(Fault::deny("DescribeInstances"));
    assert!(describe("").await.1.contains("<Code>UnauthorizedOperation</Code>"));
}

#[tokio::test]
async fn a_role_is_assumed_by_who_may() {
    let arn = "arn:aws:iam::123456789012:role/reader";
    let mut world = World::default();
    world.roles.insert(arn.into(), tests::fake::world::Role { external_id: Some("x".into()) });
    let aws = FakeAws::start(world).await;
    let assume = async |rest: &str| {
        let body = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={arn}&RoleSessionName=s{rest}");
        query(&aws, "sts", &body).await
    };
    assert_eq!(assume("").await.0, 403, "the external id is missing");
    let (status, answer) = assume("&ExternalId=x").await;
    assert!(status == 200 && answer.contains("<SessionToken>"), "{answer}");
}
