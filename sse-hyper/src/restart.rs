//! The file that a run leaves to the next one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sse_core::shared::SharedHub;

/// Writes the [export](SharedHub::export) of a hub to a file, for [`take_export`]. Call it behind the drain, with a
/// [sealed](SharedHub::seal) hub: then clients resume exactly in the next run ([R1](sse_core::rules#r1)).
///
/// The file is replaced at once, or stays as it was. Blocks until the bytes are on the disk.
///
/// # Errors
///
/// The error of the file system, and [`io::ErrorKind::Unsupported`] in a hub whose positions come from outside.
pub fn save_export(path: impl AsRef<Path>, hub: &SharedHub) -> io::Result<()> {
    let path = path.as_ref();
    let export = hub.export().map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
    let unfinished = beside(path, "unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(&export)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// Takes the export of a former run from a file, for [`restore`](crate::restore). `None` if there is none.
///
/// The file is moved away first: an export is used once, also if this run crashes ([R3](sse_core::rules#r3)). The last one that
/// was used stays beside it, with the extension `used`.
///
/// # Errors
///
/// The error of the file system.
///
/// ```no_run
/// use hyper_util::rt::{TokioExecutor, TokioTimer};
/// use sse_core::HubConfig;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (epoch, executor) = (sse_hyper::epoch_from_clock(), TokioExecutor::new());
/// let restored = sse_hyper::take_export("hub.export")?.and_then(|export| {
///     sse_hyper::restore(&epoch, HubConfig::default(), &executor, TokioTimer::new(), &export).ok()
/// });
/// let hub = match restored {
///     Some(hub) => hub,
///     None => sse_hyper::start(&epoch, HubConfig::default(), &executor, TokioTimer::new())?,
/// };
/// // …and behind the drain:
/// hub.seal();
/// sse_hyper::save_export("hub.export", &hub)?;
/// # Ok(()) }
/// ```
pub fn take_export(path: impl AsRef<Path>) -> io::Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    let used = beside(path, "used");
    match fs::rename(path, &used) {
        Ok(()) => fs::read(&used).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the path of a file beside another one.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use sse_core::{ChannelConfig, Event, HubConfig, Instant};

    use super::*;

    #[test]
    fn r3_an_export_is_taken_once() {
        let path = std::env::temp_dir().join(format!("sse-export-{}", std::process::id()));
        assert_eq!(take_export(&path).unwrap(), None);
        let (hub, _driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
        let channel = hub.open_channel("a", ChannelConfig::default()).unwrap();
        channel.publish(&Event::new().data("1")).unwrap();
        hub.seal();
        save_export(&path, &hub).unwrap();
        assert_eq!(take_export(&path).unwrap(), Some(hub.export().unwrap()));
        assert_eq!(take_export(&path).unwrap(), None);
        fs::remove_file(beside(&path, "used")).unwrap();
    }
}
