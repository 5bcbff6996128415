//! DICOM files of every kind against what pydicom makes of them.
//!
//! `tests/oracle/dicom_fixtures.py` wrote the files and the levels they must become.

use std::path::PathBuf;

use segprobe::imaging::{Container, Decoded, ImagingError, Limits, Selection, Window, decode};
use serde::Deserialize;

/// A file, what is wanted of it and what it must become.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub file: String,
    pub frame: Option<u32>,
    pub window: Option<[f64; 2]>,
    #[serde(default)]
    tolerance: u8,
    #[serde(default)]
    width: usize,
    #[serde(default)]
    height: usize,
    #[serde(default)]
    levels: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

impl Case {
    pub fn all() -> Vec<Self> {
        serde_json::from_slice(&std::fs::read(folder().join("cases.json")).unwrap()).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(folder().join(&self.file)).unwrap()
    }

    pub fn selection(&self) -> Selection {
        let window = self.window.map(|[center, width]| Window { center, width });
        Selection { frame: self.frame, window }
    }

    pub fn read(&self) -> Result<Decoded, ImagingError> {
        decode::decode_with(&self.bytes(), &limits(), &self.selection())
    }

    /// The levels as RGB.
    fn expected(&self) -> Option<Vec<u8>> {
        let digits = self.levels.as_ref()?;
        let level = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
        let levels: Vec<u8> = (0..digits.len() / 2).map(level).collect();
        let grey = levels.len() == self.width * self.height;
        Some(if grey { levels.iter().flat_map(|level| [*level; 3]).collect() } else { levels })
    }
}

/// Small enough for a deflated bomb of a few hundred bytes.
pub fn limits() -> Limits {
    Limits { bytes: 100 << 10, ..Limits::default() }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dicom")
}

fn case(file: &str) -> Case {
    Case::all().into_iter().find(|case| case.file == file).unwrap()
}

#[test]
fn good_files_have_the_levels_of_pydicom() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for case in Case::all() {
        let Some(expected) = case.expected() else { continue };
        checked += 1;
        match case.read() {
            Err(error) => wrong.push(format!("{}: {error}", case.file)),
            Ok(read) => {
                assert_eq!(read.container, Container::Dicom);
                assert_eq!((read.image.width(), read.image.height()), (case.width, case.height), "{}", case.file);
                let apart = read.image.rgb().iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                if apart > case.tolerance {
                    wrong.push(format!("{}: {apart} levels apart, {} allowed", case.file, case.tolerance));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(checked > 40, "{checked}");
}

#[test]
fn bad_files_are_refused_with_the_reason() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for case in Case::all() {
        let Some(reason) = &case.error else { continue };
        checked += 1;
        match case.read() {
            Ok(_) => wrong.push(format!("{}: read", case.file)),
            Err(error) if !error.to_string().contains(reason) => wrong.push(format!("{}: {error}", case.file)),
            Err(_) => {}
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(checked > 25, "{checked}");
}

#[test]
fn nothing_about_the_patient_leaves_the_decoder() {
    for case in Case::all() {
        let bytes = case.bytes();
        let said = match case.read() {
            Ok(read) => read.notes.join(" "),
            Err(error) => error.to_string(),
        };
        assert!(!said.to_lowercase().contains("secret"), "{}: {said}", case.file);
        // The fixtures do hold a name, so the check above is not empty.
        if case.file == "ct_window.dcm" {
            assert!(bytes.windows(13).any(|text| text == b"Secret^Person"));
        }
    }
}

#[test]
fn what_was_changed_is_said() {
    let notes = |file: &str| case(file).read().unwrap().notes;
    assert_eq!(notes("ct_window.dcm"), ["the file's window became levels 0 to 255: center 40, width 400"]);
    assert_eq!(notes("ct_window_given.dcm"), ["the given window became levels 0 to 255: center -300, width 1200"]);
    let range = "the file has no window; its values from -1048 to 1976 became levels 0 to 255";
    assert_eq!(notes("ct_no_window.dcm"), [range]);
    assert_eq!(notes("sixteen_bit_rgb.dcm"), ["16-bit levels were mapped to 8 bits"]);
    assert_eq!(notes("rgb.dcm"), [""; 0]);
    assert_eq!(notes("frames.dcm")[0], "the file has 3 frames; the first one is used");
    assert_eq!(notes("frames_last.dcm").len(), 1);
}

#[test]
fn a_picture_has_one_frame_and_no_window() {
    let image = segprobe::imaging::Image::new(1, 1, vec![1, 2, 3]).unwrap();
    let png = segprobe::imaging::encode::png(&image).unwrap();
    let read = |selection| decode::decode_with(&png, &limits(), &selection);
    assert!(read(Selection { frame: Some(0), window: None }).is_ok());
    let error = read(Selection { frame: Some(1), window: None }).unwrap_err().to_string();
    assert_eq!(error, "there is no frame 1, the file has 1 and counts from 0");
    let window = Some(Window { center: 40., width: 400. });
    let error = read(Selection { frame: None, window }).unwrap_err().to_string();
    assert_eq!(error, "the window cannot be used: only grey DICOM images have one; leave it out");
}
