//! Runs the kernels without a GPU: the same sources, built by the C++ compiler of this machine, with
//! each thread of a block a fibre (`kernels/host/`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use half::bf16;
use tempfile::TempDir;

use super::plan::{Element, Plan, Scalar};

/// Orders in which the threads of a block take turns: upwards, downwards, shuffled. Results must not
/// differ: if they do, a barrier is missing.
const ORDERS: [u32; 3] = [0, 1, 20_220_527];

/// The built program.
pub(super) struct Host {
    program: PathBuf,
    _folder: TempDir,
}

/// The program, built once for all tests; `None` on a machine that cannot build it.
///
/// # Panics
/// With `CI=true`, where leaving the tests out would go unnoticed; and if the sources do not compile.
pub(super) fn host() -> Option<&'static Host> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    let host = HOST.get_or_init(|| {
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".into());
        let found = Command::new(&compiler).arg("--version").output().is_ok_and(|answer| answer.status.success());
        (found && cfg!(target_os = "linux")).then(|| Host::build(&compiler))
    });
    if host.is_none() {
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "the kernels cannot be tested: install g++ or name a C++ compiler in CXX");
        eprintln!("left out: the kernels are tested on Linux with g++, or the compiler named in CXX");
    }
    host.as_ref()
}

impl Host {
    fn build(compiler: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("kernels");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/nn/cuda/kernels");
        let answer = Command::new(compiler)
            .args(["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wno-unknown-pragmas", "-I"])
            .arg(&sources)
            .arg(sources.join("host/run.cpp"))
            .arg("-o")
            .arg(&program)
            .output()
            .expect("the compiler was found");
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        Self { program, _folder: folder }
    }

    /// Runs a plan on `inputs` and answers its outputs, of the given sizes in bytes. Outputs begin as
    /// NaN, so what a kernel does not write is noticed.
    pub fn run(&self, plan: &Plan, inputs: &[Vec<u8>], outputs: &[usize]) -> Vec<Vec<u8>> {
        self.run_on(plan, inputs, outputs.iter().map(|size| vec![0xff; *size]).collect())
    }

    /// The same with outputs that already hold numbers.
    pub fn run_on(&self, plan: &Plan, inputs: &[Vec<u8>], outputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        assert_eq!((inputs.len(), outputs.len()), plan.buffers, "buffers of {}", plan.kernel);
        let mut results = ORDERS.map(|order| self.launch(plan, order, inputs, &outputs));
        assert!(results[0] == results[1] && results[0] == results[2], "{} depends on the threads' order", plan.kernel);
        std::mem::take(&mut results[0])
    }

    fn launch(&self, plan: &Plan, order: u32, inputs: &[Vec<u8>], outputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let buffers: Vec<&Vec<u8>> = inputs.iter().chain(outputs).collect();
        let mut request = Request::default();
        request.block(plan.kernel.as_bytes());
        request.numbers([plan.blocks.0, plan.blocks.1, plan.threads, order, buffers.len() as u32]);
        buffers.iter().for_each(|buffer| request.block(buffer));
        request.numbers([(buffers.len() + plan.scalars.len()) as u32]);
        (0..buffers.len()).for_each(|i| request.numbers([0, i as u32]));
        for scalar in &plan.scalars {
            request.numbers(match scalar {
                Scalar::Int(value) => [1, *value as u32],
                Scalar::Float(value) => [2, value.to_bits()],
            });
        }

        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // it answers only after it has read everything; if it stops early, its message says why
        let _ = child.stdin.take().expect("piped").write_all(&request.0);
        let answer = child.wait_with_output().expect("the program ends");
        assert!(answer.status.success(), "{}: {}", plan.kernel, String::from_utf8_lossy(&answer.stderr));
        let mut rest = answer.stdout.as_slice();
        let mut contents = buffers.iter().map(|buffer| {
            let (content, after) = rest.split_at(buffer.len());
            rest = after;
            content.to_vec()
        });
        for input in inputs {
            assert!(contents.next().as_ref() == Some(input), "{} changed an input", plan.kernel);
        }
        contents.collect()
    }
}

/// A launch as `kernels/host/run.cpp` reads it.
#[derive(Default)]
struct Request(Vec<u8>);

impl Request {
    fn numbers<const N: usize>(&mut self, values: [u32; N]) {
        values.iter().for_each(|value| self.0.extend(value.to_ne_bytes()));
    }

    /// Bytes after their number.
    fn block(&mut self, bytes: &[u8]) {
        self.numbers([bytes.len() as u32]);
        self.0.extend(bytes);
    }
}

/// Numbers as a kernel finds them in memory.
pub(super) fn encode(element: Element, values: &[f64]) -> Vec<u8> {
    match element {
        Element::F32 => values.iter().flat_map(|value| (*value as f32).to_ne_bytes()).collect(),
        Element::Bf16 => values.iter().flat_map(|value| bf16::from_f64(*value).to_ne_bytes()).collect(),
    }
}

/// Numbers that a kernel has written.
pub(super) fn decode(element: Element, bytes: &[u8]) -> Vec<f64> {
    match element {
        Element::F32 => bytes.as_chunks().0.iter().map(|value| f32::from_ne_bytes(*value).into()).collect(),
        Element::Bf16 => bytes.as_chunks().0.iter().map(|value| bf16::from_ne_bytes(*value).into()).collect(),
    }
}
