//! Who an instance is.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::attribution::new_change_id;
use crate::value::tame;

/// The longest name, id, version or host, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 128;

/// Who a process is among those that use a bucket: given to handles by
/// [`LiveBuilder::instance`](crate::LiveBuilder::instance), which makes them answer questions.
///
/// Clones are the same instance: give one to all handles of a process, and it answers once for all of them. The id is
/// random unless one is given; it should be of one process, not of a machine, so that a restart is another instance.
///
/// Texts can hold any characters; they never stand in a subject as they are. What is longer than 128 bytes is cut.
///
/// ```
/// use kvconf::fleet::Instance;
///
/// let instance = Instance::named("checkout").id("checkout-7d9f").version("1.4.2").host("node-3");
/// assert_eq!(instance.to_string(), "checkout-7d9f (checkout 1.4.2 on node-3)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub(crate) name: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) started: SystemTime,
}

impl Instance {
    /// An instance of the service of this name, with a random id, the host's own name and no version.
    #[must_use]
    pub fn named(name: impl AsRef<str>) -> Self {
        Self {
            name: cut(name.as_ref()),
            id: new_change_id(),
            version: Arc::from(""),
            host: cut(&host()),
            started: SystemTime::now(),
        }
    }

    /// Another id than a random one, such as a pod's name. Two processes with one id count as one.
    #[must_use]
    pub fn id(self, id: impl AsRef<str>) -> Self {
        // An empty one would make all of them the same.
        if id.as_ref().is_empty() { self } else { Self { id: cut(id.as_ref()), ..self } }
    }

    /// The build: `env!("CARGO_PKG_VERSION")`, a commit, whatever tells two of them apart.
    #[must_use]
    pub fn version(self, version: impl AsRef<str>) -> Self {
        Self { version: cut(version.as_ref()), ..self }
    }

    /// Where it runs, instead of the host's own name.
    #[must_use]
    pub fn host(self, host: impl AsRef<str>) -> Self {
        Self { host: cut(host.as_ref()), ..self }
    }
}

/// `checkout-7d9f (checkout 1.4.2 on node-3)`
impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_identity(f, &self.id, &self.name, &self.version, &self.host)
    }
}

pub(crate) fn write_identity(
    f: &mut fmt::Formatter<'_>,
    id: &str,
    name: &str,
    version: &str,
    host: &str,
) -> fmt::Result {
    write!(f, "{id} ({name}")?;
    if !version.is_empty() {
        write!(f, " {version}")?;
    }
    if !host.is_empty() {
        write!(f, " on {host}")?;
    }
    f.write_str(")")
}

/// What plays tricks on a terminal is escaped at once: whoever asks names an instance by what was shown.
fn cut(text: &str) -> Arc<str> {
    let text = &tame(text);
    let end = (0..=MAX_TEXT_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().into()
}

/// The host's name as containers and Linux tell it; empty elsewhere.
fn host() -> String {
    let variable = || std::env::var("HOSTNAME").ok();
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel().or_else(variable).unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_at_a_character() {
        let instance = Instance::named("é".repeat(100)).id("").host("").version("");
        assert_eq!((instance.name.len(), instance.id.len()), (128, 24));
        assert_eq!(instance.to_string(), format!("{} ({})", instance.id, "é".repeat(64)));
        assert_eq!(&*Instance::named("a").id("a\u{7}").id, "a\\u{7}");
        let odd = Instance::named("x".to_owned() + &"é".repeat(100));
        assert_eq!(odd.name.len(), 127);
    }

    #[test]
    fn two_instances_of_one_name_have_two_ids() {
        assert_ne!(Instance::named("a").id, Instance::named("a").id);
    }
}
