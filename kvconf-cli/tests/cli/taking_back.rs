//! What keeps a slip in a number from removing everything.

use insta::assert_snapshot;

use crate::command::{Kvconf, server_with_bucket};

#[tokio::test]
async fn going_back_to_nothing_has_to_be_asked_for() {
    // P8
    let (server, bucket) = server_with_bucket().await;
    bucket.put("other.x", "1").await.unwrap();
    bucket.put("checkout.a", "1").await.unwrap();
    bucket.put("checkout.b", "1").await.unwrap();
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("rollback checkout --to 0 --yes").await, @r"
    exit 5
    --- err
    error: revision 0 is before the first: there was nothing, and every key would be removed
      help: kvconf log has the revisions
      help: kvconf unset 'checkout' 'checkout.>' removes them on purpose
    ");
    assert_snapshot!(kvconf.text("rollback checkout --to 1 --yes").await, @r"
    exit 5
    --- out
    back to revision 1
    -  checkout.a  1
    -  checkout.b  1
    --- err
    error: none of these keys had a value at revision 1: all 2 would be removed
      help: kvconf log has the revisions
      help: --to-nothing removes them all the same
    ");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 3);
    // Of one key that is what was asked for; and a part of several is a plan like any other.
    assert_eq!(kvconf.run("rollback checkout.b --to 2 --dry-run").await.code, 0);
    assert_eq!(kvconf.run("rollback checkout --to 2 --dry-run").await.code, 0);
    let ran = kvconf.text("rollback checkout --to 1 --to-nothing --yes").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(bucket.get("checkout.a").await.unwrap(), None);
}
