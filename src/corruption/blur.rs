//! Blur: symmetric kernels of sum 1, so that nothing moves and nothing gets brighter. Borders are repeated outwards.

use super::Severity;
use crate::drawing::{Canvas, Draws, Frame, Point};
use crate::imaging::filter::NormalKernel;

/// Standard deviation of the kernel, as a share of the short side.
const DEVIATION: [f32; 5] = [0.004, 0.008, 0.013, 0.020, 0.030];
/// Radius of the disc.
const RADIUS: [f32; 5] = [0.006, 0.011, 0.018, 0.026, 0.038];
/// Length of the path.
const PATH: [f32; 5] = [0.02, 0.04, 0.07, 0.11, 0.16];

fn pixels(canvas: &Canvas, share: f32) -> f32 {
    share * 2. * canvas.frame().unit()
}

/// A normal kernel.
pub(super) fn gaussian(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    let kernel = NormalKernel::new(pixels(canvas, severity.of(DEVIATION)));
    let Frame { width, height } = canvas.frame();
    canvas.each_channel(|channel| kernel.smooth(channel, (width, height)));
}

/// The mean over a disc: every point is spread over the lens's opening.
pub(super) fn defocus(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    // Every pixel reaches beyond its own area.
    let radius = 1. + pixels(canvas, severity.of(RADIUS));
    let chords: Vec<f32> = (0..radius.ceil() as usize).map(|dy| (radius * radius - (dy * dy) as f32).sqrt()).collect();
    let area = 2. * (chords[0] + 2. * chords[1..].iter().sum::<f32>());
    let Frame { width, height } = canvas.frame();
    canvas.each_channel(|channel| {
        let rows: Vec<Integral> = channel.chunks(width).map(Integral::new).collect();
        for (at, v) in channel.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width);
            let chord = |dy: usize, half: f32| {
                let row = |y: usize| rows[y].around(x as f32 + 0.5, half);
                if dy == 0 { row(y) } else { row(y.saturating_sub(dy)) + row((y + dy).min(height - 1)) }
            };
            *v = chords.iter().enumerate().map(|(dy, half)| chord(dy, *half)).sum::<f32>() / area;
        }
    });
}

/// Sums of a row up to each border between its pixels.
struct Integral(Vec<f64>);

impl Integral {
    fn new(row: &[f32]) -> Self {
        let mut sum = 0.;
        let sums = row.iter().map(|v| {
            sum += f64::from(*v);
            sum
        });
        Self(std::iter::once(0.).chain(sums).collect())
    }

    /// The integral from `centre - half` to `centre + half`, in pixels from the left border.
    fn around(&self, centre: f32, half: f32) -> f32 {
        (self.up_to(f64::from(centre + half)) - self.up_to(f64::from(centre - half))) as f32
    }

    fn up_to(&self, x: f64) -> f64 {
        let last = self.0.len() - 1;
        let (first_value, last_value) = (self.0[1], self.0[last] - self.0[last - 1]);
        if x <= 0. {
            return x * first_value;
        }
        let whole = x as usize;
        if whole >= last {
            return self.0[last] + (x - last as f64) * last_value;
        }
        self.0[whole] + (x - whole as f64) * (self.0[whole + 1] - self.0[whole])
    }
}

/// The mean over a straight path through the pixel, half of it before and half behind.
pub(super) fn motion(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let length = 1. + pixels(canvas, severity.of(PATH));
    let way = draws.direction();
    let steps = length.ceil() as i32;
    let path: Vec<Point> = (-steps..=steps).map(|k| way * (k as f32 / (2 * steps) as f32 * length)).collect();
    let Frame { width, height } = canvas.frame();
    canvas.each_channel(|channel| {
        let sharp = channel.clone();
        let between = |x: f32, y: f32| {
            let (x, y) = (x.clamp(0., (width - 1) as f32), y.clamp(0., (height - 1) as f32));
            let (left, top) = (x as usize, y as usize);
            let (right, below) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
            let (u, v) = (x - left as f32, y - top as f32);
            let row = |y: usize| sharp[y * width + left] * (1. - u) + sharp[y * width + right] * u;
            row(top) * (1. - v) + row(below) * v
        };
        for (at, v) in channel.iter_mut().enumerate() {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            *v = path.iter().map(|d| between(x + d.x, y + d.y)).sum::<f32>() / path.len() as f32;
        }
    });
}
