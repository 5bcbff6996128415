//! What a data set says about its pixels (PS3.3 C.7.6.3), held against itself before a pixel is touched.

use super::elements::{Elements, PIXELS, Tag};
use super::{corrupt, unsupported};
use crate::imaging::ImagingError;

const SAMPLES: Tag = (0x0028, 0x0002);
const PHOTOMETRIC: Tag = (0x0028, 0x0004);
const PLANAR: Tag = (0x0028, 0x0006);
const FRAMES: Tag = (0x0028, 0x0008);
const ROWS: Tag = (0x0028, 0x0010);
const COLUMNS: Tag = (0x0028, 0x0011);
const ALLOCATED: Tag = (0x0028, 0x0100);
const STORED: Tag = (0x0028, 0x0101);
const HIGH: Tag = (0x0028, 0x0102);
const SIGNED: Tag = (0x0028, 0x0103);
const FLOAT_PIXELS: Tag = (0x7fe0, 0x0008);
const DOUBLE_PIXELS: Tag = (0x7fe0, 0x0009);

/// What the samples of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// One value; the smallest is shown black, or white if it is inverted (MONOCHROME1).
    Grey { inverted: bool },
    /// An index into a table of colours.
    Palette,
    /// Red, green, blue.
    Rgb,
    /// Luminance and two colour differences of full range.
    Ybr,
    /// The same, with one pair of differences for two pixels of a row. Codecs undo this.
    Ybr422,
    /// What JPEG 2000 turns colours into, and back when it is decoded.
    OfJpeg2000,
}

/// Where in a stored word the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// Bits of a word: 1, 8 or 16.
    pub allocated: u16,
    /// Bits of a value, from 1 to `allocated`.
    pub stored: u16,
    /// The highest bit of the value, from `stored - 1` to `allocated - 1`.
    pub high: u16,
    /// Whether values are two's complements.
    pub signed: bool,
}

impl Bits {
    /// The value's bits alone; what else the word holds, such as an overlay, is dropped.
    pub fn field(self, word: u16) -> u16 {
        (word >> (self.high + 1 - self.stored)) & self.highest()
    }

    /// The number that the bits stand for.
    pub fn value(self, field: u16) -> i32 {
        let field = i32::from(field & self.highest());
        if self.signed && field >> (self.stored - 1) == 1 { field - (1 << self.stored) } else { field }
    }

    /// The highest number without a sign.
    pub fn highest(self) -> u16 {
        u16::MAX >> (16 - self.stored)
    }
}

/// The pixels of a data set.
#[derive(Debug, Clone)]
pub struct Description {
    pub rows: u16,
    pub columns: u16,
    /// Values of a pixel, 1 or 3.
    pub samples: usize,
    /// Whether all values of one sample come before those of the next.
    pub planar: bool,
    pub frames: u32,
    pub bits: Bits,
    pub photometric: Photometric,
}

impl Description {
    /// Reads and checks it.
    pub fn new(elements: &Elements) -> Result<Self, ImagingError> {
        if elements.get(PIXELS).is_none() {
            let is_float = elements.get(FLOAT_PIXELS).or(elements.get(DOUBLE_PIXELS)).is_some();
            let what = if is_float { "a DICOM file with floating-point pixels" } else { "a DICOM file without pixels" };
            return Err(unsupported(what));
        }
        let needed = |tag, name: &str| elements.number(tag).ok_or_else(|| corrupt(&format!("it lacks {name}")));
        let (rows, columns) = (needed(ROWS, "Rows")?, needed(COLUMNS, "Columns")?);
        if rows == 0 || columns == 0 {
            return Err(corrupt("its rows or columns are zero"));
        }
        let photometric = photometric(elements)?;
        let samples = if matches!(photometric, Photometric::Grey { .. } | Photometric::Palette) { 1 } else { 3 };
        let stated = usize::from(elements.number(SAMPLES).unwrap_or(1));
        if stated != samples {
            return Err(corrupt(&format!("it has {stated} samples per pixel, its colours need {samples}")));
        }
        let bits = bits(elements, needed(ALLOCATED, "Bits Allocated")?)?;
        if samples == 3 && (bits.signed || bits.allocated == 1) {
            return Err(unsupported("a DICOM file with colours that are signed or have 1 bit"));
        }
        if matches!(photometric, Photometric::Ybr | Photometric::Ybr422) && bits.stored != 8 {
            return Err(unsupported("a DICOM file with YBR colours of other than 8 bits"));
        }
        let planar = elements.number(PLANAR) == Some(1);
        Ok(Self { rows, columns, samples, planar, frames: frames(elements)?, bits, photometric })
    }

    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        (u32::from(self.columns), u32::from(self.rows))
    }

    /// Pixels of a frame.
    pub fn pixels(&self) -> usize {
        usize::from(self.rows) * usize::from(self.columns)
    }
}

fn photometric(elements: &Elements) -> Result<Photometric, ImagingError> {
    match elements.text(PHOTOMETRIC).unwrap_or_default() {
        "MONOCHROME1" => Ok(Photometric::Grey { inverted: true }),
        "MONOCHROME2" => Ok(Photometric::Grey { inverted: false }),
        "PALETTE COLOR" => Ok(Photometric::Palette),
        "RGB" => Ok(Photometric::Rgb),
        "YBR_FULL" => Ok(Photometric::Ybr),
        "YBR_FULL_422" => Ok(Photometric::Ybr422),
        "YBR_ICT" | "YBR_RCT" => Ok(Photometric::OfJpeg2000),
        "" => Err(corrupt("it lacks Photometric Interpretation")),
        _ => Err(unsupported(
            "a DICOM file whose photometric interpretation is neither grey, palette, RGB nor full-range YBR",
        )),
    }
}

fn bits(elements: &Elements, allocated: u16) -> Result<Bits, ImagingError> {
    if !matches!(allocated, 1 | 8 | 16) {
        return Err(unsupported(&format!("a DICOM file with {allocated} bits allocated")));
    }
    let stored = elements.number(STORED).unwrap_or(allocated);
    let high = elements.number(HIGH).unwrap_or(stored.saturating_sub(1));
    if stored == 0 || high >= allocated || high + 1 < stored {
        return Err(corrupt(&format!("{stored} bits up to bit {high} do not fit into {allocated}")));
    }
    Ok(Bits { allocated, stored, high, signed: elements.number(SIGNED) == Some(1) })
}

fn frames(elements: &Elements) -> Result<u32, ImagingError> {
    match elements.text(FRAMES).unwrap_or("1").parse::<i32>() {
        // Some writers say 0 of a single frame.
        Ok(frames) if frames >= 0 => Ok(frames.max(1).unsigned_abs()),
        _ => Err(corrupt("its number of frames is not a number")),
    }
}
