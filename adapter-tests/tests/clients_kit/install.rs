//! The client libraries of other languages, in the versions of `requirements.txt` and `package-lock.json`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use adapter_tests::programs::{Missing, needs, succeeds};

use super::folder;

/// The libraries for Python.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The packages for Node.js with their hashes.
const LOCK: &str = include_str!("package-lock.json");

/// The files that Node.js needs beside the packages.
const NODE_FILES: [(&str, &str); 6] = [
    ("package.json", include_str!("package.json")),
    ("package-lock.json", LOCK),
    ("ends.mjs", include_str!("ends.mjs")),
    ("follow.mjs", include_str!("follow.mjs")),
    ("streams.mjs", include_str!("streams.mjs")),
    ("streams_in_node.mjs", include_str!("streams_in_node.mjs")),
];

/// Returns a Python with the libraries, in a virtual environment below the target folder.
pub(crate) fn python() -> Result<String, Missing> {
    // Tests that run at the same time wait for one installation.
    static PYTHON: OnceLock<Result<String, Missing>> = OnceLock::new();
    PYTHON.get_or_init(install_python).clone()
}

fn install_python() -> Result<String, Missing> {
    needs("python3", "--version")?;
    let environment = folder("python");
    let python = environment.join("bin").join("python");
    let requirements = environment.join("requirements.txt");
    write(&requirements, REQUIREMENTS);
    let is_installed = once(&environment, REQUIREMENTS, || {
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            && succeeds(Command::new(&python).args(["-m", "pip", "install", "-r"]).arg(&requirements))
    });
    let python = python.to_str().filter(|_| is_installed);
    python.map(str::to_owned).ok_or_else(|| Missing::new("the libraries for Python cannot be installed"))
}

/// Returns a folder below the target folder with packages for Node.js, and scripts that use them.
pub(crate) fn node() -> Result<PathBuf, Missing> {
    static NODE: OnceLock<Result<PathBuf, Missing>> = OnceLock::new();
    NODE.get_or_init(install_node).clone()
}

fn install_node() -> Result<PathBuf, Missing> {
    for program in ["node", "npm"] {
        needs(program, "--version")?;
    }
    let folder = folder("node");
    for (name, text) in NODE_FILES {
        write(&folder.join(name), text);
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    if once(&folder, LOCK, || succeeds(&mut npm)) {
        return Ok(folder);
    }
    Err(Missing::new("the packages for Node.js cannot be installed"))
}

/// Installs what a text lists, unless an earlier run did. Returns whether it is installed.
fn once(folder: &Path, list: &str, install: impl FnOnce() -> bool) -> bool {
    let installed = folder.join("installed");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == list) {
        return true;
    }
    let is_installed = install();
    if is_installed {
        write(&installed, list);
    }
    is_installed
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("the target folder can be written");
}
