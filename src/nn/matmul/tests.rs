use super::*;

fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| (((i + seed) * 7919 % 1013) as f64 / 1013.) - 0.5).collect()
}

fn plain(
    m: usize,
    (k, n): (usize, usize),
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    (0..m * n).map(|at| (0..k).map(|l| a(at / n, l) * b(l, at % n)).sum()).collect()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0., f64::max)
}

#[test]
fn products_of_all_shapes_agree_with_the_definition() {
    for (m, k, n) in [(1, 1, 1), (3, 5, 7), (8, 16, 48), (9, 1600, 50), (13, 0, 4), (17, 33, 129), (4, 3, 16)] {
        let (a, b, bias) = (numbers(m * k + 1, 1), numbers(k * n + 1, 2), numbers(n, 3));
        let wanted = plain(m, (k, n), |i, l| a[i * k + l], |l, j| b[l * n + j]);
        let wanted: Vec<f64> = wanted.iter().enumerate().map(|(at, x)| x + bias[at % n]).collect();
        let packed = Packed::new(View::rows(&b, n), k, n);
        let mut out = vec![9.; m * (n + 2)];
        multiply(m, View::rows(&a, k), Right::Packed(&packed), (&mut out, n + 2), Start::Row(&bias));
        let found: Vec<f64> = out.chunks_exact(n + 2).flat_map(|row| row[..n].to_vec()).collect();
        assert!(largest_difference(&found, &wanted) < 1e-12, "{m}x{k}x{n}");
        assert!(out.chunks_exact(n + 2).all(|row| row[n..] == [9., 9.]), "{m}x{k}x{n} wrote beside its columns");

        let single: Vec<f32> = a.iter().map(|x| *x as f32).collect();
        let right = Packed::new(View::rows(&b.iter().map(|x| *x as f32).collect::<Vec<_>>(), n), k, n);
        let mut out: Vec<f32> = bias.iter().map(|x| *x as f32).cycle().take(m * n).collect();
        multiply(m, View::rows(&single, k), Right::Packed(&right), (&mut out, n), Start::Kept);
        let found: Vec<f64> = out.iter().map(|x| f64::from(*x)).collect();
        assert!(largest_difference(&found, &wanted) < 1e-4, "{m}x{k}x{n} in f32");
    }
}

#[test]
fn a_transposed_left_operand_and_a_right_one_in_place() {
    let (m, k, n) = (11, 21, 32);
    let (a, b) = (numbers(m * k, 1), numbers(k * 40, 2));
    let wanted = plain(m, (k, n), |i, l| a[l * m + i], |l, j| b[l * 40 + j]);
    let mut out = vec![0.; m * n];
    let right = Right::Rows { data: &b, stride: 40, k, n };
    multiply(m, View::rows(&a, m).t(), right, (&mut out, n), Start::Zero);
    assert!(largest_difference(&out, &wanted) < 1e-12);
}

#[test]
fn parts_add_up_to_the_whole() {
    let (m, k, n) = (10, 30, 6 * panels::WIDEST * lanes::<f64>());
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let packed = Packed::new(View::rows(&b, n), k, n);
    let whole = {
        let mut out = vec![0.; m * n];
        multiply(m, View::rows(&a, k), Right::Packed(&packed), (&mut out, n), Start::Zero);
        out
    };
    let mut out = vec![0.; m * n];
    let middle = 2 * panels::WIDEST * lanes::<f64>();
    for (columns, depth) in [(0..middle, 0..13), (middle..n, 0..13), (0..n, 13..30)] {
        let left = View::rows(&a[depth.start..], k);
        let to = (&mut out[columns.start..], n);
        multiply_part(m, left, (Right::Packed(&packed), Part { columns, depth }), to, Start::Kept);
    }
    assert!(largest_difference(&out, &whole) < 1e-12);
}

/// What the promise of equal bytes rests on.
#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    let (m, k, n) = (21, 900, 70);
    let a: Vec<f32> = numbers(m * k, 1).iter().map(|x| *x as f32).collect();
    let b: Vec<f32> = numbers(k * n, 2).iter().map(|x| *x as f32).collect();
    let packed = Packed::new(View::rows(&b, n), k, n);
    let product = |rows: std::ops::Range<usize>| {
        let mut out = vec![0.; rows.len() * n];
        let left = View::rows(&a[rows.start * k..], k);
        multiply(rows.len(), left, Right::Packed(&packed), (&mut out, n), Start::Zero);
        out
    };
    let whole = product(0..m);
    for rows in [0..1, 3..8, 5..21, 20..21] {
        assert_eq!(product(rows.clone()), whole[rows.start * n..rows.end * n]);
    }
}

#[test]
#[should_panic(expected = "does not fit")]
fn a_left_operand_that_is_too_short_is_refused() {
    let packed = Packed::new(View::rows(&[0f32; 6], 2), 3, 2);
    multiply(2, View::rows(&[0.; 5], 3), Right::Packed(&packed), (&mut [0.; 4], 2), Start::Zero);
}
