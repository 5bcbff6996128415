//! Pixels: reading and writing files, resizing, masks, pictures for people.
//!
//! An [`Image`] is what a file holds: 8-bit RGB at its own size. A [`Mask`] is a set of pixels of
//! such an image. Both know how to become tensors; nothing here knows a model.

mod image;
mod mask;

pub use image::Image;
pub use mask::Mask;

/// What can be wrong with an image, a mask or the file it came from.
#[derive(Debug, thiserror::Error)]
pub enum ImagingError {
    /// The pixel buffer does not fit the stated size.
    #[error("{what} of {width}x{height} needs {wanted} values, found {found}")]
    Size { what: &'static str, width: usize, height: usize, wanted: usize, found: usize },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
