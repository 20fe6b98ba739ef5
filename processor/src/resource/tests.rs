//! Every action on resource attributes, and the texts of mistakes.

use std::sync::Arc;

use proto::{Batch, BuildContext, Meta, Peer, Tables, ValueKind};

use super::FACTORY;
use crate::AnyProcessor;

fn build(yaml: &str) -> Result<AnyProcessor, Vec<String>> {
    let node = config::parse_yaml("t.yaml", yaml).0.unwrap();
    let (built, found) = (FACTORY.build)(&node, &BuildContext::for_test("resource"));
    if found.is_empty() { Ok(built.unwrap()) } else { Err(found.into_iter().map(|d| d.message).collect()) }
}

/// Attributes of the first resource as `key=value:Kind`.
fn attributes(tables: &Tables) -> Vec<String> {
    let pairs = tables.attrs.pairs(tables.resources[0].attrs);
    pairs
        .iter()
        .map(|&(k, v)| format!("{}={}:{:?}", tables.str(k), tables.value_str(v), tables.attrs.kind(v)))
        .collect()
}

fn batch(pairs: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::default();
    let tables = batch.tables_mut();
    let attrs = tables.string_set(pairs);
    tables.resources.push(proto::Resource { attrs, present: true, ..proto::Resource::default() });
    batch
}

fn check(actions: &str, input: &[(&str, &str)], expected: &[&str]) {
    let Ok(AnyProcessor::Inline(mut processor)) = build(&format!("attributes: [{actions}]")) else {
        panic!("{actions}: {:?}", build(&format!("attributes: [{actions}]")).err())
    };
    for shared in [false, true] {
        let mut b = batch(input);
        b.meta.shared_tables = shared;
        processor.process(&mut b);
        assert_eq!(attributes(&b.tables), expected, "{actions}, shared tables: {shared}");
    }
}

#[test]
fn every_action_edits_as_the_collector_does() {
    let ab = &[("a", "1"), ("b", "x")][..];
    check("{key: c, value: v, action: insert}", ab, &["a=1:Str", "b=x:Str", "c=v:Str"]);
    check("{key: a, value: v, action: INSERT}", ab, &["a=1:Str", "b=x:Str"]);
    check("{key: a, value: 5, action: update}", ab, &["a=5:Int", "b=x:Str"]);
    check("{key: c, value: 5, action: update}", ab, &["a=1:Str", "b=x:Str"]);
    check("{key: c, value: 1.5, action: upsert}", ab, &["a=1:Str", "b=x:Str", "c=1.5:Double"]);
    check("{key: c, value: true, action: upsert}", ab, &["a=1:Str", "b=x:Str", "c=true:Bool"]);
    check("{key: a, value: [1, 1.5, x, null], action: update}", ab, &["a=[1,1.5,\"x\",null]:Array", "b=x:Str"]);
    check("{key: c, value: {y: [true], x: '1'}, action: insert}", &[], &["c={\"x\":\"1\",\"y\":[true]}:Map"]);
    check("{key: c, from_attribute: zz, default_value: [], action: insert}", &[], &["c=[]:Array"]);
    check("{key: c, from_attribute: b, action: insert}, {key: b, action: delete}", ab, &["a=1:Str", "c=x:Str"]);
    check("{key: c, from_attribute: zz, action: insert}", ab, &["a=1:Str", "b=x:Str"]);
    check("{key: c, from_attribute: zz, default_value: d, action: insert}", ab, &["a=1:Str", "b=x:Str", "c=d:Str"]);
    check("{key: c, default_value: d, action: insert}", ab, &["a=1:Str", "b=x:Str", "c=d:Str"]);
    check("{pattern: '^[ab]$', action: delete}", ab, &[]);
    check("{key: a, action: convert, converted_type: int}", ab, &["a=1:Int", "b=x:Str"]);
    check("{key: b, action: convert, converted_type: int}", ab, &["a=1:Str", "b=x:Str"]);
    check("{key: a, action: convert, converted_type: double}", ab, &["a=1:Double", "b=x:Str"]);
    check(
        "{key: b, action: extract, pattern: '(?P<first>.)(?P<rest>.*)'}",
        ab,
        &["a=1:Str", "b=x:Str", "first=x:Str", "rest=:Str"],
    );
    check(
        "{key: b, action: hash}",
        &[("b", "abc")],
        &["b=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad:Str"],
    );
    check("{key: job, from_context: metadata.x, default_value: d, action: insert}", &[], &["job=d:Str"]);
}

#[test]
fn the_request_of_a_batch_is_a_source() {
    let check = |source: &str, requests: &[(Meta, &str)]| {
        let yaml = format!("attributes: [{{key: x, from_context: {source}, default_value: none, action: insert}}]");
        let Ok(AnyProcessor::Inline(mut p)) = build(&yaml) else { panic!("{yaml} builds") };
        for ((meta, expected), shared_tables) in requests.iter().flat_map(|request| [(request, false), (request, true)])
        {
            let mut b = batch(&[]);
            // Joined batches share tables; what is known of one request must not be remembered for others.
            b.meta = Meta { shared_tables, ..meta.clone() };
            p.process(&mut b);
            assert_eq!(attributes(&b.tables), [format!("x={expected}:Str")], "{source}");
        }
    };
    let headers = |values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Meta { client: Some(Arc::new(vec![("x-tenant".to_owned(), values)])), ..Meta::default() }
    };
    let from = |peer: Peer| Meta { peer: Some(peer), ..Meta::default() };
    let user = |name: &str| Meta { username: Some(name.into()), ..Meta::default() };
    let unknown = (Meta::default(), "none");
    for source in ["X-Tenant", "metadata.x-tenant"] {
        check(source, &[(headers(&["a", "b"]), "a;b"), (headers(&["c"]), "c"), unknown.clone()]);
    }
    let (socket, host) = ("[::ffff:10.0.0.1]:4000".parse().unwrap(), "2001:db8::1".parse().unwrap());
    check(
        "client.address",
        &[(from(Peer::Socket(socket)), "10.0.0.1:4000"), (from(Peer::Host(host)), "2001:db8::1"), unknown.clone()],
    );
    check("auth.username", &[(user("ann"), "ann"), (user("bob"), "bob"), unknown.clone()]);
    check("auth.username", &[(headers(&["a"]), "none"), (user("ann"), "ann")]);
}

#[test]
fn shared_tables_are_edited_once_and_never_in_place() {
    let Ok(AnyProcessor::Inline(mut p)) = build("attributes: [{key: r, value: prometheus, action: insert}]") else {
        panic!("builds")
    };
    let mut first = batch(&[("a", "1")]);
    first.meta.shared_tables = true;
    let mut second = first.clone();
    let original = first.tables.clone();
    p.process(&mut first);
    p.process(&mut second);
    assert!(Arc::ptr_eq(&first.tables, &second.tables));
    assert_eq!(attributes(&original), ["a=1:Str"]);
    assert_eq!(original.attrs.kind(original.attr(original.resources[0].attrs, "a").unwrap()), ValueKind::Str);
}

#[test]
fn mistakes_are_named_as_the_collector_names_them() {
    for (yaml, text) in [
        ("{}", "missing required field \"attributes\""),
        ("attributes: [{action: insert, value: a}]", "missing required field \"key\" at the 0-th action"),
        (
            "attributes: [{key: x, action: insert}]",
            "error with key \"x\" (0-th action): error creating AttrProc. Either field",
        ),
        (
            "attributes: [{key: x, action: foo, value: a}]",
            "due to unsupported action \"foo\"; valid actions are: insert, update, upsert, delete, hash, extract, convert",
        ),
        (
            "attributes: [{key: x, action: insert, value: a, from_attribute: b}]",
            "due to multiple value sources being set",
        ),
        ("attributes: [{key: x, action: delete, value: a}]", "due to value sources being set"),
        ("attributes: [{key: x, action: extract}]", "missing required field \"pattern\""),
        ("attributes: [{key: x, action: extract, pattern: 'a'}]", "no named matcher groups"),
        ("attributes: [{key: x, action: extract, pattern: '(a)'}]", "unnamed matcher groups"),
        ("attributes: [{key: x, action: hash, pattern: '('}]", "missing closing )"),
        ("attributes: [{key: x, action: convert, converted_type: bool}]", "invalid value \"bool\""),
        ("attributes: [{key: x, action: insert, value: [1, {a: 9223372036854775808}]}]", "out of the range of int64"),
        ("attributes: [{key: x, action: insert, from_context: auth.raw}]", "only auth.username of basicauth is shown"),
    ] {
        let texts = build(yaml).err().unwrap_or_else(|| panic!("{yaml} is accepted"));
        assert!(texts.iter().any(|t| t.contains(text)), "{yaml}: {texts:?}");
    }
}
