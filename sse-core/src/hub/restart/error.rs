//! The errors of an export and of its use.

use alloc::string::String;
use core::error::Error;
use core::fmt;

use crate::hub::ConfigError;

/// The error of [`Hub::export`](crate::Hub::export): the positions of the hub come from outside, and so does its past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionsAreNotLocal(pub(super) ());

impl fmt::Display for PositionsAreNotLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the positions of this hub come from outside, and so does its past")
    }
}

/// The error of [`Hub::restore`](crate::Hub::restore). Nothing was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes are not an export.
    NotAnExport,
    /// The export was written by a later version.
    Version {
        /// The version of the export.
        found: u16,
    },
    /// The export is damaged or cut off.
    Damaged,
    /// The epoch was used before: its ids would mean other events ([R2](crate::rules#r2)).
    SameEpoch {
        /// The epoch.
        epoch: String,
    },
    /// The configuration has positions from outside.
    PositionsAreNotLocal,
    /// The configuration cannot be used.
    Config(ConfigError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::NotAnExport => f.write_str("the bytes are not the export of a hub"),
            RestoreError::Version { found } => write!(f, "the export has the unknown version {found}"),
            RestoreError::Damaged => f.write_str("the export is damaged or cut off"),
            RestoreError::SameEpoch { epoch } => write!(f, "the epoch {epoch:?} was used before"),
            RestoreError::PositionsAreNotLocal => PositionsAreNotLocal(()).fmt(f),
            RestoreError::Config(error) => error.fmt(f),
        }
    }
}

impl Error for PositionsAreNotLocal {}
impl Error for RestoreError {}
