//! Where the record is.

use std::env;
use std::path::PathBuf;

use etcetera::{BaseStrategy, choose_base_strategy};

use crate::error::{Error, Result};

/// The folder of the user's record: `HIGHWAY_STATE`, or else `highway` in the user's folder for state
/// (`$XDG_STATE_HOME`, `~/.local/state`; on Windows the roaming application data).
///
/// # Errors
///
/// When the user has no home.
pub fn state_folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("HIGHWAY_STATE").filter(|folder| !folder.is_empty()) {
        return std::path::absolute(folder)
            .map_err(|error| Error::store("HIGHWAY_STATE is no path").with_source(error));
    }
    let places = choose_base_strategy().map_err(|error| {
        Error::store("there is no home to keep the record in; HIGHWAY_STATE can name a folder").with_source(error)
    })?;
    Ok(places.state_dir().unwrap_or_else(|| places.data_dir()).join("highway"))
}
