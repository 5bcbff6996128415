//! PNG and JPEG.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, ImageBuffer, ImageEncoder, ImageFormat, Luma, LumaA, Rgb, Rgba};
use proptest::prelude::*;
use segprobe::imaging::{Container, Image, ImagingError, Limits, Mask, decode, encode};
use segprobe::phantom::{self, Kind};

fn sample() -> Image {
    phantom::draw(Kind::Endoscopy, 1, 61, 47).0
}

fn read(bytes: &[u8]) -> Result<decode::Decoded, ImagingError> {
    decode::decode(bytes, &Limits::default())
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).expect_err("this must be refused").to_string()
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Where the JPEG's frame header holds its precision.
fn frame_header(jpeg: &[u8]) -> usize {
    jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap() + 4
}

#[test]
fn a_png_cut_anywhere_is_refused() {
    let bytes = encode::png(&sample()).unwrap();
    for end in (0..bytes.len()).step_by(50).chain([bytes.len() - 1]) {
        let error = refusal(&bytes[..end]);
        assert!(error.contains("empty") || error.contains("cut off after"), "{end}: {error}");
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_refused() {
    let bytes = encode::jpeg(&sample(), 75).unwrap();
    for end in (0..bytes.len()).step_by(50).chain([bytes.len() - 1]) {
        let error = refusal(&bytes[..end]);
        assert!(error.contains("empty") || error.contains("cut off after"), "{end}: {error}");
    }
}

#[test]
fn what_is_no_picture_is_named() {
    assert_eq!(refusal(b""), "the file is empty");
    assert!(refusal(b"GIF89a and so on").contains("none of PNG, JPEG, TIFF and DICOM"));
    assert!(refusal(&[0xff, 0xd8, 0xff, 0x00, 0x17]).contains("JPEG"));
    assert!(refusal(b"\x89PNG\r\n\x1a\n").contains("cut off"));
    assert!(refusal(b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82").contains("header chunk"));
}

#[test]
fn a_damaged_png_is_refused() {
    let mut bytes = encode::png(&sample()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    assert!(refusal(&bytes).starts_with("the PNG file is damaged: "), "{}", refusal(&bytes));
}

#[test]
fn declared_sizes_are_checked_before_anything_else() {
    let mut bytes = encode::png(&sample()).unwrap();
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    assert!(refusal(&bytes).contains("the picture is 60000x60000"));
    // The header alone is enough.
    assert!(refusal(&bytes[..33]).contains("60000x60000"));

    let mut bytes = encode::jpeg(&sample(), 75).unwrap();
    let at = frame_header(&bytes);
    bytes[at + 1..at + 5].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    assert!(refusal(&bytes).contains("60000x60000"));
}

#[test]
fn limits_are_inclusive() {
    let bytes = encode::png(&sample()).unwrap();
    let exact = Limits { bytes: bytes.len() as u64, pixels: 61 * 47, side: 61 };
    assert!(decode::decode(&bytes, &exact).is_ok());
    for less in [
        Limits { bytes: exact.bytes - 1, ..exact.clone() },
        Limits { pixels: exact.pixels - 1, ..exact.clone() },
        Limits { side: exact.side - 1, ..exact.clone() },
    ] {
        let error = decode::decode(&bytes, &less).unwrap_err();
        assert!(matches!(error, ImagingError::TooManyBytes { .. } | ImagingError::TooManyPixels { .. }), "{error}");
    }
}

#[test]
fn sixteen_bits_are_rounded_and_said_so() {
    let grey = ImageBuffer::<Luma<u16>, _>::from_raw(3, 1, vec![0, 128, 65_535]).unwrap();
    let read_grey = read(&png(grey)).unwrap();
    assert_eq!(read_grey.image.rgb(), [0, 0, 0, 0, 0, 0, 255, 255, 255]);
    assert_eq!(read_grey.notes, ["16-bit levels were rounded to 8 bits"]);
    let colour = ImageBuffer::<Rgb<u16>, _>::from_raw(1, 1, vec![257, 386, 25_700]).unwrap();
    assert_eq!(read(&png(colour)).unwrap().image.rgb(), [1, 2, 100]);
}

#[test]
fn only_real_transparency_is_worth_a_note() {
    let opaque = ImageBuffer::<Rgba<u8>, _>::from_raw(1, 1, vec![10, 20, 30, 255]).unwrap();
    let clear = ImageBuffer::<Rgba<u8>, _>::from_raw(1, 1, vec![10, 20, 30, 254]).unwrap();
    let grey = ImageBuffer::<LumaA<u8>, _>::from_raw(2, 1, vec![10, 255, 90, 0]).unwrap();
    assert_eq!(read(&png(opaque)).unwrap().notes, [""; 0]);
    let read_clear = read(&png(clear)).unwrap();
    assert_eq!((read_clear.image.rgb(), read_clear.notes.len()), (&[10, 20, 30][..], 1));
    let read_grey = read(&png(grey)).unwrap();
    assert_eq!(read_grey.image.rgb(), [10, 10, 10, 90, 90, 90]);
    assert_eq!(read_grey.notes, ["transparency was dropped; the colours are as stored"]);
}

/// Two pixels, colours 1 and 0 of a palette of red and green, one bit each.
const PALETTE: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 2, 0, 0, 0, 1, 1, 3, 0, 0, 0, 206, 236, 237,
    201, 0, 0, 0, 6, 80, 76, 84, 69, 255, 0, 0, 0, 255, 0, 210, 135, 239, 113, 0, 0, 0, 10, 73, 68, 65, 84, 120, 156,
    99, 104, 0, 0, 0, 130, 0, 129, 119, 205, 114, 182, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];

#[test]
fn a_palette_becomes_colours() {
    assert_eq!(read(PALETTE).unwrap().image.rgb(), [0, 255, 0, 255, 0, 0]);
}

#[test]
fn a_jpeg_is_turned_upright() {
    // Left half dark, right half bright; orientation 6 says: turn clockwise.
    let rgb: Vec<u8> = (0..16 * 8).flat_map(|at| [if at % 16 < 8 { 20 } else { 230 }; 3]).collect();
    let exif = |orientation: u8| {
        vec![b'I', b'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0]
    };
    let turned = |orientation: u8| {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&rgb, 16, 8, ExtendedColorType::Rgb8).unwrap();
        read(&bytes).unwrap()
    };
    let upright = turned(6);
    assert_eq!((upright.image.width(), upright.image.height()), (8, 16));
    assert!(upright.image.pixel(4, 2)[0] < 60 && upright.image.pixel(4, 13)[0] > 190);
    assert_eq!(upright.notes, ["the picture was turned upright (EXIF orientation 6)"]);
    assert_eq!(turned(8).image.pixel(4, 2)[0] / 100, 2);
    assert_eq!(turned(1).notes, [""; 0]);
    assert_eq!(turned(1).image.width(), 16);
}

#[test]
fn unusual_jpegs_are_refused_with_advice() {
    let good = encode::jpeg(&sample(), 75).unwrap();
    let at = frame_header(&good);
    let changed = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        refusal(&bytes)
    };
    assert!(changed(at + 5, 4).contains("CMYK"));
    assert!(changed(at, 12).contains("12 bits per level"));
    assert!(changed(at - 3, 0xc9).contains("arithmetic"));
    let twice = [&good[..at - 4], &good[at - 4..at + 15], &good[at - 4..]].concat();
    assert!(refusal(&twice).contains("two frame headers"));
}

#[test]
fn the_format_is_told_from_the_bytes_not_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.png");
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes).write_image(&[200; 64], 8, 8, ExtendedColorType::L8).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let read = decode::open(&path, &Limits::default()).unwrap();
    assert_eq!(read.container, Container::Jpeg);
    assert!(read.image.rgb().iter().all(|v| v.abs_diff(200) < 3));
}

#[test]
fn errors_of_files_name_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let missing = decode::open(&dir.path().join("missing.png"), &Limits::default()).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read ") && missing.contains("missing.png"), "{missing}");
    let path = dir.path().join("empty.png");
    std::fs::write(&path, "").unwrap();
    let empty = decode::open(&path, &Limits::default()).unwrap_err().to_string();
    assert!(empty.ends_with("empty.png: the file is empty"), "{empty}");
    std::fs::write(&path, [0; 100]).unwrap();
    let limits = Limits { bytes: 99, ..Limits::default() };
    let large = decode::open_mask(&path, &limits).unwrap_err().to_string();
    assert!(large.ends_with("empty.png: the file has 100 bytes, at most 99 are accepted"), "{large}");
}

#[test]
fn a_mask_is_what_lies_above_127() {
    let mask = |levels: &[u8]| {
        let picture = ImageBuffer::<Luma<u8>, _>::from_raw(levels.len() as u32, 1, levels.to_vec()).unwrap();
        decode::decode_mask(&png(picture), &Limits::default())
    };
    assert_eq!(mask(&[0, 127, 128, 255]).unwrap().bits(), [false, false, true, true]);
    assert_eq!(mask(&[0, 0]).unwrap().area(), 0);
    let error = mask(&[0, 1]).unwrap_err().to_string();
    assert_eq!(error, "no pixel of the mask is above 127, the brightest is 1; store inside as 255 and outside as 0");
    // Green is bright, red is not.
    assert_eq!(decode::decode_mask(PALETTE, &Limits::default()).unwrap().bits(), [true, false]);
}

#[test]
fn files_are_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture.png");
    for image in [sample(), phantom::draw(Kind::Xray, 2, 20, 20).0] {
        encode::write(&path, &encode::png(&image).unwrap()).unwrap();
        assert_eq!(decode::open(&path, &Limits::default()).unwrap().image, image);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let error = encode::write(&dir.path().join("none/picture.png"), b"x").unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("none/picture.png"), "{error}");
}

#[test]
fn a_jpeg_stays_close_to_its_source() {
    let image = sample();
    let bytes = encode::image(&image, Container::Jpeg).unwrap();
    let read = read(&bytes).unwrap();
    assert_eq!(read.container, Container::Jpeg);
    let apart: u64 = image.rgb().iter().zip(read.image.rgb()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(apart / (image.rgb().len() as u64) < 8, "{apart}");
}

#[test]
fn probabilities_become_grey_levels() {
    let bytes = encode::probability_png(&[0., 0.5, 1., 2., -1., f32::NAN], (3, 2)).unwrap();
    let levels: Vec<u8> = read(&bytes).unwrap().image.rgb().iter().step_by(3).copied().collect();
    assert_eq!(levels, [0, 128, 255, 255, 0, 0]);
    let error = encode::probability_png(&[0.], (3, 2)).unwrap_err().to_string();
    assert_eq!(error, "probability map of 3x2 needs 6 values, found 1");
}

fn any_image() -> impl Strategy<Value = Image> {
    (1usize..40, 1usize..40).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), width * height * 3)
            .prop_map(move |rgb| Image::new(width, height, rgb).unwrap())
    })
}

proptest! {
    #[test]
    fn png_loses_nothing(image in any_image()) {
        let read = read(&encode::png(&image).unwrap()).unwrap();
        prop_assert_eq!(read, decode::Decoded { image, container: Container::Png, notes: vec![] });
    }

    #[test]
    fn masks_lose_nothing(image in any_image()) {
        let mask = Mask::from_fn(image.width(), image.height(), |x, y| image.pixel(x, y)[0] > 127);
        let bytes = encode::mask_png(&mask).unwrap();
        prop_assert_eq!(decode::decode_mask(&bytes, &Limits::default()).unwrap(), mask);
    }

    #[test]
    fn no_bytes_make_it_panic(tail in prop::collection::vec(any::<u8>(), 0..300), jpeg in any::<bool>()) {
        let start: &[u8] = if jpeg { &[0xff, 0xd8, 0xff] } else { b"\x89PNG\r\n\x1a\n" };
        let _ = read(&[start, &tail].concat());
        prop_assert!(read(&tail).is_err());
    }

    #[test]
    fn flipped_bytes_never_panic(at in any::<prop::sample::Index>(), flip in 1u8.., jpeg in any::<bool>()) {
        let container = if jpeg { Container::Jpeg } else { Container::Png };
        let image = phantom::draw(Kind::Dermoscopy, 3, 24, 16).0;
        let mut bytes = encode::image(&image, container).unwrap();
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        if let Ok(read) = read(&bytes) {
            prop_assert_eq!(read.image.rgb().len(), read.image.width() * read.image.height() * 3);
        }
    }
}
