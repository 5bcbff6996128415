//! In float64 nothing hides behind rounding: a wrong epsilon or interpolation constant would show.

use candle_core::DType;
use segprobe::loss::Loss;

use super::comparison::{Probe, Reference, relative};
use super::fixture;

#[test]
fn float64_agrees_to_ten_digits() {
    for name in ["tiny", "tiny-simple"] {
        let reference = Reference::open(&fixture(name)).expect("a readable fixture");
        let probe = Probe::open(&reference, None, DType::F64).expect("a loadable checkpoint");
        let truth = |name| reference.tensor(name).expect("a stored quantity");
        let image = reference.unit("image").expect("an image");

        let trace = probe.trace(&image).expect("a trace");
        let (_, gradient) = probe.loss_and_gradient(Loss::DiceCe, &image, truth("target")).expect("a gradient");
        let logits = trace.logits.squeeze(0).expect("one row");
        for (quantity, ours) in [
            ("position_embedding", &trace.position_embedding),
            ("conditional", &probe.prompt.0),
            ("logits", &logits),
            ("gradient.dice_ce", &gradient),
        ] {
            let error = relative(ours, truth(quantity)).expect("comparable tensors");
            assert!(error < 1e-10, "{name}, {quantity}: {error:e}");
        }
    }
}
