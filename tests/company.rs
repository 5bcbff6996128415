//! An image gets the same answer alone and in company: what an attack finds must not depend on which other
//! attacks share its batches.

use std::path::Path;

use candle_core::{Device, Tensor, Var};
use segprobe::model::checkpoint::CheckpointError;
use segprobe::model::clipseg::{ClipSegConfig, Network, Parameters};

/// Weights that are all there, of any shape.
struct Waves(f32);

impl Parameters for Waves {
    fn take(&mut self, _name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        self.0 += 1.;
        let count: usize = shape.iter().product();
        let fan_in = shape[1..].iter().product::<usize>().max(1) as f32;
        let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.7 + self.0).sin() / fan_in.sqrt()).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

fn noise(shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 1.3).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Logits and the gradient of their sum to the image.
fn answer(network: &Network, x: &Tensor, conditional: &Tensor) -> [Vec<f32>; 2] {
    let x = Var::from_tensor(x).unwrap();
    let logits = network.forward(&x, conditional).unwrap().logits;
    let gradient = logits.sum_all().unwrap().backward().unwrap().remove(&x).unwrap();
    [logits, gradient].map(|t| t.flatten_all().unwrap().to_vec1().unwrap())
}

/// The architecture of the demo model: a smaller one rounds alike whatever its products' shapes. Its
/// vocabulary does not matter here.
fn demo() -> ClipSegConfig {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    config["text_config"]["vocab_size"] = 8.into();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    ClipSegConfig::open(&dir.path().join("config.json")).unwrap()
}

#[test]
fn company_does_not_change_a_bit_of_logits_and_gradients() {
    let config = demo();
    let network = Network::build(&config, &mut Waves(0.)).unwrap();
    let (x, conditional) = (noise(&[5, 3, 64, 64]), noise(&[5, config.projection_dim]));
    for rows in [2, 3, 5] {
        let [logits, gradients] =
            answer(&network, &x.narrow(0, 0, rows).unwrap(), &conditional.narrow(0, 0, rows).unwrap());
        for row in 0..rows {
            let alone = answer(&network, &x.narrow(0, row, 1).unwrap(), &conditional.narrow(0, row, 1).unwrap());
            let mine = |all: &[f32]| all.chunks_exact(all.len() / rows).nth(row).unwrap().to_vec();
            assert!(alone == [mine(&logits), mine(&gradients)], "row {row} of {rows}");
        }
    }
}
