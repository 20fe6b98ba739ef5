//! Attribute actions, shared by the processors that edit attributes: insert, update, upsert, delete, hash, extract,
//! convert (Go: `attraction`). Works on one attribute set; which sets is the processor's business.

use std::sync::Arc;

use config::pattern::GoRegex;
use config::{Diagnostic, Node, Spanned, Value};
use proto::batch::ClientHeaders;
use proto::otlp::{AnyNode, NestedValue};
use proto::{Meta, Peer, SymbolId, Tables, ValueId, ValueKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// One entry of a list of actions as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ActionConfig {
    /// Attribute that the action is about.
    pub key: Spanned<String>,
    /// `insert`, `update`, ...; any case.
    pub action: Spanned<String>,
    /// Literal value.
    pub value: Option<Node>,
    /// Other attribute whose value is taken.
    pub from_attribute: Spanned<String>,
    /// What of the request is taken: `metadata.x-tenant` or `x-tenant`, `client.address`.
    pub from_context: Spanned<String>,
    /// Value when the source is not there.
    pub default_value: Option<Node>,
    /// Regular expression of delete, hash and extract.
    pub pattern: Spanned<String>,
    /// `string`, `int` or `double`.
    pub converted_type: Spanned<String>,
}

/// The request that a batch came with, as far as actions use it.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    headers: Option<Arc<ClientHeaders>>,
    peer: Option<Peer>,
    username: Option<Arc<str>>,
}

impl Origin {
    pub(crate) fn of(meta: &Meta) -> Origin {
        Origin { headers: meta.client.clone(), peer: meta.peer, username: meta.username.clone() }
    }

    /// True for a batch that was scraped or joined.
    pub(crate) fn is_unknown(&self) -> bool {
        self.headers.is_none() && self.peer.is_none() && self.username.is_none()
    }
}

/// The pairs of a set while they are edited.
pub(crate) type Pairs = Vec<(SymbolId, ValueId)>;

/// A checked list of actions.
pub(crate) struct Actions(Vec<Action>);

struct Action {
    key: String,
    does: Does,
}

enum Does {
    Set { when: When, source: Source },
    Delete { pattern: Option<GoRegex> },
    Hash { pattern: Option<GoRegex> },
    Extract { pattern: GoRegex, groups: Vec<(usize, String)> },
    Convert(ValueKind),
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    Absent,
    Present,
    Always,
}

struct Source {
    from: From,
    default: Option<Literal>,
}

enum From {
    Nothing,
    Value(Literal),
    Attribute(String),
    Metadata(String),
    Address,
    Username,
}

#[derive(Clone)]
enum Literal {
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Nested(NestedValue),
}

impl Actions {
    /// Checks a list; every problem is reported.
    pub(crate) fn compile(list: &[Spanned<ActionConfig>], found: &mut Vec<Diagnostic>) -> Actions {
        let mut actions = Vec::new();
        for (index, config) in list.iter().enumerate() {
            match compile(config, index) {
                Ok(action) => actions.push(action),
                Err(text) => found.push(config.error(text).help(HELP)),
            }
        }
        Actions(actions)
    }

    /// Applies all of them in order.
    pub(crate) fn apply(&self, pairs: &mut Pairs, tables: &mut Tables, origin: &Origin) {
        for action in &self.0 {
            action.apply(pairs, tables, origin);
        }
    }
}

const HELP: &str = "an action is {key: NAME, action: insert, value: TEXT}; update and upsert take the same, delete and hash a key \
    or a pattern, extract a pattern, convert a converted_type";

/// What an action may do.
const VERBS: [&str; 7] = ["insert", "update", "upsert", "delete", "hash", "extract", "convert"];

fn compile(config: &ActionConfig, index: usize) -> Result<Action, String> {
    let key = config.key.value.clone();
    let verb = config.action.to_ascii_lowercase();
    let has_pattern = !config.pattern.is_empty();
    if key.is_empty() && !(matches!(verb.as_str(), "delete" | "hash") && has_pattern) {
        return Err(format!("error creating AttrProc due to missing required field \"key\" at the {index}-th action"));
    }
    let fail = |text: &str| {
        format!(
            "error with key {key:?} ({index}-th action): error creating AttrProc{} {text}",
            if text.starts_with("Either") { "." } else { "" }
        )
    };
    if !VERBS.contains(&verb.as_str()) {
        return Err(fail(&format!("due to unsupported action {verb:?}; valid actions are: {}", VERBS.join(", "))));
    }
    let sets = matches!(verb.as_str(), "insert" | "update" | "upsert");
    let sources = [
        config.value.as_ref().is_some_and(|n| !n.is_null()),
        !config.from_attribute.is_empty(),
        !config.from_context.is_empty(),
    ];
    let source_count = sources.iter().filter(|given| **given).count();
    let has_default = config.default_value.as_ref().is_some_and(|n| !n.is_null());
    if !sets && (source_count > 0 || has_default) {
        return Err(fail(&format!("due to value sources being set for the action {verb:?}, which takes none")));
    }
    if has_pattern && !matches!(verb.as_str(), "delete" | "hash" | "extract") {
        return Err(fail(&format!("due to \"pattern\" being set for the action {verb:?}, which takes none")));
    }
    if !config.converted_type.is_empty() && verb != "convert" {
        return Err(fail(&format!("due to \"converted_type\" being set for the action {verb:?}, which takes none")));
    }
    let pattern = || GoRegex::new(&config.pattern).map_err(|e| fail(&format!("due to a bad pattern: {e}")));
    let does = match verb.as_str() {
        "insert" | "update" | "upsert" => {
            if source_count == 0 && !has_default {
                return Err(fail(
                    "Either field \"value\", \"from_attribute\", \"from_context\", or \"default_value\" must be specified",
                ));
            }
            if source_count > 1 {
                return Err(fail("due to multiple value sources being set"));
            }
            let when = match verb.as_str() {
                "insert" => When::Absent,
                "update" => When::Present,
                _ => When::Always,
            };
            Does::Set { when, source: source(config).map_err(|e| fail(&e))? }
        }
        "delete" => Does::Delete { pattern: has_pattern.then(pattern).transpose()? },
        "hash" => Does::Hash { pattern: has_pattern.then(pattern).transpose()? },
        "extract" => {
            if !has_pattern {
                return Err(fail("due to missing required field \"pattern\" for the action \"extract\""));
            }
            let pattern = pattern()?;
            let groups = group_names(&pattern).map_err(|e| fail(&e))?;
            Does::Extract { pattern, groups }
        }
        // The last of the verbs.
        _ => Does::Convert(match config.converted_type.as_str() {
            "string" => ValueKind::Str,
            "int" => ValueKind::Int,
            "double" => ValueKind::Double,
            "" => return Err(fail("due to missing required field \"converted_type\" for the action \"convert\"")),
            other => return Err(fail(&format!("due to invalid value {other:?} in field \"converted_type\""))),
        }),
    };
    Ok(Action { key, does })
}

fn source(config: &ActionConfig) -> Result<Source, String> {
    let literal_of = |node: &Option<Node>| node.as_ref().filter(|n| !n.is_null()).map(literal).transpose();
    let context = config.from_context.as_str();
    let from = if let Some(value) = literal_of(&config.value)? {
        From::Value(value)
    } else if !config.from_attribute.is_empty() {
        From::Attribute(config.from_attribute.value.clone())
    } else if context == "auth.username" {
        From::Username
    } else if context.starts_with("auth.") {
        return Err(format!(
            "due to from_context {context:?}: of what authenticators know, only auth.username of basicauth is shown"
        ));
    } else if context == "client.address" {
        From::Address
    } else if !context.is_empty() {
        From::Metadata(context.strip_prefix("metadata.").unwrap_or(context).to_ascii_lowercase())
    } else {
        From::Nothing
    };
    Ok(Source { from, default: literal_of(&config.default_value)? })
}

fn literal(node: &Node) -> Result<Literal, String> {
    let tree = tree(node)?;
    Ok(match tree {
        AnyNode::Str(text) => Literal::Text(text.to_owned()),
        AnyNode::Bool(value) => Literal::Bool(value),
        AnyNode::Int(value) => Literal::Int(value),
        AnyNode::Double(value) => Literal::Double(value),
        _ => match NestedValue::new(&tree) {
            Some(nested) => Literal::Nested(nested),
            None => return Err(format!("due to an unsupported value: {}", node.value.describe())),
        },
    })
}

fn tree(node: &Node) -> Result<AnyNode<'_>, String> {
    Ok(match &node.value {
        Value::Null => AnyNode::Empty,
        Value::Str(text) => AnyNode::Str(text),
        Value::Bool(value) => AnyNode::Bool(*value),
        Value::Int(value) => {
            AnyNode::Int(i64::try_from(*value).map_err(|_| format!("due to {value} being out of the range of int64"))?)
        }
        Value::Float(value) => AnyNode::Double(*value),
        Value::Seq(items) => AnyNode::Array(items.iter().map(tree).collect::<Result<_, _>>()?),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| Ok((&*key.name, tree(value)?)));
            AnyNode::Map(pairs.collect::<Result<_, String>>()?)
        }
    })
}

/// Group numbers and names of a pattern; all must be named and there must be one.
fn group_names(pattern: &GoRegex) -> Result<Vec<(usize, String)>, String> {
    let names = pattern.group_names();
    if names.is_empty() {
        return Err("as there are no named matcher groups in field \"pattern\"".to_owned());
    }
    let named = |(i, name): (usize, Option<String>)| match name {
        Some(name) => Ok((i + 1, name)),
        None => Err("as there are unnamed matcher groups in field \"pattern\"".to_owned()),
    };
    names.into_iter().enumerate().map(named).collect()
}

impl Action {
    fn apply(&self, pairs: &mut Pairs, tables: &mut Tables, origin: &Origin) {
        match &self.does {
            Does::Set { when, source } => {
                let at = position(pairs, tables, &self.key);
                if *when == When::Absent && at.is_some() || *when == When::Present && at.is_none() {
                    return;
                }
                if let Some(value) = source.value(pairs, tables, origin) {
                    put(pairs, tables, &self.key, value);
                }
            }
            Does::Delete { pattern } => {
                self.matching(pairs, tables, pattern.as_ref()).into_iter().rev().for_each(|i| {
                    pairs.remove(i);
                })
            }
            Does::Hash { pattern } => {
                for i in self.matching(pairs, tables, pattern.as_ref()) {
                    let text = hash(tables, pairs[i].1);
                    pairs[i].1 = tables.string_value(&text);
                }
            }
            Does::Extract { pattern, groups } => self.extract(pairs, tables, pattern, groups),
            Does::Convert(kind) => {
                if let Some(i) = position(pairs, tables, &self.key)
                    && let Some(value) = convert(tables, pairs[i].1, *kind)
                {
                    pairs[i].1 = value;
                }
            }
        }
    }

    /// Indexes of the pair under `key` and of those whose key matches the pattern.
    fn matching(&self, pairs: &Pairs, tables: &Tables, pattern: Option<&GoRegex>) -> Vec<usize> {
        let wanted =
            |key: &str| !self.key.is_empty() && key == self.key || pattern.is_some_and(|pattern| pattern.is_match(key));
        (0..pairs.len()).filter(|&i| wanted(tables.str(pairs[i].0))).collect()
    }

    fn extract(&self, pairs: &mut Pairs, tables: &mut Tables, pattern: &GoRegex, groups: &[(usize, String)]) {
        let Some(i) = position(pairs, tables, &self.key) else { return };
        if tables.attrs.kind(pairs[i].1) != ValueKind::Str {
            return;
        }
        let text = tables.value_str(pairs[i].1).to_owned();
        let mut captures = pattern.captures();
        if !pattern.captures_into(&text, &mut captures) {
            return;
        }
        for (group, name) in groups {
            let part = pattern.group(&captures, *group).map_or("", |range| &text[range]);
            let value = tables.string_value(part);
            put(pairs, tables, name, value);
        }
    }
}

impl Source {
    fn value(&self, pairs: &Pairs, tables: &mut Tables, origin: &Origin) -> Option<ValueId> {
        let found = match &self.from {
            From::Nothing => None,
            From::Value(literal) => Some(literal.intern(tables)),
            From::Attribute(name) => position(pairs, tables, name).map(|i| pairs[i].1),
            From::Metadata(name) => {
                let values = origin.headers.as_ref().and_then(|c| c.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)));
                values.map(|(_, values)| tables.string_value(&values.join(";")))
            }
            From::Username => origin.username.as_ref().map(|user| tables.string_value(user)),
            From::Address => origin.peer.map(|peer| tables.string_value(&peer.to_string())),
        };
        found.or_else(|| self.default.as_ref().map(|literal| literal.intern(tables)))
    }
}

impl Literal {
    fn intern(&self, tables: &mut Tables) -> ValueId {
        match self {
            Literal::Text(text) => tables.string_value(text),
            Literal::Bool(value) => {
                scalar(tables, ValueKind::Bool, u64::from(*value), if *value { "true" } else { "false" })
            }
            Literal::Int(value) => int(tables, *value),
            Literal::Double(value) => double(tables, *value),
            Literal::Nested(value) => value.intern(tables),
        }
    }
}

fn position(pairs: &Pairs, tables: &Tables, key: &str) -> Option<usize> {
    let key = tables.symbols.lookup(key)?;
    pairs.iter().position(|(k, _)| *k == key)
}

fn put(pairs: &mut Pairs, tables: &mut Tables, key: &str, value: ValueId) {
    let key = tables.symbols.intern(key);
    match pairs.iter_mut().find(|(k, _)| *k == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

fn scalar(tables: &mut Tables, kind: ValueKind, bits: u64, text: &str) -> ValueId {
    let text = tables.symbols.intern(text);
    tables.attrs.scalar(kind, bits, text)
}

fn int(tables: &mut Tables, value: i64) -> ValueId {
    scalar(tables, ValueKind::Int, value.cast_unsigned(), &value.to_string())
}

fn double(tables: &mut Tables, value: f64) -> ValueId {
    let mut text = Vec::new();
    proto::number::push_json_f64(&mut text, value);
    scalar(tables, ValueKind::Double, value.to_bits(), &String::from_utf8_lossy(&text))
}

/// Lower-case hex SHA-256 of the value's bytes; empty for kinds without a byte form (Go: `sha2Hasher`).
fn hash(tables: &Tables, value: ValueId) -> String {
    let digest = match (tables.attrs.kind(value), tables.attrs.typed(value)) {
        (ValueKind::Str, _) => Sha256::digest(tables.value_str(value).as_bytes()),
        (ValueKind::Int | ValueKind::Double, Some(typed)) => Sha256::digest(typed.bits.to_le_bytes()),
        (ValueKind::Bool, Some(typed)) => Sha256::digest([typed.bits as u8]),
        _ => return String::new(),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value as another kind; `None` leaves it as it is.
fn convert(tables: &mut Tables, value: ValueId, to: ValueKind) -> Option<ValueId> {
    let from = tables.attrs.kind(value);
    let bits = tables.attrs.typed(value).map_or(0, |typed| typed.bits);
    let text = tables.value_str(value).to_owned();
    match (from, to) {
        (from, to) if from == to => None,
        (_, ValueKind::Str) => Some(tables.string_value(&text)),
        (ValueKind::Str, ValueKind::Int) => text.parse().ok().map(|value| int(tables, value)),
        (ValueKind::Str, ValueKind::Double) => text.parse().ok().map(|value| double(tables, value)),
        (ValueKind::Bool, ValueKind::Int) => Some(int(tables, bits.cast_signed())),
        (ValueKind::Bool, ValueKind::Double) => Some(double(tables, bits as f64)),
        (ValueKind::Double, ValueKind::Int) => Some(int(tables, f64::from_bits(bits) as i64)),
        (ValueKind::Int, ValueKind::Double) => Some(double(tables, bits.cast_signed() as f64)),
        _ => None,
    }
}
