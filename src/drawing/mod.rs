//! Painting: a float picture, places on it, irregular shapes, smooth random fields.
//!
//! [`phantom`](crate::phantom) paints whole scenes with it, [`corruption`](crate::corruption) paints over photographs.

mod canvas;
mod noise;
mod random;
mod shape;

pub use canvas::{Canvas, Frame};
pub use noise::Noise;
pub use random::Draws;
pub use shape::{Blob, Point, bump, mix, ramp, tint};
