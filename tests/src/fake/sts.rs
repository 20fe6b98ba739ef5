//! Gives out temporary credentials: `AssumeRole` and `AssumeRoleWithWebIdentity` (Query API, XML).

use super::Refusal;
use super::ec2::escape;
use super::signature::Key;
use super::world::World;
use aws_smithy_types::date_time::{DateTime, Format};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// Answers one operation; the keys given out are added to `keys`.
pub(crate) fn answer(world: &World, keys: &mut Vec<Key>, op: &str, form: &Value) -> Result<String, Refusal> {
    if !matches!(op, "AssumeRole" | "AssumeRoleWithWebIdentity") {
        return Err(Refusal::new(
            400,
            "InvalidAction",
            &format!("Could not find operation {op} for version 2011-06-15"),
        ));
    }
    let field = |name: &str| form[name].as_str().unwrap_or_default();
    for needed in ["RoleArn", "RoleSessionName"] {
        if field(needed).is_empty() {
            let message = format!("Value null at '{needed}' failed to satisfy constraint: Member must not be null");
            return Err(Refusal::new(400, "ValidationError", &message));
        }
    }
    let arn = field("RoleArn");
    let allowed = world
        .roles
        .get(arn)
        .is_some_and(|role| role.external_id.as_deref().is_none_or(|id| form["ExternalId"].as_str() == Some(id)));
    if !allowed || (op == "AssumeRoleWithWebIdentity" && field("WebIdentityToken").is_empty()) {
        let message = format!("User is not authorized to perform: sts:{op} on resource: {arn}");
        return Err(Refusal::new(403, "AccessDenied", &message));
    }
    let seconds = field("DurationSeconds").parse().unwrap_or(3600);
    let key = issue(keys, &format!("STS{}", keys.len()), Duration::from_secs(seconds));
    let expiration = rfc3339(key.expires.unwrap_or(SystemTime::UNIX_EPOCH));
    Ok(format!(
        "<{op}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{op}Result><AssumedRoleUser>\
         <Arn>{}</Arn><AssumedRoleId>AROAFAKE:{}</AssumedRoleId></AssumedRoleUser><Credentials>\
         <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials></{op}Result>\
         <ResponseMetadata><RequestId>fake</RequestId></ResponseMetadata></{op}Response>",
        escape(arn),
        escape(field("RoleSessionName")),
        key.id,
        key.secret,
        key.token.as_deref().unwrap_or_default()
    ))
}

/// Makes a temporary key that requests may be signed with from now on.
pub(crate) fn issue(keys: &mut Vec<Key>, id: &str, valid: Duration) -> Key {
    let key = Key {
        id: format!("ASIAFAKE{id}"),
        secret: format!("scripted-secret-{id}"),
        token: Some(format!("scripted-token-{id}")),
        expires: Some(SystemTime::now() + valid),
    };
    keys.push(key.clone());
    key
}

/// `2026-01-02T03:04:05Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    DateTime::from_secs(seconds as i64).fmt(Format::DateTime).expect("a time of this century can be written")
}
