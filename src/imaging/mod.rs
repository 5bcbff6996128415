//! Pixels: reading and writing files, masks, pictures for people.
//!
//! An [`Image`] is what a file holds: 8-bit RGB at its own size. A [`Mask`] is a set of pixels of
//! such an image. Both know how to become tensors; nothing here knows a model. [`decode`] and
//! [`encode`] go between bytes and pixels; [`filter`] smooths; [`overlay`] and [`perturbation`] show people what an
//! attack did.

mod caption;
pub mod decode;
pub mod encode;
mod error;
pub mod filter;
mod image;
mod mask;
pub mod npy;
pub mod overlay;
pub mod perturbation;
mod picture;

pub use decode::{Container, Decoded, Limits, Selection, Window};
pub use error::ImagingError;
pub use image::Image;
pub use mask::Mask;
