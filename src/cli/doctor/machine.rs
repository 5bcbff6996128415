//! The program, the machine, and the folder that results go to.

use std::path::Path;

use super::report::Finding::{self, Fail, Fine, Warn};
use crate::imaging::encode;

pub(super) fn version() -> Finding {
    let build = if cfg!(feature = "cuda") { "CUDA" } else { "CPU" };
    Fine(format!("segprobe {}, {build} build", env!("CARGO_PKG_VERSION")))
}

pub(super) fn threads() -> Finding {
    match std::thread::available_parallelism() {
        Ok(n) => Fine(n.to_string()),
        Err(error) => Warn(format!("the number of processors is unknown ({error}): set RAYON_NUM_THREADS")),
    }
}

/// Writes a file to the folder, or to the one that it will be created in, and removes it.
pub(super) fn writable(folder: &Path) -> Finding {
    let place = folder.ancestors().find(|p| p.as_os_str().is_empty() || p.exists()).unwrap_or(folder);
    let file = place.join(format!(".segprobe-doctor-{}", std::process::id()));
    match encode::write(&file, b"doctor").map_err(anyhow::Error::from).and_then(|()| Ok(std::fs::remove_file(&file)?)) {
        Ok(()) => Fine(format!("{} can be written", folder.display())),
        Err(error) => Fail(format!("{error:#}: name another folder with --out, or free some space")),
    }
}
