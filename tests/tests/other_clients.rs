//! Clients in another language, on the same keys as a live handle.

use std::process::Stdio;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig, KvConfig, Live, Revision};
use kvconf_tests::python::nats_py;
use kvconf_tests::server::Server;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(30);

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    #[kv(default = "3s")]
    timeout: Duration,
    #[kv(default = ["NL", "BE"])]
    countries: Vec<String>,
    greeting: Option<String>,
}

/// Python's own client in a process of its own.
struct Python {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start(server: &Server) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/kv.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(server.url()).arg("settings").env("PYTHONPATH", nats_py());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output).lines() }
    }

    /// Runs one command of the script.
    async fn run(&mut self, command: Value) -> Value {
        // Where it has ended, what it said tells more than the broken pipe.
        let _ = self.input.write_all(format!("{command}\n").as_bytes()).await;
        let line = timeout(BOUND, self.output.next_line()).await.expect("an answer in time").unwrap();
        let Some(line) = line else {
            let mut complaint = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut complaint).await.unwrap();
            panic!("{command}: {complaint}");
        };
        serde_json::from_str(&line).unwrap()
    }

    async fn write(&mut self, command: Value) -> Revision {
        Revision::new(self.run(command).await.as_u64().unwrap())
    }
}

async fn started() -> (Server, Bucket, Live<Checkout>, Python) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("settings")).await.unwrap();
    let live = bucket.live().start().await.unwrap();
    let python = Python::start(&server);
    (server, bucket, live, python)
}

async fn reach(live: &Live<Checkout>, revision: Revision) {
    timeout(BOUND, live.wait_for(revision)).await.expect("in time").unwrap();
}

#[tokio::test]
async fn what_python_writes_as_text_is_what_a_live_handle_reads() {
    let (_server, bucket, live, mut python) = started().await;
    python.write(json!(["put", "checkout.max_items", "80"])).await;
    python.write(json!(["put", "checkout.timeout", "1m 30s"])).await;
    python.write(json!(["put", "checkout.countries", "[\"FR\"]"])).await;
    let revision = python.write(json!(["create", "checkout.greeting", "Grüezi"])).await;
    reach(&live, revision).await;
    let expected = Checkout {
        max_items: 80,
        timeout: Duration::from_secs(90),
        countries: vec!["FR".to_owned()],
        greeting: Some("Grüezi".to_owned()),
    };
    assert_eq!((live.load().value(), live.load().revision()), (&expected, revision));

    assert_eq!(python.run(json!(["delete", "checkout.greeting"])).await, json!(true));
    assert_eq!(python.run(json!(["delete", "checkout.max_items"])).await, json!(true));
    let revision = bucket.entry("checkout.max_items").await.unwrap().unwrap().revision();
    reach(&live, revision).await;
    let expected = Checkout { max_items: 50, greeting: None, ..expected };
    assert_eq!(live.load().value(), &expected);
    // Over the marker of its own deletion.
    let revision = python.write(json!(["create", "checkout.max_items", "60"])).await;
    reach(&live, revision).await;
    assert_eq!(live.load().max_items, 60);
}

// P7
#[tokio::test]
async fn what_a_commit_writes_python_reads_with_its_author() {
    let (_server, _bucket, live, mut python) = started().await;
    let fields = Checkout::fields();
    let edit = live.edit().set(fields.max_items, 80).set(fields.timeout, Duration::from_secs(90));
    let edit =
        edit.set(fields.countries, vec!["FR".to_owned()]).set(fields.greeting, Some("Grüezi".to_owned()));
    let applied = edit.plan().await.unwrap().commit().author("eva").reason("sale").await.unwrap();
    let stored = [
        ("checkout.countries", "[\"FR\"]"),
        ("checkout.greeting", "Grüezi"),
        ("checkout.max_items", "80"),
        ("checkout.timeout", "1m 30s"),
    ];
    for ((key, text), revision) in stored.into_iter().zip(1..) {
        let found = python.run(json!(["get", key])).await;
        assert_eq!((&found["value"], &found["revision"]), (&json!(text), &json!(revision)));
        let headers = &found["headers"];
        assert_eq!((&headers["Kvconf-Author"], &headers["Kvconf-Reason"]), (&json!("eva"), &json!("sale")));
        assert_eq!(headers["Kvconf-Change"], applied.change());
    }
    let applied = live.update(|checkout| checkout.greeting = None).author("ops").await.unwrap();
    assert_eq!(applied.written().len(), 1);
    assert_eq!(python.run(json!(["get", "checkout.greeting"])).await, Value::Null);
}

// P3, P6
#[tokio::test]
async fn nonsense_and_races_from_python_are_met_as_any_others() {
    let (_server, bucket, live, mut python) = started().await;
    let stale = live.edit().set(Checkout::fields().max_items, 70).plan().await.unwrap();
    let revision = python.write(json!(["put", "checkout.max_items", "80"])).await;
    let conflict = stale.commit().author("eva").await.unwrap_err();
    assert_eq!(
        conflict.to_string(),
        format!("checkout.max_items was changed meanwhile: based on no value, now at revision {revision}")
    );
    let revision = python.write(json!(["put", "checkout.max_items", "lots"])).await;
    let rejected = timeout(BOUND, live.wait_for(revision)).await.expect("in time").unwrap_err();
    assert_eq!(rejected.to_string(), format!("revision {revision} was rejected"));
    assert_eq!(live.load().max_items, 80);
    let problems = live.health().report.unwrap().problems.clone();
    assert_eq!(problems[0].to_string(), "checkout.max_items: `lots` is not a whole number (u32)");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().unwrap(), "lots");
}
