//! What each kernel is launched with: its name, how many blocks, and its arguments.
//!
//! Plans are plain data, so that the same plan runs on a device (`launch`) and, in the tests, on the
//! host. A kernel takes its input buffers, then its output buffers, then numbers; a plan holds the
//! numbers and says how many buffers there are.

/// Threads of a block of attention.
const ATTENTION_THREADS: usize = 128;
/// Numbers of a row in one lane.
const PER_LANE: usize = 16;
/// Queries, or keys, of one group of lanes, forward and backward.
const FORWARD_ROWS: usize = 4;
const BACKWARD_ROWS: usize = 2;
/// Rows of a block on tensor cores: sixteen for each of its warps.
const MMA_BLOCK_ROWS: usize = 64;
/// Rows of a block of layer norm: one for each warp.
const NORM_ROWS: usize = 4;
const WARP: usize = 32;
const POINTWISE_THREADS: usize = 256;
/// What the second dimension of a grid can hold.
const MOST_HEADS: usize = 65_535;
/// The widest head that has a kernel, and that has one on tensor cores.
pub(crate) const WIDEST_HEAD: usize = 128;
const WIDEST_MMA_HEAD: usize = 64;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    Bf16,
}

impl Element {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "float",
            Self::Bf16 => "bf16",
        }
    }
}

/// A number that a kernel takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar {
    Int(i32),
    Float(f32),
}

/// One launch of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub module: &'static str,
    pub kernel: String,
    pub blocks: (u32, u32),
    pub threads: u32,
    /// How many buffers it reads, and how many it writes.
    pub buffers: (usize, usize),
    pub scalars: Vec<Scalar>,
}

/// Sizes that no kernel can take.
#[derive(Debug, thiserror::Error)]
#[error("{what} of {value} is more than a kernel takes ({most})")]
pub(crate) struct TooLarge {
    what: &'static str,
    value: usize,
    most: usize,
}

fn limited(what: &'static str, value: usize, most: usize) -> Result<usize, TooLarge> {
    if value <= most { Ok(value) } else { Err(TooLarge { what, value, most }) }
}

fn int(what: &'static str, value: usize) -> Result<Scalar, TooLarge> {
    Ok(Scalar::Int(limited(what, value, i32::MAX as usize)? as i32))
}

/// Attention over `[items, tokens, heads * width]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention {
    pub element: Element,
    pub items: usize,
    pub tokens: usize,
    pub heads: usize,
    pub width: usize,
    pub causal: bool,
    /// Each operand begins at a multiple of four numbers.
    pub aligned: bool,
}

impl Attention {
    /// Whether its kernels multiply on tensor cores, which bf16 has from compute capability 8.0 on.
    pub fn on_tensor_cores(&self) -> bool {
        self.element == Element::Bf16 && self.width <= WIDEST_MMA_HEAD
    }

    /// Reads q, k, v; writes y and the normalisers `[items * heads, tokens]` (f32).
    pub fn forward(&self) -> Result<Plan, TooLarge> {
        self.plan("forward", FORWARD_ROWS, (3, 2))
    }

    /// Reads q, k, v, y, dy and the normalisers; writes dq and delta `[items * heads, tokens]` (f32).
    pub fn backward_queries(&self) -> Result<Plan, TooLarge> {
        self.plan("backward_queries", BACKWARD_ROWS, (6, 2))
    }

    /// Reads q, k, v, dy, the normalisers and delta; writes dk and dv.
    pub fn backward_keys(&self) -> Result<Plan, TooLarge> {
        self.plan("backward_keys", BACKWARD_ROWS, (6, 2))
    }

    fn plan(&self, pass: &str, rows: usize, buffers: (usize, usize)) -> Result<Plan, TooLarge> {
        let (module, padded) = match limited("a head", self.width, WIDEST_HEAD)? {
            0..=16 => ("attention_16", 16),
            17..=32 => ("attention_32", 32),
            33..=64 => ("attention_64", 64),
            _ => ("attention_128", 128),
        };
        let (kind, block_rows) = if self.on_tensor_cores() {
            ("mma", MMA_BLOCK_ROWS)
        } else {
            (self.element.name(), rows * ATTENTION_THREADS / (padded / PER_LANE))
        };
        let wide = self.aligned && self.width.is_multiple_of(4);
        Ok(Plan {
            module,
            kernel: format!("attention_{pass}_{kind}_{padded}"),
            blocks: (
                self.tokens.div_ceil(block_rows) as u32,
                limited("a number of heads in a batch", self.items * self.heads, MOST_HEADS)? as u32,
            ),
            threads: ATTENTION_THREADS as u32,
            buffers,
            scalars: vec![
                int("a number of tokens", self.tokens)?,
                int("a number of heads", self.heads)?,
                int("a head", self.width)?,
                Scalar::Int(wide.into()),
                Scalar::Int(self.causal.into()),
                Scalar::Float((self.width as f64).powf(-0.5) as f32),
            ],
        })
    }
}

/// Layer norm over `rows` rows of `width` numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    pub element: Element,
    pub rows: usize,
    pub width: usize,
    pub epsilon: f64,
    /// Each operand begins at a multiple of four numbers.
    pub aligned: bool,
}

impl Norm {
    /// Reads x, weight, bias; writes y.
    pub fn forward(&self) -> Result<Plan, TooLarge> {
        self.plan("forward")
    }

    /// Reads x, weight, dy; writes dx.
    pub fn backward(&self) -> Result<Plan, TooLarge> {
        self.plan("backward")
    }

    fn plan(&self, pass: &str) -> Result<Plan, TooLarge> {
        let lanes = lanes(self.aligned, self.width);
        Ok(Plan {
            module: "layer_norm",
            kernel: format!("layer_norm_{pass}_{}_{lanes}", self.element.name()),
            blocks: (self.rows.div_ceil(NORM_ROWS) as u32, 1),
            threads: (NORM_ROWS * WARP) as u32,
            buffers: (3, 1),
            scalars: vec![
                int("a number of rows", self.rows)?,
                int("a row", self.width)?,
                Scalar::Float(self.epsilon as f32),
            ],
        })
    }
}

/// Reads x; writes `x sigmoid(1.702 x)`.
pub(crate) fn quick_gelu(element: Element, count: usize, aligned: bool) -> Result<Plan, TooLarge> {
    pointwise("quick_gelu_forward", element, count, lanes(aligned, count), (1, 1))
}

/// Reads x and dy; writes dx.
pub(crate) fn quick_gelu_gradient(element: Element, count: usize, aligned: bool) -> Result<Plan, TooLarge> {
    pointwise("quick_gelu_backward", element, count, lanes(aligned, count), (2, 1))
}

/// Reads a bias `[columns]`; adds it to each row of `count` numbers, in place.
pub(crate) fn add_bias(element: Element, count: usize, columns: usize, aligned: bool) -> Result<Plan, TooLarge> {
    let mut plan = pointwise("add_bias", element, count, lanes(aligned, columns), (1, 1))?;
    plan.scalars.push(int("a row", columns)?);
    Ok(plan)
}

/// The step of an attack inside an Linf ball, in f32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advance {
    pub count: usize,
    /// Read a region; without it that buffer is ignored.
    pub masked: bool,
    pub alpha: f64,
    pub radius: f64,
    /// The valid range, unlimited if absent.
    pub range: Option<(f64, f64)>,
}

impl Advance {
    /// Reads x, gradient, clean, region; writes the next x.
    pub fn plan(&self) -> Result<Plan, TooLarge> {
        let (low, high) = self.range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let numbers = [self.alpha, self.radius, low, high].map(|value| Scalar::Float(value as f32));
        Ok(Plan {
            module: "pointwise",
            kernel: "advance_linf".into(),
            blocks: (self.count.div_ceil(POINTWISE_THREADS) as u32, 1),
            threads: POINTWISE_THREADS as u32,
            buffers: (4, 1),
            scalars: [int("a number of entries", self.count)?, Scalar::Int(self.masked.into())]
                .into_iter()
                .chain(numbers)
                .collect(),
        })
    }
}

fn pointwise(
    kernel: &str,
    element: Element,
    count: usize,
    lanes: usize,
    buffers: (usize, usize),
) -> Result<Plan, TooLarge> {
    Ok(Plan {
        module: "pointwise",
        kernel: format!("{kernel}_{}_{lanes}", element.name()),
        blocks: (count.div_ceil(POINTWISE_THREADS * lanes) as u32, 1),
        threads: POINTWISE_THREADS as u32,
        buffers,
        scalars: vec![int("a number of entries", count)?],
    })
}

/// How many numbers a thread reads at once, where rows of `width` must not be torn.
fn lanes(aligned: bool, width: usize) -> usize {
    if aligned && width.is_multiple_of(4) { 4 } else { 1 }
}
