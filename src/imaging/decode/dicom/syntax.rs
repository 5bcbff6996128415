//! Transfer syntaxes: how the elements of a data set are written, and how its pixels are packed.

use crate::imaging::ImagingError;

/// What to do with a file in a syntax that is not read.
pub const ADVICE: &str = "store it as Explicit VR Little Endian (dcmtk: dcmdjpeg, dcmdjpls; gdcm: gdcmconv --raw)";

/// How the elements of a data set are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// Whether each element states the type of its value.
    pub explicit: bool,
    /// Whether numbers start with their most significant byte.
    pub big_endian: bool,
}

impl Encoding {
    pub const EXPLICIT: Self = Self { explicit: true, big_endian: false };
    pub const IMPLICIT: Self = Self { explicit: false, big_endian: false };

    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// How the pixels of a frame are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Native,
    /// Run lengths, PS3.5 annex G.
    RunLength,
    /// JPEG with a cosine transform, or lossless.
    Jpeg,
    /// JPEG-LS, lossless or near-lossless.
    JpegLs,
    /// JPEG 2000, reversible or not.
    Jpeg2000,
}

/// A transfer syntax that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    pub encoding: Encoding,
    pub packing: Packing,
    /// Whether all that follows the file's head is deflated.
    pub deflated: bool,
}

impl Syntax {
    /// The syntax of files that do not say, in one of the two encodings.
    pub fn native(encoding: Encoding) -> Self {
        Self { encoding, packing: Packing::Native, deflated: false }
    }

    /// The syntax of a unique identifier, PS3.6 table A-1.
    pub fn of(identifier: &[u8]) -> Result<Self, ImagingError> {
        let text = std::str::from_utf8(identifier).unwrap_or_default().trim_end_matches([' ', '\0']);
        let packed = |packing| Ok(Self { packing, ..Self::native(Encoding::EXPLICIT) });
        match text.strip_prefix("1.2.840.10008.1.2").unwrap_or("unknown") {
            "" => Ok(Self::native(Encoding::IMPLICIT)),
            ".1" => Ok(Self::native(Encoding::EXPLICIT)),
            ".1.99" => Ok(Self { deflated: true, ..Self::native(Encoding::EXPLICIT) }),
            ".2" => Ok(Self::native(Encoding { explicit: true, big_endian: true })),
            ".5" => packed(Packing::RunLength),
            ".4.50" | ".4.51" | ".4.57" | ".4.70" => packed(Packing::Jpeg),
            ".4.80" | ".4.81" => packed(Packing::JpegLs),
            ".4.90" | ".4.91" => packed(Packing::Jpeg2000),
            _ => Err(ImagingError::Unsupported { what: named(text), advice: ADVICE }),
        }
    }
}

/// The identifier comes from the file: it is repeated only if it is one.
fn named(identifier: &str) -> String {
    let known = match identifier.strip_prefix("1.2.840.10008.1.2.4.").and_then(|n| n.parse::<u16>().ok()) {
        Some(92 | 93) => " (JPEG 2000 part 2)",
        Some(100..=108) => " (MPEG video)",
        Some(110..=112) => " (JPEG XL)",
        Some(201..=203) => " (High-Throughput JPEG 2000)",
        _ => "",
    };
    let is_identifier =
        (1..=64).contains(&identifier.len()) && identifier.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_identifier {
        format!("the DICOM transfer syntax {identifier}{known}")
    } else {
        "a DICOM file that does not name its transfer syntax".to_owned()
    }
}
