//! The example service against a real server, by a real HTTP client, while its settings change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use kvconf::{Bucket, BucketConfig, KvConfig, Live};
use kvconf_examples::service::{self, Settings};
use kvconf_tests::server::Server;
use kvconf_tests::wait_for;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const BOUND: Duration = Duration::from_secs(120);

/// The service as it runs in production, on a port of its own.
struct Running {
    server: Server,
    bucket: Bucket,
    live: Live<Settings>,
    address: SocketAddr,
    end: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    async fn start() -> Self {
        let server = Server::start().await;
        let bucket = Bucket::create(server.client().await, BucketConfig::new("settings")).await.unwrap();
        let live = bucket.live::<Settings>().start().await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, asked) = oneshot::channel::<()>();
        let ended = tokio::spawn(service::run(listener, live.clone(), async {
            let _ = asked.await;
        }));
        Self { server, bucket, live, address, end, ended }
    }

    async fn connect(&self) -> Http {
        Http::connect(self.address).await
    }

    /// Another process that operates the service.
    async fn operator(&self) -> Live<Settings> {
        let bucket = Bucket::open(self.server.client().await, "settings").await.unwrap();
        bucket.live().start().await.unwrap()
    }

    async fn end(self) {
        self.end.send(()).unwrap();
        tokio::time::timeout(BOUND, self.ended).await.expect("the service ends").unwrap().unwrap();
    }
}

/// One connection that is kept.
struct Http(SendRequest<Full<Bytes>>);

impl Http {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("host", "service");
        let request = request.body(Full::from(body)).unwrap();
        self.0.ready().await.unwrap();
        let response =
            tokio::time::timeout(BOUND, self.0.send_request(request)).await.expect("an answer").unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{status}: {body:?}")))
    }

    async fn get(&mut self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, String::new()).await
    }

    async fn checkout(&mut self, items: usize) -> (StatusCode, Value) {
        self.send(Method::POST, "/checkout", json!(vec![json!({ "sku": "tea" }); items]).to_string()).await
    }
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// Three settings that an operator keeps in step.
fn in_step(low: u64) -> (u64, u64) {
    (low * 2, 1 + low % 400)
}

/// Asserts that the settings of an answer belong to one change, and gives their revision.
fn one_change(settings: &Value) -> u64 {
    let (high, max_items) = in_step(number(settings, "low"));
    assert_eq!(
        (number(settings, "high"), number(settings, "max_items")),
        (high, max_items),
        "P2: {settings}"
    );
    number(settings, "revision")
}

/// Asks until `changes` says that enough was changed meanwhile; gives the number of requests and of revisions seen.
async fn customer(mut http: Http, salt: usize, changes: Arc<AtomicU64>) -> (usize, usize) {
    const REQUESTS: usize = 1_000;
    const CHANGES: u64 = 150;
    let (mut last, mut revisions, mut requests) = (0, 0, 0);
    while requests < REQUESTS || changes.load(Ordering::Relaxed) < CHANGES {
        requests += 1;
        let settings = if requests % 4 == 0 {
            let (status, settings) = http.get("/limits").await;
            assert_eq!(status, StatusCode::OK);
            settings
        } else {
            let items = (requests * 7 + salt) % 400;
            let (status, answer) = http.checkout(items).await;
            let allowed = number(&answer["settings"], "max_items");
            // The decision and the settings that it is told with are of one moment.
            let expected =
                if items as u64 > allowed { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            assert_eq!(status, expected, "{items} items, {answer}");
            answer["settings"].clone()
        };
        let revision = one_change(&settings);
        assert!(revision >= last, "P4: {revision} after {last}");
        revisions += usize::from(revision > last);
        last = revision;
    }
    (requests, revisions)
}

// P1, P2, P4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_or_sees_a_mix_while_settings_change() {
    let running = Running::start().await;
    let operator = running.operator().await;
    let fields = Settings::fields();
    let change = async |low: u64| {
        let (high, max_items) = in_step(low);
        let edit = operator.edit().set(fields.load.low, low as usize).set(fields.load.high, high as usize);
        let plan = edit.set(fields.limits.max_items, max_items as usize).plan().await.unwrap();
        plan.commit().author("ops").reason("load").await.unwrap()
    };
    running.live.wait_for(change(1_000).await.revision()).await.unwrap();

    let changes = Arc::new(AtomicU64::new(0));
    let mut customers = tokio::task::JoinSet::new();
    for salt in 0..4 {
        customers.spawn(customer(running.connect().await, salt, Arc::clone(&changes)));
    }
    let operating = async {
        for low in 1_001.. {
            change(low).await;
            changes.fetch_add(1, Ordering::Relaxed);
        }
    };
    let served = tokio::select! {
        served = tokio::time::timeout(BOUND, customers.join_all()) => served.expect("the customers are done"),
        () = operating => unreachable!("it goes on for ever"),
    };
    println!(
        "{} changes; requests and revisions of each customer: {served:?}",
        changes.load(Ordering::Relaxed)
    );
    assert!(served.iter().all(|(_, revisions)| *revisions > 50), "{served:?}");
    running.end().await;
}

// P3, P5
#[tokio::test]
async fn a_bad_value_is_reported_and_the_last_good_one_serves() {
    let running = Running::start().await;
    let mut http = running.connect().await;
    let (status, health) = http.get("/health").await;
    let good = json!({
        "ready": true, "current": true, "watch": "live", "applied": 0, "seen": 0, "report": null
    });
    assert_eq!((status, health), (StatusCode::OK, good));

    // By a client that checks nothing.
    let kv = running.bucket.kv_store().await.unwrap();
    kv.put("checkout.limits.max_items", "3".into()).await.unwrap();
    kv.put("checkout.limits.max_items", "many".into()).await.unwrap();
    kv.put("checkout.load.low", "900".into()).await.unwrap();
    let report = wait_for("the report", BOUND, async || {
        let (status, health) = http.get("/health").await;
        // Ready all the same: taking the service away would make it worse.
        assert_eq!((status, &health["ready"]), (StatusCode::OK, &json!(true)));
        (health["seen"] == 3).then(|| {
            assert_eq!((&health["current"], &health["applied"]), (&json!(false), &json!(1)));
            health["report"].as_str().unwrap().to_owned()
        })
    })
    .await;
    insta::assert_snapshot!(without_times(&report), @r"
    error: 2 problems in Settings (bucket settings, revision 3); still serving revision 1
      × checkout.limits.max_items: `many` is not a whole number (u64)
          revision 2, hh:mm; before: 3
          help: kvconf rollback checkout.limits.max_items --to 1
      × checkout.load: low (900) must be less than high (200)
          low from revision 3 · high from the default
    ");
    assert_eq!(http.checkout(3).await.0, StatusCode::OK);
    let (status, answer) = http.checkout(4).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["error"], "4 items are too many, the most is 3");

    kv.put("checkout.limits.max_items", "4".into()).await.unwrap();
    kv.put("checkout.load.high", "1000".into()).await.unwrap();
    wait_for("all is well", BOUND, async || (http.get("/health").await.1["current"] == true).then_some(()))
        .await;
    let (_, health) = http.get("/health").await;
    assert_eq!((&health["report"], &health["applied"]), (&Value::Null, &json!(5)));
    let (status, answer) = http.checkout(4).await;
    assert_eq!((status, number(&answer["settings"], "high")), (StatusCode::OK, 1_000));
    running.end().await;
}

/// A report with `hh:mm` for the times of day.
fn without_times(report: &str) -> String {
    let hidden = |word: &str| {
        let digits = word.trim_end_matches([',', ';']);
        let is_time = digits.len() == 5 && digits.as_bytes()[2] == b':';
        if is_time { word.replace(digits, "hh:mm") } else { word.to_owned() }
    };
    report.split(' ').map(hidden).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_limit_is_the_one_in_the_bucket() {
    let running = Running::start().await;
    let mut http = running.connect().await;
    let live = &running.live;
    let fields = Settings::fields();
    let edit = live
        .edit()
        .set(fields.limits.max_body, kvconf::ByteSize::bytes(40))
        .set(fields.timeout, Duration::from_millis(20));
    let plan = edit.set(fields.log_level, service::Level::Debug).plan().await.unwrap();
    let revision = plan.commit().author("ops").await.unwrap().revision();
    live.wait_for(revision).await.unwrap();

    let (_, limits) = http.get("/limits").await;
    let expected = json!({
        "revision": 3, "max_items": 50, "max_body": "40 B", "high": 200, "low": 100, "timeout_ms": 20,
        "log_level": "debug"
    });
    assert_eq!(limits, expected);
    let (status, answer) = http.checkout(5).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer["error"], "the body is larger than 40 B, or broke off");
    let slow = json!([{ "sku": "tea", "delay_ms": 60_000 }]).to_string();
    let (status, answer) = http.send(Method::POST, "/checkout", slow).await;
    assert_eq!((status, &answer["error"]), (StatusCode::GATEWAY_TIMEOUT, &json!("it took longer than 20ms")));
    let (status, _) = http.send(Method::POST, "/checkout", "{".to_owned()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    running.end().await;
}
