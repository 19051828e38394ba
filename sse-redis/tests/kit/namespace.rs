//! A network namespace, with a link to it that can be cut.

use std::process::{Command, Stdio};

/// A network namespace. Dropping it removes it with its link.
pub(crate) struct Namespace {
    name: String,
    link: String,
    /// The address of a server inside.
    pub(crate) host: String,
}

impl Namespace {
    /// Creates a namespace. `None` if this process may not.
    pub(crate) fn create() -> Option<Namespace> {
        let number = std::process::id() % 250;
        let (name, link, inner) =
            (format!("sse-test-{number}"), format!("sseo{number}"), format!("ssei{number}"));
        let (outside, inside) = (format!("10.213.{number}.1/30"), format!("10.213.{number}.2/30"));
        ip(&["netns", "add", &name]).then_some(())?;
        let namespace = Namespace { name, link, host: format!("10.213.{number}.2") };
        let (name, link) = (&*namespace.name, &*namespace.link);
        let is_linked = ip(&["link", "add", link, "type", "veth", "peer", "name", &inner])
            && ip(&["link", "set", &inner, "netns", name])
            && ip(&["addr", "add", &outside, "dev", link])
            && ip(&["link", "set", link, "up"])
            && ip(&["-n", name, "addr", "add", &inside, "dev", &inner])
            && ip(&["-n", name, "link", "set", &inner, "up"])
            && ip(&["-n", name, "link", "set", "lo", "up"]);
        is_linked.then_some(namespace)
    }

    /// Returns a command that runs a program inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Cuts the link, or joins it: packets are lost, and connections stay open.
    pub(crate) fn set_cut(&self, is_cut: bool) {
        assert!(ip(&["link", "set", &self.link, if is_cut { "down" } else { "up" }]));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["link", "del", &self.link]);
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    let status = Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
