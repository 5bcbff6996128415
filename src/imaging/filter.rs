//! Smoothing with a normal kernel, and its transpose. Borders are repeated outwards.

/// A normal kernel, cut at three standard deviations, of sum 1.
#[derive(Debug, Clone)]
pub struct NormalKernel {
    /// Weights at 0, 1, 2, ... pixels from the middle.
    half: Vec<f32>,
}

impl NormalKernel {
    /// The kernel of a standard deviation in pixels.
    pub fn new(deviation: f32) -> Self {
        let deviation = deviation.max(1e-3);
        let reach = (3. * deviation).ceil() as usize;
        let mut half: Vec<f32> = (0..=reach).map(|k| (-0.5 * (k as f32 / deviation).powi(2)).exp()).collect();
        let sum = half[0] + 2. * half[1..].iter().sum::<f32>();
        half.iter_mut().for_each(|weight| *weight /= sum);
        Self { half }
    }

    /// Smooths a row-major plane both ways.
    pub fn smooth(&self, plane: &mut [f32], (width, height): (usize, usize)) {
        each_line(plane, (width, 1), |from, to| self.gather(from, to));
        each_line(plane, (height, width), |from, to| self.gather(from, to));
    }

    /// The transpose of [`Self::smooth`]: what a gradient of the smooth plane is for the plane itself.
    pub fn pull_back(&self, plane: &mut [f32], (width, height): (usize, usize)) {
        each_line(plane, (height, width), |from, to| self.scatter(from, to));
        each_line(plane, (width, 1), |from, to| self.scatter(from, to));
    }

    fn gather(&self, from: &[f32], to: &mut [f32]) {
        for (k, value) in to.iter_mut().enumerate() {
            let around = |d: usize| from[k.saturating_sub(d)] + from[(k + d).min(from.len() - 1)];
            let sides: f32 = self.half.iter().enumerate().skip(1).map(|(d, weight)| weight * around(d)).sum();
            *value = self.half[0] * from[k] + sides;
        }
    }

    fn scatter(&self, from: &[f32], to: &mut [f32]) {
        to.fill(0.);
        let last = from.len() - 1;
        for (k, value) in from.iter().enumerate() {
            to[k] += self.half[0] * value;
            for (d, weight) in self.half.iter().enumerate().skip(1) {
                to[k.saturating_sub(d)] += weight * value;
                to[(k + d).min(last)] += weight * value;
            }
        }
    }
}

/// Replaces lines of `length` values that are `stride` apart by what `change` makes of them.
fn each_line(plane: &mut [f32], (length, stride): (usize, usize), change: impl Fn(&[f32], &mut [f32])) {
    let (mut from, mut to) = (vec![0.; length], vec![0.; length]);
    for start in (0..plane.len() / length).map(|n| if stride == 1 { n * length } else { n }) {
        let place = |k: usize| start + k * stride;
        from.iter_mut().enumerate().for_each(|(k, v)| *v = plane[place(k)]);
        change(&from, &mut to);
        to.iter().enumerate().for_each(|(k, v)| plane[place(k)] = *v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, pace: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * pace).sin()).collect()
    }

    #[test]
    fn the_transpose_is_the_transpose_at_borders_too() {
        for (width, height) in [(7, 5), (1, 9), (12, 1)] {
            let (x, y) = (wave(width * height, 0.7), wave(width * height, 1.3));
            let kernel = NormalKernel::new(1.4);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let (mut smooth, mut back) = (x.clone(), y.clone());
            kernel.smooth(&mut smooth, (width, height));
            kernel.pull_back(&mut back, (width, height));
            assert!((dot(&smooth, &y) - dot(&x, &back)).abs() < 1e-4);
        }
    }

    #[test]
    fn a_flat_plane_stays_flat() {
        let mut plane = vec![0.3; 48];
        NormalKernel::new(2.).smooth(&mut plane, (8, 6));
        assert!(plane.iter().all(|v| (v - 0.3).abs() < 1e-6));
    }
}
