//! What can go wrong with pixels.

use std::path::PathBuf;

use super::decode::Container;

/// What can be wrong with an image, a mask or the file it came from.
#[derive(Debug, thiserror::Error)]
pub enum ImagingError {
    /// The pixel buffer does not fit the stated size.
    #[error("{what} of {width}x{height} needs {wanted} values, found {found}")]
    Size { what: &'static str, width: usize, height: usize, wanted: usize, found: usize },
    /// Two pictures that belong together have different sizes.
    #[error("{what} is {}x{}, but the image is {}x{}; both must have the same size", found.0, found.1, image.0, image.1)]
    Mismatch { what: &'static str, found: (usize, usize), image: (usize, usize) },
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The content is in no format that is read.
    #[error("the content is none of PNG, JPEG, TIFF and DICOM; convert the picture to one of them")]
    UnknownFormat,
    /// The file is larger than [`Limits::bytes`](super::Limits).
    #[error("the file has {found} bytes, at most {limit} are accepted")]
    TooManyBytes { found: u64, limit: u64 },
    /// The compressed data set of a DICOM file is larger than [`Limits::bytes`](super::Limits) once inflated.
    #[error("the deflated data set has more than the {limit} bytes that are accepted; store a smaller image")]
    Inflated { limit: u64 },
    /// The picture is larger than the limits allow.
    #[error("the picture is {width}x{height}, at most {side} pixels a side and {pixels} in all are accepted")]
    TooManyPixels { width: u32, height: u32, side: u32, pixels: u64 },
    /// The file ends before the picture does.
    #[error("the {container} file is cut off after {bytes} bytes; transfer it again")]
    Truncated { container: Container, bytes: usize },
    /// The file breaks its format's rules.
    #[error("the {container} file is damaged: {reason}")]
    Corrupt { container: Container, reason: String },
    /// The file is valid, but of a kind that cannot be read.
    #[error("{what} is not supported; {advice}")]
    Unsupported { what: String, advice: &'static str },
    /// The file has no frame of that number.
    #[error("there is no frame {frame}, the file has {frames} and counts from 0")]
    NoSuchFrame { frame: u32, frames: u32 },
    /// A window that is no range, or for an image that has no use for one.
    #[error("the window cannot be used: {0}")]
    Window(&'static str),
    /// A mask whose marks all lie at or below the threshold.
    #[error("no pixel of the mask is above 127, the brightest is {brightest}; store inside as 255 and outside as 0")]
    FaintMask { brightest: u8 },
    /// A picture that cannot be encoded.
    #[error("cannot encode the picture: {0}")]
    Encode(String),
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    /// What is wrong with the content of a file.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: Box<ImagingError> },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
