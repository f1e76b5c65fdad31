//! What other tools see and can do: the service protocol, and plain requests.

use std::time::Duration;

use async_nats::Client;
use kvconf::fleet::Instance;
use kvconf::{Bucket, BucketConfig, KvConfig, Live};
use kvconf_tests::server::Server;
use serde_json::Value;

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct App {
    #[kv(default = 5, range(1..=100))]
    max: u32,
}

async fn begin() -> (Server, Client, Live<App>) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let instance = Instance::named("my app").id("pod 7.a").version("1.4.2").host("node");
    let live = bucket.live().instance(instance).start().await.unwrap();
    let client = server.client().await;
    (server, client, live)
}

async fn ask(client: &Client, subject: &str, payload: &'static str) -> (Value, Option<String>) {
    let answer =
        tokio::time::timeout(Duration::from_secs(10), client.request(subject.to_owned(), payload.into()));
    let answer = answer.await.unwrap().unwrap();
    let code =
        answer.headers.and_then(|headers| headers.get("Nats-Service-Error-Code").map(ToString::to_string));
    (serde_json::from_slice(&answer.payload).unwrap(), code)
}

#[tokio::test]
async fn the_service_protocol_finds_instances() {
    let (_server, client, _live) = begin().await;
    let id = "pod=207=2Ea";
    for subject in ["$SRV.PING".to_owned(), "$SRV.PING.kvconf".to_owned(), format!("$SRV.PING.kvconf.{id}")] {
        let (pong, _) = ask(&client, &subject, "").await;
        assert_eq!(
            (&pong["type"], &pong["name"], &pong["id"], &pong["version"]),
            (&"io.nats.micro.v1.ping_response".into(), &"kvconf".into(), &id.into(), &"1.4.2".into())
        );
    }
    let (info, _) = ask(&client, "$SRV.INFO.kvconf", "").await;
    assert_eq!(info["description"], "settings of pod 7.a (my app 1.4.2 on node) from bucket b");
    assert_eq!((&info["metadata"]["name"], &info["metadata"]["id"]), (&"my app".into(), &"pod 7.a".into()));
    let subjects: Vec<&str> = info["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["kvconf.b.who", "kvconf.b.*.app"]);
    ask(&client, "kvconf.b.who", "garbage").await;
    let (stats, _) = ask(&client, "$SRV.STATS.kvconf", "").await;
    let first = &stats["endpoints"][0];
    assert_eq!((&first["num_requests"], &first["num_errors"]), (&1.into(), &1.into()));
    assert_eq!(first["last_error"], "the question cannot be read at line 1 column 1");
}

// P10
#[tokio::test]
async fn garbage_is_answered_with_an_error_and_the_next_question_as_ever() {
    let (_server, client, _live) = begin().await;
    for (subject, payload, message) in [
        ("kvconf.b.who", "", "the question cannot be read at line 1 column 0"),
        ("kvconf.b.what.app", "{}", "nobody answers to what.app"),
        ("kvconf.b.who", r#"{"v":9}"#, "version 9 of the protocol is unknown, 1 is spoken"),
        ("kvconf.b.preflight.app", r#"{"v":1}"#, "the question has no changes"),
        (
            "kvconf.b.preflight.app",
            r#"{"v":1,"changes":[{"key":"","expected":0}]}"#,
            "a key must not be empty",
        ),
        (
            "kvconf.b.settled.app",
            r#"{"v":1,"revision":-1}"#,
            "the question cannot be read at line 1 column 20",
        ),
    ] {
        if subject.contains("what") {
            // Subjects that are no question reach nobody but those who listen for the prefix.
            assert_eq!(ask(&client, subject, payload).await.0["error"]["message"], message);
            continue;
        }
        let (answer, code) = ask(&client, subject, payload).await;
        assert_eq!(
            (answer["error"]["message"].as_str(), code.as_deref()),
            (Some(message), Some("400")),
            "{payload}"
        );
    }
    let (answer, code) = ask(
        &client,
        "kvconf.b.preflight.app",
        r#"{"v":1,"new":1,"changes":[{"key":"app.max","expected":0,"put":"101","new":1},{"key":"zzz","expected":0,"put":"1"}]}"#,
    )
    .await;
    assert_eq!(code, None);
    assert_eq!(
        answer,
        serde_json::json!({
            "v": 1, "id": "pod 7.a", "name": "my app", "version": "1.4.2", "host": "node",
            "preflight": [{
                "struct": "App", "verdict": "rejects", "base": "same", "applied": 0, "seen": 0,
                "problems": [{ "key": "app.max", "message": "101 is outside 1..=100", "warning": false }],
                "more_problems": 0,
            }],
        })
    );
}
