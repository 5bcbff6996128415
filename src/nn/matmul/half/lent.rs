//! Operands in memory that their thread uses again.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::{HalfPacked, HalfRows};

/// An operand whose memory is worth keeping.
pub(crate) trait Reusable: Default + 'static {
    /// Those of this thread that nobody uses now.
    fn with_free<R>(f: impl FnOnce(&RefCell<Vec<Self>>) -> R) -> R;
}

macro_rules! reusable {
    ($t:ty) => {
        impl Reusable for $t {
            fn with_free<R>(f: impl FnOnce(&RefCell<Vec<Self>>) -> R) -> R {
                thread_local!(static FREE: RefCell<Vec<$t>> = const { RefCell::new(Vec::new()) });
                FREE.with(f)
            }
        }
    };
}
reusable!(HalfRows);
reusable!(HalfPacked);

/// An operand of this thread, given back when dropped. Whoever takes one fills it before reading.
pub(crate) struct Lent<T: Reusable>(T);

impl<T: Reusable> Default for Lent<T> {
    fn default() -> Self {
        Self(T::with_free(|free| free.borrow_mut().pop()).unwrap_or_default())
    }
}

impl<T: Reusable> Drop for Lent<T> {
    fn drop(&mut self) {
        let operand = std::mem::take(&mut self.0);
        T::with_free(|free| free.borrow_mut().push(operand));
    }
}

impl<T: Reusable> Deref for Lent<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Reusable> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
