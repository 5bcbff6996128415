//! A folder to work in, and the program on a tiny model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use segprobe::imaging::{Image, Limits, Mask, decode, encode};
use segprobe::phantom::{Kind, draw};
use serde_json::Value;

/// A folder with a picture, its mask, and the files of attacks on it.
pub struct Desk(tempfile::TempDir);

impl Desk {
    pub fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let (image, mask) = picture();
        encode::write(&desk.path("image.png"), &encode::png(&image).unwrap()).unwrap();
        encode::write(&desk.path("image.jpg"), &encode::jpeg(&image, 95).unwrap()).unwrap();
        encode::write(&desk.path("mask.png"), &encode::mask_png(&mask).unwrap()).unwrap();
        encode::write(&desk.path("small.png"), &encode::mask_png(&mask.resize(20, 20)).unwrap()).unwrap();
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `segprobe` here, its flags separated by spaces, on the tiny model.
    pub fn run(&self, flags: &str) -> Output {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/tiny");
        let mut command = Command::new(env!("CARGO_BIN_EXE_segprobe"));
        command.current_dir(self.0.path()).args(flags.split_whitespace()).arg("--model").arg(model);
        command.output().unwrap()
    }

    /// What an attack says at its end, which nothing precedes.
    pub fn attack(&self, flags: &str) -> String {
        let output = self.run(&format!("attack --prompt polyp {flags}"));
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && complaint.is_empty(), "{complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn refusal(&self, flags: &str) -> String {
        let output = self.run(&format!("attack --prompt polyp {flags}"));
        assert!(!output.status.success() && !self.path("out").exists());
        String::from_utf8(output.stderr).unwrap()
    }

    /// Why an attack on the picture is refused, whatever lies in the folder.
    pub fn refusal_to(&self, flags: &str) -> String {
        let output = self.run(&format!("attack --prompt polyp --image image.png {flags}"));
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub fn image(&self, name: &str) -> Image {
        decode::open(&self.path(name), &Limits::default()).unwrap().image
    }

    pub fn mask(&self, name: &str) -> Mask {
        decode::open_mask(&self.path(name), &Limits::default()).unwrap()
    }

    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap().map(Result::unwrap);
        entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
    }
}

pub fn picture() -> (Image, Mask) {
    draw(Kind::Endoscopy, 3, 90, 72)
}

/// Every `null` score has a reason beside it, and so has every nested one.
pub fn nulls_have_reasons(scores: &Value) {
    for (field, _) in scores.as_object().unwrap().iter().filter(|(_, value)| value.is_null()) {
        assert!(scores["reasons"][field].is_string(), "{field} is null without a reason: {scores}");
    }
}
