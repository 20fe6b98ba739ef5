//! Agent JSON in, the translated configuration out, as the vectors look at it.

use config::cloudwatch_agent::{EcsTask, Platform, translate};
use serde_yaml::Value;

/// A scrape configuration that any agent JSON of these tests may name.
pub(crate) const SCRAPE: &str =
    "scrape_configs: [{job_name: j, file_sd_configs: [{files: [/tmp/cwagent_ecs_auto_sd.yaml]}]}]";

/// What a configuration became.
pub(crate) struct Translated {
    /// The collector's configuration; null when there is none.
    pub(crate) tree: Value,
    /// Every problem in a line.
    pub(crate) problems: String,
}

/// A container of an ECS task in the cluster `real`.
pub(crate) fn ecs() -> Platform {
    let task = EcsTask { cluster: "real".into(), region: "us-west-2".into() };
    Platform { container: true, task: Some(task), ..host() }
}

/// A container that is not on ECS.
pub(crate) fn kubernetes() -> Platform {
    Platform { container: true, ..host() }
}

/// A host.
pub(crate) fn host() -> Platform {
    Platform { host_name: Some("h".into()), ..Platform::default() }
}

/// Translates texts as one configuration; the variable `SCRAPE` holds the scrape configuration.
pub(crate) fn translated(texts: &[&str], platform: &Platform) -> Translated {
    let sources: Vec<_> = texts.iter().enumerate().map(|(i, text)| (format!("{i}.json"), (*text).to_owned())).collect();
    let vars: &[(&str, &str)] = &[("SCRAPE", SCRAPE)];
    let (text, found) = translate(&sources, platform, &vars);
    let tree = text.map_or(Value::Null, |text| serde_yaml::from_str(&text).unwrap());
    Translated { tree, problems: found.iter().map(|problem| format!("{problem}\n")).collect() }
}

/// Translates a `prometheus` section with these keys, and the scrape configuration above unless they name one.
pub(crate) fn prometheus(keys: &str, platform: &Platform) -> Translated {
    translated(&[&around(keys)], platform)
}

/// An agent JSON whose `prometheus` section has these keys.
pub(crate) fn around(keys: &str) -> String {
    let path = "\"prometheus_config_path\":\"env:SCRAPE\"";
    let keys = match (keys.contains("prometheus_config_path"), keys.is_empty()) {
        (true, _) => keys.to_owned(),
        (false, true) => path.to_owned(),
        (false, false) => format!("{path},{keys}"),
    };
    format!("{{\"logs\":{{\"metrics_collected\":{{\"prometheus\":{{{keys}}}}}}}}}")
}

impl Translated {
    /// The tree, when nothing is wrong.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert!(!self.problems.contains("Error"), "{}", self.problems);
        self.tree
    }

    /// Checks that a problem is reported.
    #[track_caller]
    pub(crate) fn says(&self, expected: &str) {
        assert!(self.problems.contains(expected), "{expected:?} is missing in\n{}", self.problems);
    }
}

/// The value at `a.b.c`; null when there is none.
pub(crate) fn at<'a>(tree: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(tree, |node, key| match key.parse::<usize>() {
        Ok(index) => &node[index],
        Err(_) => &node[key],
    })
}

/// Checks values at paths, given as YAML.
#[track_caller]
pub(crate) fn assert_values(tree: &Value, expected: &[(&str, &str)]) {
    for (path, yaml) in expected {
        let value: Value = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(*at(tree, path), value, "{path}");
    }
}

/// Runs to the end what has to wait.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}
