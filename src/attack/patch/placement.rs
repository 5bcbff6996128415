//! Where a patch lies.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::attack::AttackError;
use crate::attack::steps::refused;
use crate::imaging::Mask;

/// The place that a patch takes, unless the allowed region of the request is the place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// By pixels.
    Rectangle(Rectangle),
    /// By a name, with a share of the image.
    Named(Named),
}

/// A rectangle within the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchRectangle)]
pub struct Rectangle {
    /// Column of its first pixel, from 0.
    #[schema(maximum = 65535)]
    pub x: usize,
    /// Row of its first pixel, from 0.
    #[schema(maximum = 65535)]
    pub y: usize,
    /// Columns.
    #[schema(minimum = 1, maximum = 65535)]
    pub width: usize,
    /// Rows.
    #[schema(minimum = 1, maximum = 65535)]
    pub height: usize,
}

/// A rectangle of the image's own proportions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NamedPatch)]
pub struct Named {
    /// Where in the image.
    pub at: Place,
    /// Its area as a share of the image's.
    #[schema(exclusive_minimum = 0, maximum = 0.5)]
    pub share: f64,
}

/// A place in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PatchPlace)]
pub enum Place {
    /// The upper left corner.
    TopLeft,
    /// The upper right corner.
    TopRight,
    /// The lower left corner.
    BottomLeft,
    /// The lower right corner.
    BottomRight,
    /// The middle.
    Centre,
}

/// A place that covers little of most structures.
const USUAL: Placement = Placement::Named(Named { at: Place::BottomRight, share: 0.05 });

impl Placement {
    /// Checks the numbers by themselves.
    ///
    /// # Errors
    /// [`AttackError::Parameter`].
    pub(super) fn check(&self) -> Result<(), AttackError> {
        match self {
            Self::Rectangle(Rectangle { width: 0, .. } | Rectangle { height: 0, .. }) => {
                Err(refused("placement", self, "a patch has at least one pixel"))
            }
            Self::Named(Named { share, .. }) if !(*share > 0. && *share <= 0.5) => {
                Err(refused("placement", self, "use a share above 0 and not above 0.5 of the image"))
            }
            Self::Rectangle(_) | Self::Named(_) => Ok(()),
        }
    }

    fn rectangle(&self, (width, height): (usize, usize)) -> Rectangle {
        match *self {
            Self::Rectangle(rectangle) => rectangle,
            Self::Named(Named { at, share }) => {
                let side = |side: usize| ((side as f64 * share.sqrt()).round() as usize).clamp(1, side);
                let (across, down) = (side(width), side(height));
                let (right, bottom) = (width - across, height - down);
                let (x, y) = match at {
                    Place::TopLeft => (0, 0),
                    Place::TopRight => (right, 0),
                    Place::BottomLeft => (0, bottom),
                    Place::BottomRight => (right, bottom),
                    Place::Centre => (right / 2, bottom / 2),
                };
                Rectangle { x, y, width: across, height: down }
            }
        }
    }
}

/// As few words: `32x32 at 10,20`, or `0.05 at bottom_right`.
impl std::fmt::Display for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rectangle(Rectangle { x, y, width, height }) => write!(f, "{width}x{height} at {x},{y}"),
            Self::Named(Named { at, share }) => {
                let place = match at {
                    Place::TopLeft => "top_left",
                    Place::TopRight => "top_right",
                    Place::BottomLeft => "bottom_left",
                    Place::BottomRight => "bottom_right",
                    Place::Centre => "centre",
                };
                write!(f, "{share} at {place}")
            }
        }
    }
}

/// The pixels of a patch in an image of `frame` (width and height): those of `region` if there is one, otherwise the
/// placement that was asked for, or the usual one.
///
/// # Errors
/// [`AttackError::Parameter`] if both are given, if the patch leaves the frame, or if it leaves nothing of it.
pub(super) fn pixels(
    placement: Option<&Placement>,
    frame: (usize, usize),
    region: Option<&Mask>,
) -> Result<Mask, AttackError> {
    let pixels = match (placement, region) {
        (Some(placement), Some(_)) => {
            return Err(refused("placement", placement, "the allowed region is the patch's place already: give one"));
        }
        (None, Some(region)) => region.clone(),
        (placement, None) => {
            let placement = placement.unwrap_or(&USUAL);
            let Rectangle { x: left, y: top, width, height } = placement.rectangle(frame);
            let (right, bottom) = (left.saturating_add(width), top.saturating_add(height));
            if right > frame.0 || bottom > frame.1 {
                return Err(refused(
                    "placement",
                    placement,
                    "this leaves the image: move it inside or make it smaller",
                ));
            }
            Mask::from_fn(frame.0, frame.1, |x, y| (left..right).contains(&x) && (top..bottom).contains(&y))
        }
    };
    if pixels.area() == pixels.bits().len() {
        let name = if region.is_some() { "allowed region" } else { "placement" };
        return Err(refused(name, "all of the image", "nothing would be left to score: make the patch smaller"));
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Placement {
        serde_json::from_value(value).unwrap()
    }

    fn bounds(mask: &Mask) -> (usize, usize, usize, usize) {
        let inside = || {
            (0..mask.height()).flat_map(|y| (0..mask.width()).map(move |x| (x, y))).filter(|(x, y)| mask.get(*x, *y))
        };
        let (left, right) = (inside().map(|p| p.0).min().unwrap(), inside().map(|p| p.0).max().unwrap());
        let (top, bottom) = (inside().map(|p| p.1).min().unwrap(), inside().map(|p| p.1).max().unwrap());
        assert_eq!(mask.area(), (right - left + 1) * (bottom - top + 1));
        (left, top, right - left + 1, bottom - top + 1)
    }

    #[test]
    fn places_are_found_by_pixels_and_by_name() {
        let place = |value| bounds(&pixels(Some(&read(value)), (40, 20), None).unwrap());
        let rectangle = json!({"rectangle": {"x": 3, "y": 4, "width": 5, "height": 6}});
        assert_eq!(place(rectangle), (3, 4, 5, 6));
        for (at, wanted) in [
            ("top_left", (0, 0, 20, 10)),
            ("top_right", (20, 0, 20, 10)),
            ("bottom_left", (0, 10, 20, 10)),
            ("bottom_right", (20, 10, 20, 10)),
            ("centre", (10, 5, 20, 10)),
        ] {
            assert_eq!(place(json!({"named": {"at": at, "share": 0.25}})), wanted);
        }
        assert_eq!(place(json!({"named": {"at": "centre", "share": 1e-9}})).2, 1);
        assert_eq!(bounds(&pixels(None, (40, 20), None).unwrap()), (31, 16, 9, 4));
        let region = Mask::from_fn(40, 20, |x, y| x == y);
        assert_eq!(pixels(None, (40, 20), Some(&region)).unwrap(), region);
    }

    #[test]
    fn places_that_make_no_sense_are_refused_by_name() {
        let refused = |placement: Option<Placement>, region: Option<Mask>| {
            let checked = placement.as_ref().map_or(Ok(()), Placement::check);
            let found = checked.and_then(|()| pixels(placement.as_ref(), (8, 6), region.as_ref()));
            match found {
                Err(AttackError::Parameter { name, .. }) => name,
                other => panic!("{other:?}"),
            }
        };
        let rectangle = |x, y, width, height| Some(Placement::Rectangle(Rectangle { x, y, width, height }));
        let named = |share| Some(Placement::Named(Named { at: Place::Centre, share }));
        for wrong in [
            rectangle(0, 0, 0, 3),
            rectangle(0, 0, 3, 0),
            rectangle(6, 0, 3, 3),
            rectangle(0, 4, 3, 3),
            rectangle(usize::MAX, 0, 2, 2),
            rectangle(0, 0, 8, 6),
            named(0.),
            named(0.6),
            named(f64::NAN),
        ] {
            assert_eq!(refused(wrong.clone(), None), "placement", "{wrong:?}");
        }
        let all = Mask::from_fn(8, 6, |_, _| true);
        assert_eq!(refused(None, Some(all.clone())), "allowed region");
        assert_eq!(refused(named(0.1), Some(all)), "placement");
        assert!(pixels(None, (1, 1), None).is_err(), "an image of one pixel has no room for a patch and a score");
    }
}
