//! Opening a GPU, with the settings that a long row of small steps needs.

use candle_core::cuda::cudarc::driver::DriverError;
use candle_core::cuda::cudarc::driver::result::{device, mem_pool};
use candle_core::cuda::cudarc::driver::sys::CUmemPool_attribute;
use candle_core::{Device, Result};

/// Opens the GPU `index`.
///
/// Everything runs on one stream, whatever thread asks: what one thread computes another may use
/// without waiting. The memory pool keeps freed blocks; by default it gives them back to the driver
/// whenever the host waits for a result, that is on every step.
///
/// # Errors
/// What the driver reports.
pub fn open(index: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(index)?;
    let cuda = device.as_cuda_device()?;
    // SAFETY: the events that are turned off order the work of several streams. This device has one, no
    // other is ever made, and no tensor exists yet.
    unsafe { cuda.disable_event_tracking() };
    if let Err(reason) = keep_freed_memory(index as i32) {
        tracing::warn!(device = index, %reason, "the GPU's memory pool keeps its defaults, which makes steps slower");
    }
    Ok(device)
}

fn keep_freed_memory(index: i32) -> std::result::Result<(), DriverError> {
    let mut threshold = u64::MAX;
    let value = (&raw mut threshold).cast();
    // SAFETY: the device was just opened, its pool is valid, and this attribute is a 64-bit number that
    // the driver copies before it returns.
    unsafe {
        let pool = device::get_default_mem_pool(device::get(index)?)?;
        mem_pool::set_attribute(pool, CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, value)
    }
}

/// Lets products of f32 matrices round their factors to TF32 (ten bits of mantissa), in the whole
/// process. Off unless asked for: it changes results, so whoever turns it on must say so in them.
pub fn allow_tf32(allowed: bool) {
    candle_core::cuda::set_gemm_reduced_precision_f32(allowed);
}
