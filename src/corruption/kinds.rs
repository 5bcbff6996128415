//! The kinds of corruption, their names, and groups of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Effect::{Paint, Rewrite};
use super::{Effect, blur, colour, dermoscopy, digital, endoscopy, mri, noise, ultrasound, xray};

macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident $name:literal $group:ident $effect:expr;)*) => {
        /// One kind of corruption.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$about])* $kind,)*
        }

        impl Kind {
            /// All kinds, those of every modality first.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The name used in requests and results.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The modality that it belongs to; [`Group::Common`] if it may happen to any picture.
            pub fn group(self) -> Group {
                match self {
                    $(Self::$kind => Group::$group,)*
                }
            }

            pub(super) fn effect(self) -> Effect {
                match self {
                    $(Self::$kind => $effect,)*
                }
            }
        }
    };
}

kinds! {
    /// Thermal noise of the sensor: the same in dark and bright places.
    GaussianNoise "gaussian_noise" Common Paint(noise::gaussian);
    /// Too few photons: noise that grows with the root of the brightness.
    ShotNoise "shot_noise" Common Paint(noise::shot);
    /// Noise that grows with the brightness.
    SpeckleNoise "speckle_noise" Common Paint(noise::speckle);
    /// A lens or a detector of low resolution.
    GaussianBlur "gaussian_blur" Common Paint(blur::gaussian);
    /// A lens out of focus.
    DefocusBlur "defocus_blur" Common Paint(blur::defocus);
    /// A camera or a patient that moves during the exposure.
    MotionBlur "motion_blur" Common Paint(blur::motion);
    /// A file that was compressed too much.
    Jpeg "jpeg" Common Rewrite(digital::jpeg);
    /// A picture that was stored at a lower resolution.
    Pixelate "pixelate" Common Paint(digital::pixelate);
    /// All levels higher.
    BrightnessUp "brightness_up" Common Paint(colour::brightness_up);
    /// All levels lower.
    BrightnessDown "brightness_down" Common Paint(colour::brightness_down);
    /// Levels farther from their mean.
    ContrastUp "contrast_up" Common Paint(colour::contrast_up);
    /// Levels nearer to their mean.
    ContrastDown "contrast_down" Common Paint(colour::contrast_down);
    /// Middle levels darker.
    GammaUp "gamma_up" Common Paint(colour::gamma_up);
    /// Middle levels brighter.
    GammaDown "gamma_down" Common Paint(colour::gamma_down);
    /// Colours stronger; a grey picture stays as it is.
    SaturationUp "saturation_up" Common Paint(colour::saturation_up);
    /// Colours weaker; a grey picture stays as it is.
    SaturationDown "saturation_down" Common Paint(colour::saturation_down);
    /// The lamp mirrored in wet tissue.
    SpecularHighlights "specular_highlights" Endoscopy Paint(endoscopy::specular_highlights);
    /// Bubbles before the lens.
    Bubbles "bubbles" Endoscopy Paint(endoscopy::bubbles);
    /// Hair over the skin.
    Hair "hair" Dermoscopy Paint(dermoscopy::hair);
    /// A ruler along the lower border.
    Ruler "ruler" Dermoscopy Paint(dermoscopy::ruler);
    /// The tube of the dermatoscope darkens the corners.
    Vignette "vignette" Dermoscopy Paint(dermoscopy::vignette);
    /// Echoes that interfere.
    UltrasoundSpeckle "ultrasound_speckle" Ultrasound Paint(ultrasound::speckle);
    /// Bone, gas or lost contact above keeps the sound away.
    AcousticShadow "acoustic_shadow" Ultrasound Paint(ultrasound::acoustic_shadow);
    /// The gain of some depths set wrongly.
    Gain "gain" Ultrasound Paint(ultrasound::gain);
    /// Too much dose: all is dark, and the air saturates.
    Overexposure "overexposure" Xray Paint(xray::overexposure);
    /// Too little dose: all is bright and mottled.
    Underexposure "underexposure" Xray Paint(xray::underexposure);
    /// The lines of an anti-scatter grid.
    GridLines "grid_lines" Xray Paint(xray::grid_lines);
    /// A receive coil whose sensitivity varies over the picture.
    BiasField "bias_field" Mri Paint(mri::bias_field);
    /// Motion between the lines of k-space: faint copies along the phase axis.
    Ghosting "ghosting" Mri Paint(mri::ghosting);
    /// Noise of a magnitude picture: never negative, and so brighter in dark places.
    RicianNoise "rician_noise" Mri Paint(noise::rician);
}

/// Kinds that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Those that may happen to any picture.
    Common,
    /// The common ones, and those of endoscopy.
    Endoscopy,
    /// The common ones, and those of dermoscopy.
    Dermoscopy,
    /// The common ones, and those of ultrasound.
    Ultrasound,
    /// The common ones, and those of X-rays.
    Xray,
    /// The common ones, and those of magnetic resonance.
    Mri,
    /// Every kind, whatever the picture shows.
    All,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 7] =
        [Self::Common, Self::Endoscopy, Self::Dermoscopy, Self::Ultrasound, Self::Xray, Self::Mri, Self::All];

    /// The name used in requests and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Endoscopy => "endoscopy",
            Self::Dermoscopy => "dermoscopy",
            Self::Ultrasound => "ultrasound",
            Self::Xray => "xray",
            Self::Mri => "mri",
            Self::All => "all",
        }
    }

    fn holds(self, kind: Kind) -> bool {
        self == Self::All || kind.group() == Self::Common || kind.group() == self
    }
}

/// One kind, or all of a group, by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kinds {
    /// One kind.
    One(Kind),
    /// Every kind of a group; the worst of them counts.
    Group(Group),
}

impl Kinds {
    /// The name used in requests and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::One(kind) => kind.name(),
            Self::Group(group) => group.name(),
        }
    }

    /// The kinds, in the order of [`Kind::ALL`].
    pub fn members(self) -> Vec<Kind> {
        match self {
            Self::One(kind) => vec![kind],
            Self::Group(group) => Kind::ALL.iter().copied().filter(|kind| group.holds(*kind)).collect(),
        }
    }

    /// Every kind and every group.
    pub fn every() -> impl Iterator<Item = Self> {
        Kind::ALL.iter().copied().map(Self::One).chain(Group::ALL.map(Self::Group))
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self::Group(Group::Common)
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not the name of a kind or a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no corruption {0:?}: use one of {names}", names = Kinds::every().map(Kinds::name).collect::<Vec<_>>().join(", "))]
pub struct UnknownKind(String);

impl FromStr for Kinds {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::every().find(|kinds| kinds.name() == name).ok_or_else(|| UnknownKind(name.into()))
    }
}

impl TryFrom<String> for Kinds {
    type Error = UnknownKind;

    fn try_from(name: String) -> Result<Self, UnknownKind> {
        name.parse()
    }
}

impl From<Kinds> for String {
    fn from(kinds: Kinds) -> Self {
        kinds.name().into()
    }
}

/// By hand: one list of names, rather than a choice between two.
impl PartialSchema for Kinds {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("One kind of corruption, or a group of which the worst counts."))
            .enum_values(Some(Self::every().map(Self::name)))
            .into()
    }
}

impl ToSchema for Kinds {
    fn name() -> std::borrow::Cow<'static, str> {
        "CorruptionKind".into()
    }
}
