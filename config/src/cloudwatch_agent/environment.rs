//! Environment variables that the CloudWatch agent reads beside those with a configuration: the level of logs is taken
//! over, what would change how AWS is reached is refused where it cannot be done, and the others get a word.

use super::output::Line;
use super::sections::Around;
use crate::diagnostic::Diagnostic;
use crate::source::Env;

/// The agent's levels, which are also the collector's, in lower case.
const LEVELS: &[&str] = &["debug", "info", "warn", "error"];

/// Variables without effect, and what to do instead.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("RUN_IN_AWS", "on ECS the place is found by itself; elsewhere set agent.region"),
    ("RUN_WITH_IRSA", "on ECS the place is found by itself; elsewhere set agent.region"),
    ("AWS_SDK_LOG_LEVEL", "set CWAGENT_LOG_LEVEL=DEBUG, or agent.debug, for the collector's own logs"),
    ("DEBUG", "set CWAGENT_LOG_LEVEL=DEBUG, or agent.debug, for the collector's own logs"),
    ("IMDS_NUMBER_RETRY", "AWS_METADATA_SERVICE_NUM_ATTEMPTS is the SDK's variable for it"),
    ("CWAGENT_USER_AGENT", "requests carry the collector's own name"),
    ("USE_DEFAULT_CONFIG", "the agent's built-in configuration collects no Prometheus metrics; remove the variable"),
];

/// Looks at the environment of a configuration that is translated.
pub(crate) fn check(env: &dyn Env, around: &mut Around, found: &mut Vec<Diagnostic>) {
    let set = |name: &str| env.var(name).filter(|value| !value.is_empty());
    for (name, help) in WITHOUT_EFFECT {
        if set(name).is_some() {
            let text = format!("environment variable {name} of the CloudWatch agent has no effect here");
            found.push(Diagnostic::warning(text).help(*help));
        }
    }
    if set("AWS_CA_BUNDLE").is_some() {
        let problem = Diagnostic::error("environment variable AWS_CA_BUNDLE is not read here");
        found.push(problem.help("set SSL_CERT_FILE to the same file; it replaces the system's certificates"));
    }
    let has_role = around.exporter.iter().any(|(key, _)| *key == "role_arn");
    for name in ["AMZ_SOURCE_ACCOUNT", "AMZ_SOURCE_ARN"] {
        if has_role && set(name).is_some() {
            let text = format!("{name} is set, but its header is not sent when the role is assumed");
            let help =
                "remove the variable and its condition (aws:SourceAccount, aws:SourceArn) from the role's trust policy";
            found.push(Diagnostic::error(text).help(help));
        }
    }
    let Some(level) = set("CWAGENT_LOG_LEVEL") else { return };
    let is_set = around.own_logs.iter().any(|(key, _)| *key == "level");
    match LEVELS.iter().find(|known| known.eq_ignore_ascii_case(&level)) {
        Some(level) if !is_set => {
            around.own_logs.insert(0, ("level", Line::text("environment variable CWAGENT_LOG_LEVEL", level)));
        }
        // agent.debug says it in the JSON.
        Some(_) => {}
        None => {
            let problem = Diagnostic::warning(format!("CWAGENT_LOG_LEVEL is {level:?}, which is no level"));
            found.push(problem.help("levels are DEBUG, INFO, WARN and ERROR"));
        }
    }
}
