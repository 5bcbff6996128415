//! The elements of a data set: a tag, a length and a value each, nested in sequences.
//!
//! The walk keeps nothing but the elements that describe pixels, and of these only where their values lie
//! in the file: a patient's name is stepped over, never read. Sequences are stepped over too, with a list
//! of what is open instead of a call for each, so their depth costs nothing. Every claimed length is held
//! against the bytes that are there.

use std::collections::BTreeMap;

use super::syntax::Encoding;
use super::{corrupt, truncated};
use crate::imaging::ImagingError;

/// Group and number of an element.
pub type Tag = (u16, u16);

pub const PIXELS: Tag = (0x7fe0, 0x0010);
const ITEM: Tag = (0xfffe, 0xe000);
const END_OF_ITEM: Tag = (0xfffe, 0xe00d);
const END_OF_SEQUENCE: Tag = (0xfffe, 0xe0dd);
const UNDEFINED: u32 = u32::MAX;

/// Where the value of an element lies.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// Compressed pixels: a table of offsets and pieces.
    Fragments { offsets: &'a [u8], pieces: Vec<&'a [u8]> },
    /// A sequence, of which it is known only that it is there.
    Sequence,
}

/// The elements that describe pixels, and how their numbers are written.
#[derive(Debug)]
pub struct Elements<'a> {
    pub encoding: Encoding,
    /// Whether the pixels were written as 16-bit words, which swaps bytes if numbers are big-endian.
    pub pixels_are_words: bool,
    found: BTreeMap<Tag, Value<'a>>,
}

impl<'a> Elements<'a> {
    /// Walks to the pixels, or to the end.
    pub fn read(bytes: &'a [u8], encoding: Encoding) -> Result<Self, ImagingError> {
        let mut walk = Walk { bytes, at: 0, encoding };
        let mut elements = Self { encoding, pixels_are_words: false, found: BTreeMap::new() };
        while walk.at < bytes.len() {
            let header = walk.header()?;
            let value = match header.length {
                UNDEFINED if header.tag == PIXELS => walk.fragments()?,
                UNDEFINED => walk.step_over(header.kind)?,
                length if header.kind == *b"SQ" => walk.take(length).map(|_| Value::Sequence)?,
                length => Value::Bytes(walk.take(length)?),
            };
            if header.tag == PIXELS {
                elements.pixels_are_words = header.kind == *b"OW";
            }
            if matches!(header.tag.0, 0x0028 | 0x7fe0) && elements.found.insert(header.tag, value).is_some() {
                return Err(corrupt(&format!("the element ({:04x},{:04x}) appears twice", header.tag.0, header.tag.1)));
            }
            if header.tag == PIXELS {
                break;
            }
        }
        Ok(elements)
    }

    pub fn get(&self, tag: Tag) -> Option<&Value<'a>> {
        self.found.get(&tag)
    }

    fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        match self.found.get(&tag)? {
            Value::Bytes(bytes) if !bytes.is_empty() => Some(bytes),
            _ => None,
        }
    }

    /// The first of an element's 16-bit numbers.
    pub fn number(&self, tag: Tag) -> Option<u16> {
        self.numbers(tag)?.first().copied()
    }

    /// All of an element's 16-bit numbers.
    pub fn numbers(&self, tag: Tag) -> Option<Vec<u16>> {
        Some(self.bytes(tag)?.as_chunks().0.iter().map(|pair| self.encoding.u16(*pair)).collect())
    }

    /// The first of an element's texts, without padding.
    pub fn text(&self, tag: Tag) -> Option<&'a str> {
        let text = std::str::from_utf8(self.bytes(tag)?).ok()?;
        text.split('\\').next().map(|first| first.trim_matches([' ', '\0']))
    }

    /// The bytes of an element as they are.
    pub fn raw(&self, tag: Tag) -> Option<&'a [u8]> {
        self.bytes(tag)
    }
}

struct Header {
    tag: Tag,
    kind: [u8; 2],
    length: u32,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
}

impl<'a> Walk<'a> {
    fn take(&mut self, length: u32) -> Result<&'a [u8], ImagingError> {
        let end = self.at.checked_add(length as usize).filter(|end| *end <= self.bytes.len());
        let taken = &self.bytes[self.at..end.ok_or_else(|| truncated(self.bytes))?];
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImagingError> {
        let taken =
            self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or_else(|| truncated(self.bytes))?;
        self.at += N;
        Ok(*taken)
    }

    fn header(&mut self) -> Result<Header, ImagingError> {
        let tag = (self.encoding.u16(self.array()?), self.encoding.u16(self.array()?));
        // The elements that bracket items never state a type.
        if !self.encoding.explicit || tag.0 == ITEM.0 {
            return Ok(Header { tag, kind: *b"UN", length: self.encoding.u32(self.array()?) });
        }
        let kind: [u8; 2] = self.array()?;
        let length = match &kind {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV" => {
                let _reserved: [u8; 2] = self.array()?;
                self.encoding.u32(self.array()?)
            }
            _ if kind.iter().all(u8::is_ascii_uppercase) => u32::from(self.encoding.u16(self.array()?)),
            _ => return Err(corrupt(&format!("the element ({:04x},{:04x}) has no type", tag.0, tag.1))),
        };
        Ok(Header { tag, kind, length })
    }

    /// Pieces of compressed pixels up to the end of their sequence; the first one is the table of offsets.
    fn fragments(&mut self) -> Result<Value<'a>, ImagingError> {
        let mut pieces = Vec::new();
        loop {
            let header = self.header()?;
            match header.tag {
                ITEM if header.length != UNDEFINED => pieces.push(self.take(header.length)?),
                END_OF_SEQUENCE if !pieces.is_empty() => {
                    let offsets = pieces.remove(0);
                    return Ok(Value::Fragments { offsets, pieces });
                }
                _ => return Err(corrupt("its compressed pixels are not a sequence of items")),
            }
        }
    }

    /// Goes behind the end of a sequence of undefined length.
    fn step_over(&mut self, kind: [u8; 2]) -> Result<Value<'a>, ImagingError> {
        let outside = self.encoding;
        // What ends each open sequence or item, and how its content is written: inside an element of
        // unknown type it is always implicit (PS3.5 6.2.2).
        let inside = |kind: [u8; 2], now: Encoding| if kind == *b"UN" { Encoding::IMPLICIT } else { now };
        let mut open = vec![(END_OF_SEQUENCE, inside(kind, outside))];
        while let Some((end, encoding)) = open.last().copied() {
            self.encoding = encoding;
            let header = self.header()?;
            match (header.tag, header.length) {
                (tag, _) if tag == end => _ = open.pop(),
                (ITEM, UNDEFINED) if end == END_OF_SEQUENCE => open.push((END_OF_ITEM, encoding)),
                (END_OF_ITEM | END_OF_SEQUENCE, _) => return Err(corrupt("its sequences overlap")),
                (_, UNDEFINED) => open.push((END_OF_SEQUENCE, inside(header.kind, encoding))),
                (_, length) => _ = self.take(length)?,
            }
        }
        self.encoding = outside;
        Ok(Value::Sequence)
    }
}
