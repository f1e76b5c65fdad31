//! What credentials say of themselves. Pure.
//!
//! Nothing is decided by it: it explains why a server has refused them.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// When the JWT expires that is the text, or stands in it as a file of credentials has it. `None` where it never does, or
/// where it is none.
pub(super) fn expiry(text: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: Option<u64>,
    }
    let mut lines = text.lines().map(str::trim);
    // A JSON object in base64 begins so.
    let jwt = lines.find(|line| line.starts_with("eyJ"))?;
    let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("{}.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT"}"#), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_jwt_says_when_it_expires_alone_and_in_a_file_of_credentials() {
        let at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let jwt_of = jwt(r#"{"exp":1700000000,"sub":"U"}"#);
        assert_eq!(expiry(&jwt_of), at);
        let file = format!("-----BEGIN NATS USER JWT-----\n{jwt_of}\n------END NATS USER JWT------\n");
        assert_eq!(expiry(&file), at);
    }

    #[test]
    fn what_is_no_jwt_or_never_expires_says_nothing() {
        for text in ["", "eyJ", "eyJ.x.y", "SUABC", &jwt("{}"), &jwt(r#"{"exp":-1}"#), &jwt("[")] {
            assert_eq!(expiry(text), None, "{text}");
        }
        let far = jwt(r#"{"exp":18446744073709551615}"#);
        assert_eq!(expiry(&far), None);
    }
}
