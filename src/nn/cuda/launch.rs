//! Runs a plan on a device.

use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::driver::{CudaStream, DevicePtr, DevicePtrMut, LaunchConfig, PushKernelArg, SyncOnDrop};
use candle_core::cuda::{CudaStorageSlice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Error, Layout, Result, Shape, Storage, Tensor, bail};
use half::bf16;

use super::plan::{Element, Plan, Scalar, TooLarge};

/// A contiguous operand of a kernel.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub storage: &'a CudaStorage,
    /// The place of its first number in the storage.
    start: usize,
}

impl<'a> Input<'a> {
    /// # Errors
    /// A strided layout.
    pub fn new(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        match layout.contiguous_offsets() {
            Some((start, _)) => Ok(Self { storage, start }),
            None => bail!("a kernel was given a strided operand of shape {:?}", layout.shape()),
        }
    }
}

/// Whether every operand begins at a multiple of four numbers; allocations begin at far larger ones.
pub(super) fn aligned(inputs: &[Input]) -> bool {
    inputs.iter().all(|input| input.start.is_multiple_of(4))
}

/// How the kernels call the numbers of these tensors; `None` if no kernel takes them: another device
/// or dtype, a mixture, nothing at all.
pub(super) fn element_of(tensors: &[&Tensor]) -> Option<Element> {
    let dtype = tensors.first()?.dtype();
    let fit = |x: &&Tensor| x.device().is_cuda() && x.dtype() == dtype && x.elem_count() > 0;
    if tensors.iter().all(fit) { element(dtype) } else { None }
}

pub(super) fn element(dtype: DType) -> Option<Element> {
    match dtype {
        DType::F32 => Some(Element::F32),
        DType::BF16 => Some(Element::Bf16),
        _ => None,
    }
}

/// Calls `f` with the storage of each tensor on the device they share.
pub(super) fn with_inputs<R, const N: usize>(
    tensors: [&Tensor; N],
    f: impl FnOnce(&CudaDevice, [Input; N]) -> Result<R>,
) -> Result<R> {
    let device = tensors[0].device().as_cuda_device()?;
    let contiguous: Vec<Tensor> = tensors.iter().map(|x| x.contiguous()).collect::<Result<_>>()?;
    let guards: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let inputs: Vec<Input> = guards
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cuda(storage) => Input::new(storage, layout),
            _ => bail!("a kernel of the GPU was given a tensor of another device"),
        })
        .collect::<Result<_>>()?;
    let inputs = inputs.try_into().unwrap_or_else(|_| unreachable!("one for each tensor"));
    f(device, inputs)
}

/// Room for `count` numbers, which a kernel has to fill.
pub(super) fn allocate(device: &CudaDevice, element: Element, count: usize) -> Result<CudaStorage> {
    // SAFETY: every output of every kernel is written from end to end before it is read; the tests on
    // the host begin with NaN in all outputs.
    unsafe {
        Ok(match element {
            Element::F32 => CudaStorage::wrap_cuda_slice(device.alloc::<f32>(count)?, device.clone()),
            Element::Bf16 => CudaStorage::wrap_cuda_slice(device.alloc::<bf16>(count)?, device.clone()),
        })
    }
}

/// A tensor of what a kernel has written.
pub(super) fn tensor(storage: CudaStorage, shape: impl Into<Shape>) -> Tensor {
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

/// Puts a launch on the device's stream.
///
/// # Errors
/// Sizes that the kernel cannot take, and what the driver reports.
pub(super) fn launch(
    device: &CudaDevice,
    plan: std::result::Result<Plan, TooLarge>,
    inputs: &[Input],
    outputs: &mut [&mut CudaStorage],
) -> Result<()> {
    let plan = plan.map_err(Error::wrap)?;
    if (inputs.len(), outputs.len()) != plan.buffers {
        bail!("{} takes {:?} buffers, not {:?}", plan.kernel, plan.buffers, (inputs.len(), outputs.len()));
    }
    let stream = device.cuda_stream();
    let mut addresses = Vec::with_capacity(inputs.len() + outputs.len());
    // they order this launch after earlier work on the buffers, and later work after it
    let mut order = Vec::with_capacity(addresses.capacity());
    for input in inputs {
        let (address, guard) = address(input, &stream)?;
        addresses.push(address);
        order.push(guard);
    }
    for output in outputs.iter_mut() {
        let (address, guard) = address_mut(output, &stream)?;
        addresses.push(address);
        order.push(guard);
    }
    let function = device.get_or_load_custom_func(&plan.kernel, plan.module, ptx(plan.module)?)?;
    let mut call = function.builder();
    for address in &addresses {
        call.arg(address);
    }
    for scalar in &plan.scalars {
        match scalar {
            Scalar::Int(value) => call.arg(value),
            Scalar::Float(value) => call.arg(value),
        };
    }
    let config = LaunchConfig {
        grid_dim: (plan.blocks.0, plan.blocks.1, 1),
        block_dim: (plan.threads, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the arguments are the kernel's own, in its order (the tests on the host launch the same
    // plans and check number and type of each), and `order` keeps the buffers until the launch is queued.
    unsafe { call.launch(config) }.w()?;
    Ok(())
}

fn address<'a>(input: &Input<'a>, stream: &'a CudaStream) -> Result<(u64, SyncOnDrop<'a>)> {
    let ((begin, guard), size) = match &input.storage.slice {
        CudaStorageSlice::F32(slice) => (slice.device_ptr(stream), size_of::<f32>()),
        CudaStorageSlice::BF16(slice) => (slice.device_ptr(stream), size_of::<bf16>()),
        _ => return unsupported(input.storage.dtype()),
    };
    Ok((begin + (input.start * size) as u64, guard))
}

fn address_mut<'a>(output: &'a mut CudaStorage, stream: &'a CudaStream) -> Result<(u64, SyncOnDrop<'a>)> {
    let dtype = output.dtype();
    match &mut output.slice {
        CudaStorageSlice::F32(slice) => Ok(slice.device_ptr_mut(stream)),
        CudaStorageSlice::BF16(slice) => Ok(slice.device_ptr_mut(stream)),
        _ => unsupported(dtype),
    }
}

pub(super) fn unsupported<R>(dtype: DType) -> Result<R> {
    bail!("the kernels for the GPU take f32 and bf16, not {dtype:?}")
}

/// The translated sources of a module.
fn ptx(module: &str) -> Result<&'static str> {
    Ok(match module {
        "attention_16" => segprobe_kernels::ATTENTION_16,
        "attention_32" => segprobe_kernels::ATTENTION_32,
        "attention_64" => segprobe_kernels::ATTENTION_64,
        "attention_128" => segprobe_kernels::ATTENTION_128,
        "layer_norm" => segprobe_kernels::LAYER_NORM,
        "pointwise" => segprobe_kernels::POINTWISE,
        _ => bail!("no kernels are called {module:?}"),
    })
}
