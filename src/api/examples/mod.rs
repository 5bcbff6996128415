//! Requests that work as they are, for the documentation.
//!
//! The picture is a phantom: `segprobe phantoms --kind xray --seed 1 --count 1 --size 64x64 --out DIR`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const IMAGE: &[u8] = include_bytes!("lungs.png");
const MASK: &[u8] = include_bytes!("lungs-mask.png");

/// A body of `POST /attacks`.
pub fn attack() -> Value {
    json!({
        "image": BASE64_STANDARD.encode(IMAGE),
        "mask": BASE64_STANDARD.encode(MASK),
        "spec": {
            "prompt": "lungs",
            "attack": {"method": "pgd", "steps": 10},
            "budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "pixel255"}},
        },
    })
}

/// A body of `POST /segmentations`.
pub fn segmentation() -> Value {
    json!({
        "image": BASE64_STANDARD.encode(IMAGE),
        "mask": BASE64_STANDARD.encode(MASK),
        "spec": {"prompt": "lungs"},
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::attack::{AttackSpec, Budget};
    use crate::imaging::Limits;
    use crate::imaging::decode::{decode, decode_mask};

    #[test]
    fn the_pictures_are_those_that_the_header_says() {
        let (image, mask) = crate::phantom::draw(crate::phantom::Kind::Xray, 1, 64, 64);
        assert_eq!(decode(IMAGE, &Limits::default()).unwrap().image, image);
        assert_eq!(decode_mask(MASK, &Limits::default()).unwrap(), mask);
        assert!(IMAGE.len() + MASK.len() < 6000, "the examples are part of a page");
    }

    #[test]
    fn the_spec_can_be_read() {
        let spec = &attack()["spec"];
        AttackSpec::deserialize(&spec["attack"]).unwrap();
        Budget::deserialize(&spec["budget"]).unwrap();
    }
}
