use super::*;

fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i + seed) * 7919 % 1013) as f32 / 1013.) - 0.5).collect()
}

/// Those that this processor has, the fastest first.
fn units(format: Format) -> Vec<Unit> {
    [Unit::Tiles, Unit::Vectors, Unit::Plain].into_iter().filter(|unit| format.runs_on(*unit)).collect()
}

/// What is promised of a product: factors rounded once, added in f32, or as exactly as sums of 64 in f16 allow.
#[test]
fn products_agree_with_those_of_rounded_numbers() {
    for format in [Format::Bf16, Format::F16] {
        for (m, k, n) in
            [(1, 2, 3), (8, 64, 96), (9, 131, 200), (21, 768, 100), (5, 1, 48), (33, 40, 70), (64, 485, 64)]
        {
            let (a, b, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
            let b_rounded: Vec<f32> = b.iter().map(|x| format.rounded(*x)).collect();
            for unit in units(format) {
                let (mut left, mut right) = (HalfRows::default(), HalfPacked::default());
                // what the memory held before does not matter
                left.fill_for(View::rows(&vec![f32::NAN; (m + 40) * (k + 3)], k + 3), (m + 40, k + 3), format, unit);
                left.fill_for(View::rows(&a, k), (m, k), format, unit);
                let rounded = left.numbers();
                right.fill_for(View::rows(&vec![f32::NAN; (k + 70) * n], n), (k + 70, n), format, unit);
                right.fill_for(View::rows(&b, n), (k, n), format, unit);
                let mut out = vec![7f32; m * n];
                multiply_half(&left, (&right, Part { columns: 0..n, depth: 0..k }), (&mut out, n), Start::Row(&bias));
                for i in 0..m {
                    for j in 0..n {
                        let products = (0..k).map(|l| f64::from(rounded[i * k + l]) * f64::from(b_rounded[l * n + j]));
                        let size: f64 = products.clone().map(|p| p * p).sum::<f64>().sqrt();
                        let wanted = products.sum::<f64>() + f64::from(bias[j]);
                        let error = (f64::from(out[i * n + j]) - wanted).abs();
                        let allowed =
                            if unit != Unit::Plain && format == Format::F16 { 1e-2 * size + 1e-4 } else { 1e-5 };
                        assert!(error < allowed, "{format:?} {m}x{k}x{n}, {unit:?}: {error} of {size}");
                    }
                }
            }
        }
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    let (m, k, n) = (10, 128, 192);
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    for format in [Format::Bf16, Format::F16] {
        let right = HalfPacked::new(View::rows(&b, n), (k, n), format);
        let product = |parts: &[(std::ops::Range<usize>, std::ops::Range<usize>)]| {
            let mut out = vec![0.; m * n];
            for (columns, depth) in parts.iter().cloned() {
                let mut left = HalfRows::default();
                left.fill(View::rows(&a[depth.start..], k), (m, depth.len()), format);
                let to = (&mut out[columns.start..], n);
                multiply_half(&left, (&right, Part { columns, depth }), to, Start::Kept);
            }
            out
        };
        let whole = product(&[(0..n, 0..k)]);
        let parts = product(&[(0..96, 0..64), (96..n, 0..64), (0..n, 64..k)]);
        let error = whole.iter().zip(&parts).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(error < 5e-3, "{format:?}: {error}");
    }
}

#[test]
fn rows_are_rounded_to_the_nearest_number_whatever_their_size() {
    for scale in [1e-30f32, 1e-7, 1., 3e4, 1e30] {
        let row: Vec<f32> = numbers(1000, 5).iter().map(|x| x * scale).collect();
        for (format, relative) in [(Format::Bf16, 1. / 256.), (Format::F16, 1. / 2048.)] {
            let mut rows = HalfRows::default();
            rows.fill_for(View::rows(&row, 1000), (1, 1000), format, units(format)[0]);
            for (x, rounded) in row.iter().zip(rows.numbers()) {
                // a number far below the row's largest has the largest's last place at most
                let allowed = (relative * x.abs()).max(scale * 1e-7);
                assert!((x - rounded).abs() <= allowed, "{format:?}: {x} became {rounded}");
            }
        }
    }
    let mut rows = HalfRows::default();
    rows.fill(View::rows(&[0.; 4], 4), (1, 4), Format::F16);
    assert_eq!(rows.numbers(), [0.; 4]);
}

#[test]
fn bf16_rows_are_rounded_as_the_library_does() {
    let row = numbers(64, 9);
    let wanted: Vec<f32> = row.iter().map(|x| Format::Bf16.rounded(*x)).collect();
    for unit in units(Format::Bf16) {
        let mut rows = HalfRows::default();
        rows.fill_for(View::rows(&row, 64), (1, 64), Format::Bf16, unit);
        assert_eq!(rows.numbers(), wanted);
    }
}

#[test]
fn a_transposed_matrix_is_rounded_like_its_copy() {
    let (rows, columns) = (37, 45);
    let matrix = numbers(rows * columns, 3);
    let copy: Vec<f32> = (0..rows * columns).map(|i| matrix[i % rows * columns + i / rows]).collect();
    for unit in units(Format::Bf16) {
        let [mut a, mut b] = [HalfRows::default(), HalfRows::default()];
        a.fill_for(View::rows(&matrix, columns).t(), (columns, rows), Format::Bf16, unit);
        b.fill_for(View::rows(&copy, rows), (columns, rows), Format::Bf16, unit);
        assert_eq!(a.numbers(), b.numbers(), "{unit:?}");
        let [mut a, mut b] = [HalfPacked::default(), HalfPacked::default()];
        a.fill_for(View::rows(&matrix, columns).t(), (columns, rows), Format::Bf16, unit);
        b.fill_for(View::rows(&copy, rows), (columns, rows), Format::Bf16, unit);
        match (a.numbers(), b.numbers()) {
            (Numbers::Native(a), Numbers::Native(b)) => assert_eq!(a, b, "{unit:?}"),
            (Numbers::Plain(a), Numbers::Plain(b)) => assert_eq!(a.unpacked(), b.unpacked()),
            _ => panic!("two layouts for {unit:?}"),
        }
    }
}
