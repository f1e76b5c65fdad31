//! Buckets of both kinds, for cases that must hold on each.

use kvconf::{Bucket, BucketConfig};

use crate::server::Server;

/// One backend, for one case.
#[expect(clippy::large_enum_variant, reason = "one for each test")]
pub enum Backend {
    /// A bucket in memory.
    Memory,
    /// A bucket on a server of its own.
    Nats {
        /// Ends with the case.
        _server: Server,
        /// Where buckets are made.
        client: async_nats::Client,
    },
}

impl Backend {
    /// In memory.
    pub fn memory() -> Self {
        Self::Memory
    }

    /// On a new server.
    pub async fn nats() -> Self {
        let server = Server::start().await;
        let client = server.client().await;
        Self::Nats { _server: server, client }
    }

    /// A new, empty bucket.
    pub async fn bucket(&self, config: BucketConfig) -> Bucket {
        match self {
            Self::Memory => Bucket::memory_with(config).expect("a bucket in memory"),
            Self::Nats { client, .. } => {
                Bucket::create(client, config).await.expect("a bucket on the server")
            }
        }
    }

    /// A new, empty bucket as kvconf makes it.
    pub async fn plain(&self) -> Bucket {
        self.bucket(BucketConfig::new("cfg")).await
    }

    /// A new, empty bucket that keeps so many revisions of a key.
    pub async fn keeping(&self, history: u32) -> Bucket {
        let mut config = BucketConfig::new("cfg");
        config.history = Some(history);
        self.bucket(config).await
    }
}

/// Makes one test of each case for each backend: `in` the module that has the rooms, the rooms with their cases.
///
/// The memory bucket's clock is paused: it jumps whenever a case waits. Each case against a server has a server of its own.
#[macro_export]
macro_rules! on_every_backend {
    (in $base:path; $($room:ident { $($case:ident),+ $(,)? })+) => {
        mod memory {
            use $base as base;
            $(mod $room {
                use super::base::$room as room;
                $(#[tokio::test(start_paused = true)]
                async fn $case() {
                    room::$case(&$crate::Backend::memory()).await;
                })+
            })+
        }

        mod nats_server {
            use $base as base;
            $(mod $room {
                use super::base::$room as room;
                $(#[tokio::test]
                async fn $case() {
                    room::$case(&$crate::Backend::nats().await).await;
                })+
            })+
        }
    };
}
