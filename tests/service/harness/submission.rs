//! What a caller hands in.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::pictures;

/// Pictures by the name of their part, and a spec.
#[derive(Debug, Clone)]
pub struct Submission {
    pub pictures: BTreeMap<&'static str, Vec<u8>>,
    pub spec: Value,
}

impl Submission {
    /// The quickest attack there is, on a small picture with its mask.
    pub fn fgsm() -> Self {
        let (image, mask) = pictures::lungs(1, 64, 48);
        let spec = json!({
            "prompt": "lungs",
            "attack": {"method": "fgsm"},
            "budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "pixel255"}}
        });
        Self { pictures: BTreeMap::from([("image", image), ("mask", mask)]), spec }
    }

    /// PGD with so many steps, each about two milliseconds.
    pub fn pgd(steps: u32) -> Self {
        Self::fgsm().with("/attack", json!({"method": "pgd", "steps": steps}))
    }

    /// An attack that runs until somebody stops it: about as many steps as a job may have, on a larger picture.
    pub fn long() -> Self {
        let (image, mask) = pictures::lungs(2, 320, 240);
        Self::pgd(9_000).picture("image", image).picture("mask", mask)
    }

    /// The same with a field of the spec set; objects on the way are made.
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut field = &mut self.spec;
        for key in pointer.split('/').skip(1) {
            field = &mut field[key];
        }
        *field = value.into();
        self
    }

    /// The same without a field at the top of the spec.
    pub fn without(mut self, field: &str) -> Self {
        if let Some(spec) = self.spec.as_object_mut() {
            spec.remove(field);
        }
        self
    }

    /// The same with a picture added or exchanged.
    pub fn picture(mut self, part: &'static str, bytes: Vec<u8>) -> Self {
        self.pictures.insert(part, bytes);
        self
    }

    /// The same without a picture.
    pub fn without_picture(mut self, part: &str) -> Self {
        self.pictures.remove(part);
        self
    }

    /// As multipart/form-data.
    pub fn form(&self) -> Form {
        let form = Form::new().text("spec", self.spec.to_string());
        self.pictures.iter().fold(form, |form, (name, bytes)| {
            form.part(*name, Part::bytes(bytes.clone()).file_name(format!("{name}.bin")))
        })
    }

    /// As JSON with the pictures in base64.
    pub fn json(&self) -> Value {
        let mut request = json!({"spec": self.spec});
        for (name, bytes) in &self.pictures {
            request[*name] = BASE64_STANDARD.encode(bytes).into();
        }
        request
    }
}
