//! Who clients and servers are: JWTs as an operator's tools sign them, and certificates of an authority of one's own.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
};
use serde_json::{Value, json};

/// An operator with an account for users.
pub(crate) struct Operator {
    key: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

/// A user of the account.
pub(crate) struct User {
    pub(crate) jwt: String,
    pub(crate) seed: String,
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn signed(signer: &KeyPair, subject: &str, expires: Option<SystemTime>, nats: &Value) -> String {
    let mut claims = json!({
        "jti": "test", "iat": seconds(SystemTime::now()), "iss": signer.public_key(), "name": "test", "sub": subject,
        "nats": nats,
    });
    if let Some(at) = expires {
        claims.as_object_mut().unwrap().insert("exp".to_owned(), seconds(at).into());
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self { key: KeyPair::new_operator(), account: KeyPair::new_account(), system: KeyPair::new_account() }
    }

    /// For a server that trusts it.
    pub(crate) fn config(&self) -> String {
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let operator =
            signed(&self.key, &self.key.public_key(), None, &json!({ "type": "operator", "version": 2 }));
        let account = |pair: &KeyPair, nats: &Value| signed(&self.key, &pair.public_key(), None, nats);
        let own = account(&self.account, &json!({ "limits": limits, "type": "account", "version": 2 }));
        let system = account(&self.system, &json!({ "type": "account", "version": 2 }));
        let (own_key, system_key) = (self.account.public_key(), self.system.public_key());
        format!(
            "operator: {operator}\nsystem_account: {system_key}\nresolver: MEMORY\n\
             resolver_preload: {{ {own_key}: {own}, {system_key}: {system} }}\n"
        )
    }

    pub(crate) fn user(&self) -> User {
        self.user_with(None, &json!({}))
    }

    pub(crate) fn user_until(&self, expires: SystemTime) -> User {
        self.user_with(Some(expires), &json!({}))
    }

    /// Whoever has the JWT is that user.
    pub(crate) fn bearer(&self) -> User {
        self.user_with(None, &json!({ "bearer_token": true }))
    }

    fn user_with(&self, expires: Option<SystemTime>, more: &Value) -> User {
        let pair = KeyPair::new_user();
        let mut nats = json!({
            "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2,
        });
        nats.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let jwt = signed(&self.account, &pair.public_key(), expires, &nats);
        User { jwt, seed: pair.seed().unwrap() }
    }
}

impl User {
    /// The text of its file of credentials.
    pub(crate) fn credentials(&self) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt, self.seed
        )
    }
}

/// An authority, with its certificate and those that it signs as files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, rcgen::KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a server on loopback or a client, and its key.
    pub(crate) fn signs(&self, name: &str) -> (PathBuf, PathBuf) {
        self.signs_until(name, SystemTime::now() + Duration::from_secs(24 * 60 * 60))
    }

    /// The same, until then.
    pub(crate) fn signs_until(&self, name: &str, until: SystemTime) -> (PathBuf, PathBuf) {
        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = (until - Duration::from_secs(48 * 60 * 60)).into();
        params.not_after = until.into();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.path().join(format!("{name}{end}"));
        std::fs::write(path(".pem"), certificate.pem()).unwrap();
        std::fs::write(path(".key"), key.serialize_pem()).unwrap();
        (path(".pem"), path(".key"))
    }
}

/// Stores a context of the `nats` command below a home folder.
pub(crate) fn context(home: &Path, name: &str, json: &Value) {
    let folder = home.join(".config/nats/context");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.json")), json.to_string()).unwrap();
}
