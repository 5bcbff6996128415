//! Vectors of a number type, whatever the processor calls them.

use pulp::Simd;

use crate::nn::kernel::Float;

/// A number type with vectors: what the tile kernel needs of f32 and f64.
pub(crate) trait Lane: Float {
    /// A vector of these numbers.
    type Vector<S: Simd>: Copy;
    /// Numbers in a vector.
    fn lanes<S: Simd>() -> usize;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// The numbers, if they are f32: only those have products in a reduced format.
    fn f32s(x: &[Self]) -> Option<&[f32]>;
    /// As [`Self::f32s`].
    fn f32s_mut(x: &mut [Self]) -> Option<&mut [f32]>;
    /// `a b + c`, rounded once where the processor can.
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
}

macro_rules! lane {
    ($t:ty, $vector:ident, $lanes:ident, $splat:ident, $mul_add:ident, $x:ident => $f32s:expr) => {
        impl Lane for $t {
            type Vector<S: Simd> = S::$vector;
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }
            fn f32s($x: &[Self]) -> Option<&[f32]> {
                $f32s
            }
            fn f32s_mut($x: &mut [Self]) -> Option<&mut [f32]> {
                $f32s
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
        }
    };
}
lane!(f32, f32s, F32_LANES, splat_f32s, mul_add_e_f32s, x => Some(x));
lane!(f64, f64s, F64_LANES, splat_f64s, mul_add_e_f64s, _x => None);
