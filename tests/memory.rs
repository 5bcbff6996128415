//! What a model says that a row needs, against the peak of this process (Linux).
#![cfg(target_os = "linux")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};
use segprobe::model::{Conditioning, Question, SegmentationModel, Source};

/// Tests share a process, so they take turns: one must not use memory while another measures it.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Bytes by which a call of so many rows raises the memory of the process at its peak.
fn peak(model: &dyn SegmentationModel, question: Question, rows: usize) -> u64 {
    let input = model.preprocess();
    let (height, width) = (input.height, input.width);
    let values = (0..rows * 3 * height * width).map(|i| (i as f32 * 0.37).sin()).collect();
    let x = Tensor::from_vec(values, (rows, 3, height, width), &Device::Cpu).unwrap();
    let prompts: Vec<Conditioning> = vec![model.prepare_prompt("lungs").unwrap(); rows];
    // Sets the recorded peak to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    match question {
        Question::Logits => drop(model.logits(&x, &prompts).unwrap()),
        Question::Gradient => drop(model.logits_and_vjp(&x, &prompts, &mut |z| Ok(z.ones_like()?)).unwrap()),
    }
    status("VmHWM").saturating_sub(before)
}

#[test]
fn a_row_takes_no_more_memory_than_the_model_says_and_recomputing_takes_less() {
    let _turn = turn();
    let mut model = Source::resolve(None).unwrap().open(None, &Device::Cpu, DType::F32).unwrap();
    let mut measured = vec![];
    for (question, recompute) in [(Question::Logits, false), (Question::Gradient, true), (Question::Gradient, false)] {
        model.recompute_blocks(recompute);
        let (few, many) = (2, 10);
        peak(&model, question, 1);
        let (less, more) = (peak(&model, question, few), peak(&model, question, many));
        let row = more.saturating_sub(less) / (many - few) as u64;
        let estimate = model.bytes_per_row(question).unwrap();
        println!("{question:?}, recompute {recompute}: {row} bytes a row, estimated {estimate}");
        assert!(row <= estimate, "{question:?}, recompute {recompute}: {row} bytes a row, estimated {estimate}");
        measured.push((row, estimate));
    }
    let [_, (recomputed, _), (kept, estimate)] = measured[..] else { panic!("three measurements") };
    // a fused block keeps little, and much of what the demo model needs is in its head
    assert!(recomputed < kept * 9 / 10, "recomputing takes {recomputed} of {kept} bytes");
    assert!(estimate < 6 * kept, "an estimate of {estimate} for {kept} bytes wastes the memory");
}

#[test]
fn recomputing_changes_no_bit_of_logits_and_gradients() {
    let _turn = turn();
    let mut model = Source::resolve(None).unwrap().open(None, &Device::Cpu, DType::F32).unwrap();
    let input = model.preprocess();
    let values = (0..2 * 3 * input.height * input.width).map(|i| (i as f32 * 0.37).sin()).collect();
    let x = Tensor::from_vec(values, (2, 3, input.height, input.width), &Device::Cpu).unwrap();
    let prompts = vec![model.prepare_prompt("lungs").unwrap(), model.prepare_prompt("one polyp").unwrap()];
    let answers = [false, true].map(|recompute| {
        model.recompute_blocks(recompute);
        let (logits, gradient) = model.logits_and_vjp(&x, &prompts, &mut |z| Ok(z.tanh()?)).unwrap();
        [logits, gradient].map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap())
    });
    assert!(answers[0][1].iter().any(|g| *g != 0.));
    assert!(answers[0] == answers[1]);
}
