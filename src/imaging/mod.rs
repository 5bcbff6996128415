//! Pixels: reading and writing files, resizing, masks, pictures for people.
//!
//! An [`Image`] is what a file holds: 8-bit RGB at its own size. A [`Mask`] is a set of pixels of
//! such an image. Both know how to become tensors; nothing here knows a model.

pub mod encode;
mod image;
mod mask;

pub use image::Image;
pub use mask::Mask;

use std::path::PathBuf;

/// What can be wrong with an image, a mask or the file it came from.
#[derive(Debug, thiserror::Error)]
pub enum ImagingError {
    /// The pixel buffer does not fit the stated size.
    #[error("{what} of {width}x{height} needs {wanted} values, found {found}")]
    Size { what: &'static str, width: usize, height: usize, wanted: usize, found: usize },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    /// A picture could not be encoded.
    #[error("cannot encode the picture: {0}")]
    Encode(String),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
