//! Phantoms: synthetic pictures that look medical, with exact masks.
//!
//! They serve as samples that may be shipped with the program and as training data that no licence
//! restricts. A phantom is a function of its kind, seed and size. Every kind paints a random scene
//! (anatomy, light, the instrument's frame, noise) around one object, and the mask is that object.

mod dermoscopy;
mod endoscopy;
mod folder;
mod ultrasound;
mod xray;

pub use folder::{PhantomError, Sample, samples, write_folder, write_samples};

use crate::drawing::{Draws, Frame};
use crate::imaging::{Image, Mask};

/// What a phantom imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Colonoscopy: a polyp on mucosa.
    Endoscopy,
    /// A pigmented lesion on skin.
    Dermoscopy,
    /// Obstetric ultrasound: a fetal head in cross-section.
    Ultrasound,
    /// A frontal chest X-ray: both lungs.
    Xray,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Endoscopy, Self::Dermoscopy, Self::Ultrasound, Self::Xray];

    /// The modality's name in lower case, fit for a file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Endoscopy => "endoscopy",
            Self::Dermoscopy => "dermoscopy",
            Self::Ultrasound => "ultrasound",
            Self::Xray => "xray",
        }
    }

    /// The text that asks for the mask.
    pub fn prompt(self) -> &'static str {
        match self {
            Self::Endoscopy => "polyp",
            Self::Dermoscopy => "skin lesion",
            Self::Ultrasound => "fetal head",
            Self::Xray => "lungs",
        }
    }
}

/// The picture of a kind with a seed, and the exact mask of what [`Kind::prompt`] names.
///
/// Equal arguments give equal pixels on every machine.
///
/// # Panics
/// If `width` or `height` is zero.
pub fn draw(kind: Kind, seed: u64, width: usize, height: usize) -> (Image, Mask) {
    assert!(width > 0 && height > 0, "a picture needs at least one pixel");
    let frame = Frame { width, height };
    match kind {
        Kind::Endoscopy => endoscopy::draw(frame, &mut draws(1, seed)),
        Kind::Dermoscopy => dermoscopy::draw(frame, &mut draws(2, seed)),
        Kind::Ultrasound => ultrasound::draw(frame, &mut draws(3, seed)),
        Kind::Xray => xray::draw(frame, &mut draws(4, seed)),
    }
}

/// The draws of phantom number `seed` of the kind numbered `kind`.
fn draws(kind: u8, seed: u64) -> Draws {
    let mut key = [0; 32];
    key[..16].copy_from_slice(b"segprobe phantom");
    key[16] = kind;
    key[24..].copy_from_slice(&seed.to_le_bytes());
    Draws::from_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_pictures_and_others_differ() {
        for kind in Kind::ALL {
            assert_eq!(draw(kind, 7, 96, 80), draw(kind, 7, 96, 80), "{kind:?}");
            assert_ne!(draw(kind, 7, 96, 80).0, draw(kind, 8, 96, 80).0, "{kind:?}");
        }
    }

    #[test]
    fn the_object_is_neither_lost_nor_everything() {
        for kind in Kind::ALL {
            for seed in 0..60 {
                for (width, height) in [(64, 64), (96, 64), (64, 80)] {
                    let (image, mask) = draw(kind, seed, width, height);
                    assert_eq!((image.width(), image.height()), (mask.width(), mask.height()));
                    let share = mask.area() as f32 / (width * height) as f32;
                    assert!((0.03..=0.6).contains(&share), "{kind:?} {seed} {width}x{height}: {share}");
                }
            }
        }
    }

    #[test]
    fn the_object_can_be_told_from_its_surroundings() {
        for kind in Kind::ALL {
            let differs = |seed| {
                let (image, mask) = draw(kind, seed, 96, 96);
                let mean = |inside: bool| {
                    let chosen = mask.bits().iter().zip(image.rgb().as_chunks::<3>().0).filter(|(b, _)| **b == inside);
                    let levels: Vec<f32> = chosen.map(|(_, p)| p.iter().map(|v| f32::from(*v)).sum::<f32>()).collect();
                    levels.iter().sum::<f32>() / levels.len() as f32 / 3.
                };
                (mean(true) - mean(false)).abs() > 4.
            };
            let told = (0..40).filter(|seed| differs(*seed)).count();
            assert!(told >= 30, "{kind:?}: only {told} of 40");
        }
    }

    #[test]
    fn odd_sizes_are_drawn() {
        for kind in Kind::ALL {
            for (width, height) in [(1, 1), (1, 40), (40, 1), (3, 2)] {
                assert_eq!(draw(kind, 1, width, height).0.rgb().len(), width * height * 3);
            }
        }
    }
}
