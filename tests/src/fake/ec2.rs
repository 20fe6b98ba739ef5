//! Answers EC2's `DescribeInstances` (Query API, XML) from a world.

use super::Refusal;
use super::world::{Instance, World};
use serde_json::{Map, Value};

/// Reservations of a page when the caller does not say.
const PAGE: usize = 1000;

/// Answers one operation; `form` holds the request's fields.
pub(crate) fn answer(world: &World, op: &str, form: &Value) -> Result<String, Refusal> {
    match op {
        "DescribeInstances" => describe_instances(world, form),
        _ => Err(Refusal::new(400, "InvalidAction", &format!("The action {op} is not valid for this web service."))),
    }
}

fn describe_instances(world: &World, form: &Value) -> Result<String, Refusal> {
    let ids = numbered(form, "InstanceId");
    if !ids.is_empty() && form.get("MaxResults").is_some() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(Refusal::new(400, "InvalidParameterCombination", message));
    }
    for id in &ids {
        if !id.starts_with("i-") {
            return Err(Refusal::new(400, "InvalidInstanceID.Malformed", &format!("Invalid id: \"{id}\"")));
        }
        if !world.instances.iter().any(|instance| instance.instance_id == *id) {
            let message = format!("The instance ID '{id}' does not exist");
            return Err(Refusal::new(400, "InvalidInstanceID.NotFound", &message));
        }
    }
    let filters = filters(form)?;
    let matching: Vec<&Instance> = world
        .instances
        .iter()
        .filter(|instance| ids.is_empty() || ids.contains(&instance.instance_id))
        .filter(|instance| filters.iter().all(|filter| filter.accepts(instance)))
        .collect();
    let number = |key: &str| form[key].as_str().map(str::parse::<usize>);
    let size = match number("MaxResults") {
        None => PAGE,
        Some(Ok(size @ 5..=1000)) => size,
        Some(_) => return Err(Refusal::new(400, "InvalidParameterValue", "MaxResults must be between 5 and 1000")),
    };
    let start = match number("NextToken") {
        None => 0,
        Some(Ok(start)) if start <= matching.len() => start,
        Some(_) => return Err(Refusal::new(400, "InvalidNextToken", "The token is not valid")),
    };
    let end = matching.len().min(start + size);
    let reservations: String = matching[start..end].iter().map(|instance| reservation(instance)).collect();
    let token = if end < matching.len() { format!("<nextToken>{end}</nextToken>") } else { String::new() };
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
         <requestId>fake</requestId><reservationSet>{reservations}</reservationSet>{token}</DescribeInstancesResponse>"
    ))
}

/// The values of `NAME.1`, `NAME.2`, ... of a form.
fn numbered(form: &Value, name: &str) -> Vec<String> {
    (1..).map_while(|n| form[format!("{name}.{n}")].as_str().map(str::to_owned)).collect()
}

struct Filter {
    field: &'static str,
    values: Vec<String>,
}

impl Filter {
    fn accepts(&self, instance: &Instance) -> bool {
        let value = match self.field {
            "instanceId" => Some(instance.instance_id.as_str()),
            field => instance.rest.get(field).and_then(Value::as_str),
        };
        value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value))
    }
}

fn filters(form: &Value) -> Result<Vec<Filter>, Refusal> {
    let mut filters = Vec::new();
    for n in 1.. {
        let Some(name) = form[format!("Filter.{n}.Name")].as_str() else { break };
        let field = match name {
            "instance-id" => "instanceId",
            "private-ip-address" => "privateIpAddress",
            "vpc-id" => "vpcId",
            "subnet-id" => "subnetId",
            "instance-type" => "instanceType",
            _ => {
                let message = format!("The filter '{name}' is invalid");
                return Err(Refusal::new(400, "InvalidParameterValue", &message));
            }
        };
        let values = numbered(form, &format!("Filter.{n}.Value"));
        if values.len() > 200 {
            let message = "The maximum number of filter values specified on a single call is 200";
            return Err(Refusal::new(400, "FilterLimitExceeded", message));
        }
        filters.push(Filter { field, values });
    }
    Ok(filters)
}

fn reservation(instance: &Instance) -> String {
    let tags: String = instance
        .tags
        .iter()
        .map(|(key, value)| format!("<item><key>{}</key><value>{}</value></item>", escape(key), escape(value)))
        .collect();
    format!(
        "<item><reservationId>r-1</reservationId><ownerId>123456789012</ownerId><instancesSet><item>\
         <instanceId>{}</instanceId>{}<tagSet>{tags}</tagSet></item></instancesSet></item>",
        escape(&instance.instance_id),
        fields(&instance.rest)
    )
}

fn fields(fields: &Map<String, Value>) -> String {
    fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>", element(value))).collect()
}

fn element(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text),
        Value::Array(items) => items.iter().map(|item| format!("<item>{}</item>", element(item))).collect(),
        Value::Object(nested) => fields(nested),
        other => other.to_string(),
    }
}

/// Text as XML content.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
