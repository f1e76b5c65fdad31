//! Credentials that end while a handle is there, on a server that knows its users by signed tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::{Auth, AuthError, Client, ConnectOptions};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kvconf::{Bucket, BucketConfig, Health, WatchState};
use kvconf_tests::server::Server;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{health, live, reach};

/// The seconds since 1970, and so many more.
fn seconds_from_now(more: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + more
}

/// Somebody who signs, and somebody of whom something is said.
struct Operator {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Operator {
    fn new() -> Self {
        let (system, account) = (KeyPair::new_account(), KeyPair::new_account());
        Self { operator: KeyPair::new_operator(), system, account }
    }

    /// What a server must know of the operator and its accounts.
    fn config(&self) -> String {
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let account = json!({ "type": "account", "version": 2, "limits": limits });
        let system = json!({ "type": "account", "version": 2, "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1 } });
        let operator = json!({ "type": "operator", "version": 2 });
        format!(
            "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
            token(&self.operator, &self.operator, None, &operator),
            self.system.public_key(),
            self.system.public_key(),
            token(&self.operator, &self.system, None, &system),
            self.account.public_key(),
            token(&self.operator, &self.account, None, &account),
        )
    }

    /// What a user shows, until a time.
    fn user(&self, user: &KeyPair, until: Option<u64>) -> String {
        let claims = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
        });
        token(&self.account, user, until, &claims)
    }
}

/// What one says of another, signed.
fn token(issuer: &KeyPair, subject: &KeyPair, until: Option<u64>, claims: &Value) -> String {
    let mut body = json!({
        "jti": subject.public_key(), "iat": seconds_from_now(0), "iss": issuer.public_key(),
        "name": "kvconf", "sub": subject.public_key(), "nats": claims,
    });
    if let Some(until) = until {
        body["exp"] = until.into();
    }
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&head), encode(&body));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Connects with what `shown` says whenever it is asked.
async fn connect(
    server: &Server,
    user: Arc<KeyPair>,
    shown: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Client {
    let options = ConnectOptions::with_auth_callback(move |nonce| {
        let (user, jwt) = (Arc::clone(&user), shown());
        async move {
            let mut auth = Auth::new();
            auth.jwt = Some(jwt);
            auth.signature = Some(user.sign(&nonce).map_err(AuthError::new)?);
            Ok(auth)
        }
    });
    server.connect(options).await
}

fn is_live(health: &Health) -> bool {
    health.state == WatchState::Live
}

// P4, P5
#[tokio::test]
async fn credentials_that_run_out_are_a_lost_connection_until_there_are_new_ones() {
    let operator = Arc::new(Operator::new());
    let server = Server::builder().config(operator.config()).start().await;
    let user = Arc::new(KeyPair::new_user());
    let (renewed, until) = (Arc::<AtomicBool>::default(), seconds_from_now(4));
    let admin = Arc::new(KeyPair::new_user());
    let shown = operator.user(&admin, None);
    let admin = connect(&server, admin, move || shown.clone()).await;
    let admin = Bucket::create(admin, BucketConfig::new("b")).await.unwrap();
    let shown = {
        let (operator, user, renewed) = (Arc::clone(&operator), Arc::clone(&user), Arc::clone(&renewed));
        move || operator.user(&user, (!renewed.load(Ordering::SeqCst)).then_some(until))
    };
    let bucket = Bucket::open(connect(&server, user, shown).await, "b").await.unwrap();
    let pool = live(&bucket, "shop").await;
    let revision = admin.put("shop.max", "20").await.unwrap();
    reach(&pool, revision).await;

    let lost = health(&pool, |health| health.state == WatchState::Disconnected).await;
    assert!(lost.is_ready() && !lost.is_current());
    // The client goes on to try with what has run out, and is refused. Until the second of its end is over it may be let in,
    // and sent away at once.
    let refused = kvconf_tests::wait_for("the server refuses it", Duration::from_secs(30), async || {
        server.log().contains("authentication error").then_some(())
    });
    refused.await;
    health(&pool, |health| health.state == WatchState::Disconnected).await;
    let revision = admin.put("shop.max", "30").await.unwrap();
    assert_eq!((pool.health().state, pool.load().max), (WatchState::Disconnected, 20));
    renewed.store(true, Ordering::SeqCst);
    reach(&pool, revision).await;
    assert_eq!((pool.load().max, pool.load().epoch()), (30, 0));
    health(&pool, is_live).await;
}
