//! Memory that is used again: a step of an attack needs the same buffers as the step before.
//!
//! Fresh memory costs page faults and zeros; on small models that is a good part of a step. Contents
//! are whatever the last user left, so whoever takes a buffer writes all of it before reading.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use super::kernel::Float;
use super::matmul::Packed;

/// Number types with buffers of their own.
pub(crate) trait Buffered: Float {
    /// Buffers that outlive a call, shared by all threads.
    fn shelf() -> &'static Shelf<Self>;
    /// Buffers of this thread's kernels.
    fn with_scratch<R>(f: impl FnOnce(&RefCell<Vec<Vec<Self>>>) -> R) -> R;
}

macro_rules! buffered {
    ($t:ty) => {
        impl Buffered for $t {
            fn shelf() -> &'static Shelf<Self> {
                static SHELF: Shelf<$t> = Shelf::new();
                &SHELF
            }
            fn with_scratch<R>(f: impl FnOnce(&RefCell<Vec<Vec<Self>>>) -> R) -> R {
                thread_local!(static SCRATCH: RefCell<Vec<Vec<$t>>> = const { RefCell::new(Vec::new()) });
                SCRATCH.with(f)
            }
        }
    };
}
buffered!(f32);
buffered!(f64);

/// Buffers that nobody uses now.
pub(crate) struct Shelf<T>(Mutex<Vec<Vec<T>>>);

/// Buffers that are kept: those of a deep network's step.
const MOST_KEPT: usize = 256;

impl<T: Buffered> Shelf<T> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A buffer of `len` numbers or some more: the smallest that is large enough, unless it is much too large.
    fn take(&self, len: usize) -> Vec<T> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = free.iter().enumerate().filter(|(_, b)| (len..=len.saturating_mul(2)).contains(&b.len()));
        match fitting.min_by_key(|(_, b)| b.len()).map(|(i, _)| i) {
            Some(i) => free.swap_remove(i),
            None => vec![T::ZERO; len],
        }
    }

    fn give(&self, buffer: Vec<T>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() == MOST_KEPT {
            free.remove(0);
        }
        free.push(buffer);
    }
}

/// A buffer from the shelf, put back when dropped.
pub(crate) struct Buffer<T: Buffered> {
    memory: Vec<T>,
    len: usize,
}

impl<T: Buffered> Buffer<T> {
    pub fn new(len: usize) -> Self {
        Self { memory: if len == 0 { Vec::new() } else { T::shelf().take(len) }, len }
    }
}

impl<T: Buffered> Drop for Buffer<T> {
    fn drop(&mut self) {
        if !self.memory.is_empty() {
            T::shelf().give(std::mem::take(&mut self.memory));
        }
    }
}

impl<T: Buffered> std::ops::Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.memory[..self.len]
    }
}

impl<T: Buffered> std::ops::DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[..self.len]
    }
}

/// Calls `f` with buffers of this thread.
pub(crate) fn with_scratch<T: Buffered, R, const N: usize>(
    lengths: [usize; N],
    f: impl FnOnce([&mut [T]; N]) -> R,
) -> R {
    let mut taken: [Vec<T>; N] = T::with_scratch(|free| {
        let mut free = free.borrow_mut();
        lengths.map(|len| {
            // the one whose room is nearest: others of another size stay for their own users
            let nearest = free.iter().enumerate().min_by_key(|(_, b)| b.len().abs_diff(len)).map(|(i, _)| i);
            let buffer = nearest.map(|i| free.swap_remove(i)).unwrap_or_default();
            if buffer.len() < len { vec![T::ZERO; len] } else { buffer }
        })
    });
    let mut lengths = lengths.into_iter();
    let result = f(taken.each_mut().map(|buffer| &mut buffer[..lengths.next().unwrap_or_default()]));
    T::with_scratch(|free| free.borrow_mut().extend(taken));
    result
}

/// A right operand in memory of this thread, given back when dropped.
pub(crate) struct Reused<T: Buffered>(Packed<T>);

impl<T: Buffered> Default for Reused<T> {
    fn default() -> Self {
        Self(Packed::in_memory_of(T::with_scratch(|free| free.borrow_mut().pop().unwrap_or_default())))
    }
}

impl<T: Buffered> Drop for Reused<T> {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.0).into_memory();
        T::with_scratch(|free| free.borrow_mut().push(memory));
    }
}

impl<T: Buffered> std::ops::Deref for Reused<T> {
    type Target = Packed<T>;
    fn deref(&self) -> &Packed<T> {
        &self.0
    }
}

impl<T: Buffered> std::ops::DerefMut for Reused<T> {
    fn deref_mut(&mut self) -> &mut Packed<T> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again() {
        let len = 1_234_567;
        let address = Buffer::<f64>::new(len).as_ptr();
        let again = Buffer::<f64>::new(len - 1000);
        assert_eq!(again.as_ptr(), address);
        assert_eq!(again.len(), len - 1000);
        assert_ne!(Buffer::<f64>::new(len).as_ptr(), address, "it is in use");
        assert!(Buffer::<f64>::new(0).is_empty());
    }

    #[test]
    fn scratch_may_be_nested() {
        with_scratch([3, 5], |[a, b]: [&mut [f32]; 2]| {
            a.fill(1.);
            with_scratch([3], |[c]: [&mut [f32]; 1]| c.fill(2.));
            assert!(a.iter().all(|x| *x == 1.));
            assert_eq!(b.len(), 5);
        });
    }
}
