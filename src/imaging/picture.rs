//! A surface to compose pictures for people on.

use super::{Image, Mask};

/// Red, green and blue levels.
pub type Colour = [u8; 3];

/// An RGB surface. Whatever is drawn outside it is dropped.
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A surface of one colour; a side of zero becomes one.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, rgb: colour.repeat(width * height) }
    }

    /// Colours one pixel.
    pub fn set(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Fills a rectangle, given its upper left corner and size.
    pub fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), colour: Colour) {
        for y in top..top + height {
            for x in left..left + width {
                self.set(x, y, colour);
            }
        }
    }

    /// Puts an image with its upper left corner at `(left, top)`.
    pub fn put(&mut self, (left, top): (usize, usize), image: &Image) {
        for y in 0..image.height() {
            for x in 0..image.width() {
                self.set(left + x, top + y, image.pixel(x, y));
            }
        }
    }

    /// Draws the inner border of `mask`, `thickness` pixels wide, with a black line around it that
    /// keeps it visible on any background.
    pub fn outline(&mut self, (left, top): (usize, usize), mask: &Mask, colour: Colour, thickness: usize) {
        let depth = depth(mask, thickness + 1);
        for y in 0..mask.height() {
            for x in 0..mask.width() {
                match depth[y * mask.width() + x] {
                    0 => {}
                    d if d <= thickness => self.set(left + x, top + y, colour),
                    _ => self.set(left + x, top + y, [0; 3]),
                }
            }
        }
    }

    /// The finished image.
    pub fn finish(self) -> Image {
        Image::new(self.width, self.height, self.rgb).expect("a picture has three levels per pixel")
    }
}

/// Steps from each pixel of the mask to the outside if there are at most `limit`, else 0; so is the outside.
fn depth(mask: &Mask, limit: usize) -> Vec<usize> {
    let (width, height) = (mask.width(), mask.height());
    let mut depth = vec![0; width * height];
    let mut left: Vec<usize> = (0..depth.len()).filter(|at| mask.bits()[*at]).collect();
    for step in 1..=limit {
        // Diagonal steps count on every second round, which makes the line's corners round.
        let reached = |at: usize| {
            let (x, y) = (at % width, at / width);
            if x == 0 || y == 0 || x == width - 1 || y == height - 1 {
                return true;
            }
            let open = |at: usize| !mask.bits()[at] || (depth[at] > 0 && depth[at] < step);
            [at - 1, at + 1, at - width, at + width].into_iter().any(open)
                || (step % 2 == 0
                    && [at - width - 1, at - width + 1, at + width - 1, at + width + 1].into_iter().any(open))
        };
        let (border, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(|at| reached(*at));
        border.into_iter().for_each(|at| depth[at] = step);
        left = rest;
    }
    depth
}

/// A copy at another size: whole pixels are repeated to enlarge, averaged to shrink.
pub fn scale(image: &Image, width: usize, height: usize) -> Image {
    let (width, height) = (width.max(1), height.max(1));
    // Source columns or rows of one target pixel: at least one, together all of them.
    let span = |at: usize, to: usize, from: usize| {
        let first = at * from / to;
        first..((at + 1) * from / to).max(first + 1)
    };
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let rows = span(y, height, image.height());
        for x in 0..width {
            let columns = span(x, width, image.width());
            let count = rows.len() * columns.len();
            let mut sum = [count / 2; 3];
            for row in rows.clone() {
                for column in columns.clone() {
                    let pixel = image.pixel(column, row);
                    (0..3).for_each(|c| sum[c] += usize::from(pixel[c]));
                }
            }
            rgb.extend(sum.map(|s| (s / count) as u8));
        }
    }
    Image::new(width, height, rgb).expect("three levels per pixel were pushed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_repeats_and_shrinking_averages() {
        let image = Image::new(2, 1, vec![10, 20, 30, 50, 60, 70]).unwrap();
        assert_eq!(scale(&image, 4, 1).rgb(), [10, 20, 30, 10, 20, 30, 50, 60, 70, 50, 60, 70]);
        assert_eq!(scale(&image, 1, 1).rgb(), [30, 40, 50]);
        assert_eq!(scale(&scale(&image, 6, 3), 2, 1), image);
    }

    #[test]
    fn an_outline_lies_inside_the_mask() {
        let mask = Mask::from_fn(20, 20, |x, y| (5..15).contains(&x) && (5..15).contains(&y));
        let mut picture = Picture::new(20, 20, [9; 3]);
        picture.outline((0, 0), &mask, [255, 0, 0], 2);
        let drawn = picture.finish();
        assert_eq!(drawn.pixel(4, 10), [9; 3]);
        assert_eq!(drawn.pixel(5, 10), [255, 0, 0]);
        assert_eq!(drawn.pixel(6, 10), [255, 0, 0]);
        assert_eq!(drawn.pixel(7, 10), [0; 3]);
        assert_eq!(drawn.pixel(10, 10), [9; 3]);
    }

    #[test]
    fn drawing_outside_is_dropped() {
        let mut picture = Picture::new(2, 2, [0; 3]);
        picture.fill((1, 1), (5, 5), [7; 3]);
        picture.outline((1, 0), &Mask::from_fn(4, 4, |_, _| true), [8; 3], 1);
        assert_eq!(picture.finish().rgb().len(), 12);
    }
}
