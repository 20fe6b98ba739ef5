//! Where the CloudWatch agent's JSON may come from, which source wins, and that the log says so: the real binary with
//! every combination. The configurations are wrong on purpose in one key, so that each run ends and names it.
#![allow(clippy::unwrap_used)]

use tests::Agent;

/// An agent JSON whose error has this key in it.
fn json(key: &str) -> String {
    format!(
        "{{\"logs\":{{\"metrics_collected\":{{\"prometheus\":{{\"prometheus_config_path\":\"env:SCRAPE\",\"cluster_name\":\"c\",\"{key}\":1}}}}}}}}"
    )
}

struct Case {
    /// Arguments; files that they may name are `file.json` and `folder/`.
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// Value of `from` in the log line.
    from: &'static str,
    /// Keys whose error is reported: whose source was read.
    read: &'static [&'static str],
    /// Further words.
    says: &'static [&'static str],
}

const REPLACED: &str = "environment variable AOT_CONFIG_CONTENT is set and replaces --config and --set";
const UNUSED: &str = "environment variable CW_CONFIG_CONTENT is not used, because a configuration is named";
const KEYS: [&str; 5] = ["of_file", "of_folder_a", "of_folder_b", "of_variable", "of_collector"];

const CASES: &[Case] = &[
    Case {
        args: &[],
        env: &[("CW_CONFIG_CONTENT", "of_variable")],
        from: "the CloudWatch agent's env:CW_CONFIG_CONTENT",
        read: &["of_variable"],
        says: &[],
    },
    Case {
        args: &["--config=file.json"],
        env: &[("CW_CONFIG_CONTENT", "of_variable")],
        from: "--config file.json",
        read: &["of_file"],
        says: &[UNUSED],
    },
    Case {
        args: &["--config=folder"],
        env: &[],
        from: "--config folder",
        read: &["of_folder_a", "of_folder_b"],
        says: &[],
    },
    Case {
        args: &["--config=env:CW_CONFIG_CONTENT", "--config=file.json"],
        env: &[("CW_CONFIG_CONTENT", "of_variable")],
        from: "--config env:CW_CONFIG_CONTENT --config file.json",
        read: &["of_file", "of_variable"],
        says: &[],
    },
    Case {
        args: &["--config=file.json"],
        env: &[("AOT_CONFIG_CONTENT", "of_collector"), ("CW_CONFIG_CONTENT", "of_variable")],
        from: "environment variable AOT_CONFIG_CONTENT",
        read: &["of_collector"],
        says: &[REPLACED, UNUSED],
    },
    Case {
        args: &[],
        env: &[
            ("CW_CONFIG_CONTENT", "of_variable"),
            ("CW_OTEL_CONFIG_CONTENT", "{processors: {batch: {timeout: 9s}}}"),
        ],
        from: "the CloudWatch agent's env:CW_CONFIG_CONTENT, env:CW_OTEL_CONFIG_CONTENT",
        read: &["of_variable"],
        says: &[],
    },
    Case {
        args: &["--config=ssm:AmazonCloudWatch-CWAgentConfig"],
        env: &[],
        from: "--config ssm:AmazonCloudWatch-CWAgentConfig",
        read: &[],
        says: &["scheme \"ssm\" is not supported", "put the parameter under secrets of the task definition"],
    },
    Case {
        args: &[],
        env: &[("USE_DEFAULT_CONFIG", "True")],
        from: "nowhere",
        read: &[],
        says: &["at least one config flag must be provided", "USE_DEFAULT_CONFIG collects no Prometheus metrics"],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_source_has_its_rank_and_the_log_says_which_one_is_used() {
    for case in CASES {
        let mut agent = Agent::with_args(case.args).file("file.json", &json("of_file"));
        std::fs::create_dir(agent.dir().join("folder")).unwrap();
        for (name, key) in [("a.json", "of_folder_a"), ("b.json", "of_folder_b")] {
            std::fs::write(agent.dir().join("folder").join(name), json(key)).unwrap();
        }
        agent = agent.env("SCRAPE", "scrape_configs: [{job_name: j}]");
        for (name, value) in case.env {
            let value = if value.starts_with("of_") { json(value) } else { (*value).to_owned() };
            agent = agent.env(name, &value);
        }
        let output = agent.run().await;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let about = format!("{:?} {:?}:\n{log}", case.args, case.env);
        assert_eq!(output.status.code(), Some(1), "{about}");
        assert!(log.contains(&format!("{{\"from\":\"{}\"}}", case.from)), "{about}");
        let read: Vec<&str> = KEYS.into_iter().filter(|key| log.contains(&format!("property {key} is"))).collect();
        assert_eq!(read, case.read, "{about}");
        for words in case.says {
            assert!(log.contains(words), "{words:?} is missing for {about}");
        }
    }
}
