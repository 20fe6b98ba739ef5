//! ADOT's `extracfg.txt`: log level, profile, credentials file and environment variables reach the configuration, the
//! AWS SDK and the logs.
#![allow(clippy::unwrap_used)]

use tests::agent::PATIENCE;
use tests::fake::{ACCESS_KEY, Behaviour, FakeAws, SECRET_KEY, Target, World};
use tests::story::{LOG_GROUP, job, scrape_to_logs};
use tests::{Agent, free_ip, wait_until};

const VARIABLE: &str = "OTELCOL_ECS_EXTRA_CONFIG";

#[tokio::test(flavor = "multi_thread")]
async fn its_variables_are_those_of_the_process_and_of_the_aws_sdk() {
    let aws = FakeAws::start(World::default()).await;
    let page = Behaviour::Fixed("# TYPE up_now gauge\nup_now 1\n".into());
    let target = Target::start((free_ip(), 0), page).await;
    let config = scrape_to_logs(&[job("a", &[target.addr()], &[])], &[])
        .replace("namespace: Story", "namespace: ${env:FROM_EXTRA}")
        // Without the file's log level the agent would not say that it is ready.
        .replace("service:\n", "service:\n  telemetry: {logs: {level: error}}\n");
    let builder = Agent::with_config(&config);
    let path = builder.dir().join("credentials");
    let extra = format!(
        "# of the operator\nloggingLevel=debug\nawsProfile=team\nawsCredentialFile={}\nFROM_EXTRA=From/Extra\nodd\n",
        path.display()
    );
    let keys = |profile: &str, id: &str, secret: &str| {
        format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
    };
    let credentials = keys("default", "AKIADEFAULT", "unknown") + &keys("team", ACCESS_KEY, SECRET_KEY);
    // Variables of the file win over those that the process was started with.
    let mut builder =
        builder.file("extracfg.txt", &extra).file("credentials", &credentials).env("AWS_PROFILE", "other");
    for (name, value) in aws.environment() {
        if !matches!(name.as_str(), "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY") {
            builder = builder.env(&name, &value);
        }
    }
    let mut agent = builder.env(VARIABLE, "extracfg.txt").start().await;
    let pid = agent.pid();
    wait_until("an event", PATIENCE, || (aws.accepted_events() > 0).then_some(())).await;
    let document = aws.documents().remove(0);
    assert_eq!(document["_aws"]["CloudWatchMetrics"][0]["Namespace"], "From/Extra", "{document}");
    assert_eq!(aws.events()[0].group, LOG_GROUP);
    let keys: Vec<_> = aws.calls().into_iter().filter_map(|call| Some(call.signature?.access_key)).collect();
    assert!(!keys.is_empty() && keys.iter().all(|key| key == ACCESS_KEY), "{keys:?}");
    assert_eq!(agent.pid(), pid);
    assert!(agent.stop().await.success());
    let log = agent.log();
    assert!(log.contains("read the extra configuration"), "{log}");
    assert!(log.contains("extracfg.txt:6: there is no =; the line is left out"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_level_is_a_configuration_before_set_and_none_beside_the_content_variable() {
    let config = scrape_to_logs(&[], &[]).replace("scrape_configs:\n", "scrape_configs: [{job_name: a}]\n");
    let printed = async |args: &[&str], env: &[(&str, &str)]| {
        let mut builder =
            Agent::with_config(&config).file("extracfg.txt", "loggingLevel=warn\n").env(VARIABLE, "extracfg.txt");
        for arg in args {
            builder = builder.arg(*arg);
        }
        for (name, value) in env {
            builder = builder.env(name, value);
        }
        let output = builder.arg("print-config").run().await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(printed(&[], &[]).await.contains("level: warn"));
    let set = printed(&["--set=service.telemetry.logs.level=error"], &[]).await;
    assert!(set.contains("level: error") && !set.contains("warn"), "{set}");
    let content = printed(&[], &[("AOT_CONFIG_CONTENT", &config)]).await;
    assert!(!content.contains("warn"), "{content}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_file_that_is_not_there_stops_the_start() {
    let output = Agent::with_config("a: b").env(VARIABLE, "missing.txt").run().await;
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("missing.txt") && message.contains(VARIABLE), "{message}");
}
