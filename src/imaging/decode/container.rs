//! The formats that are read, told from a file's first bytes.

use std::fmt;

use super::dicom;

/// How a picture is packed in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// Portable Network Graphics, without loss.
    Png,
    /// Baseline or progressive JPEG, with loss.
    Jpeg,
    /// Tagged Image File Format, one page or several.
    Tiff,
    /// Digital Imaging and Communications in Medicine, PS3.10.
    Dicom,
}

impl Container {
    /// The container that starts with these bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            // The first bytes of a DICOM file are free, and some writers make it a TIFF too.
            _ if dicom::is_dicom(bytes) => Some(Self::Dicom),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            _ => None,
        }
    }

    /// The container in which an image that came in this one is saved again: TIFF and DICOM hold more than
    /// 8-bit pixels and are never written, their images become PNG.
    pub fn saved_as(self) -> Self {
        match self {
            Self::Jpeg => Self::Jpeg,
            Self::Png | Self::Tiff | Self::Dicom => Self::Png,
        }
    }

    /// The usual file name extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Tiff => "tif",
            Self::Dicom => "dcm",
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
            Self::Dicom => "DICOM",
        })
    }
}
