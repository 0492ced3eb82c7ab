//! Numbers against schoolbook arithmetic of unlimited length: every digit agrees, and what does not
//! fit is an overflow error, never another number.

#[path = "support/exact.rs"]
mod exact;
#[path = "support/settings.rs"]
mod settings;

use cube::CubeError;
use cube::number::{Number, Rounding, divide_rounded, format_scaled};
use cube::value::ValueType;
use exact::{Exact, Ties};
use proptest::prelude::*;
use settings::cases;

const SCALE_MAX: u32 = 18;

fn exact(number: Number) -> Exact {
    Exact::new(number.mantissa, number.scale)
}

/// Numbers of every length, with many zeros and nines, and often of a measure's length.
fn number() -> impl Strategy<Value = Number> {
    let mantissa = prop_oneof![
        4 => -1_000i128..1_000,
        4 => -10i128.pow(18)..10i128.pow(18),
        2 => any::<i128>(),
        2 => (0u32..38, -9i128..10).prop_map(|(power, digit)| digit * 10i128.pow(power)),
        1 => (0u32..38).prop_map(|power| 10i128.pow(power) - 1),
        1 => (0u32..126).prop_map(|power| 1i128 << power),
        1 => Just(i128::MAX),
    ];
    (mantissa, 0..=SCALE_MAX).prop_map(|(mantissa, scale)| Number::new(mantissa, scale))
}

fn is_overflow<T: std::fmt::Debug>(result: &cube::Result<T>) -> bool {
    matches!(result, Err(CubeError::Overflow(_)))
}

/// The engine's number is the expected one, or an overflow where the expected one is too long.
fn check(result: cube::Result<Number>, expected: &Exact, may_overflow: bool) {
    match result {
        Ok(number) => assert_eq!(exact(number), *expected),
        Err(CubeError::Overflow(_)) => assert!(may_overflow, "{expected} fits"),
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(cases(400, "tests/number.regressions"))]

    #[test]
    fn sums_and_differences_are_exact(a in number(), b in number()) {
        let scale = a.scale.max(b.scale) as usize;
        let is_wide = |sum: &Exact| {
            [sum, &exact(a), &exact(b)].iter().any(|number| number.is_wide_at(scale))
        };
        let sum = exact(a).add(&exact(b));
        check(a.plus(b), &sum, is_wide(&sum));
        let difference = exact(a).subtract(&exact(b));
        check(a.minus(b), &difference, is_wide(&difference) || b.mantissa == i128::MIN);
    }

    #[test]
    fn products_are_exact(a in number(), b in number()) {
        let product = exact(a).multiply(&exact(b));
        check(a.times(b), &product, product.is_wide_at(0));
    }

    #[test]
    fn quotients_have_28_digits_half_even(a in number(), b in number()) {
        match exact(a).divide(&exact(b)) {
            None => prop_assert_eq!(a.divided_by(b), Ok(None)),
            Some(expected) => {
                let quotient = a.divided_by(b).map(|number| number.expect("the divisor is not zero"));
                check(quotient, &expected, expected.is_wide_at(0));
            }
        }
    }

    #[test]
    fn rounding_to_a_scale(a in number(), scale in 0..=SCALE_MAX) {
        for (rounding, ties) in [(Rounding::HalfEven, Ties::Even), (Rounding::HalfUp, Ties::Up)] {
            let expected = exact(a).rounded(scale, ties);
            match a.rescaled(scale, rounding) {
                Ok(mantissa) => prop_assert_eq!(Exact::new(mantissa, scale), expected),
                error => prop_assert!(is_overflow(&error) && expected.is_wide_at(0)),
            }
        }
    }

    #[test]
    fn dividing_integers_rounds_to_the_nearest(a in any::<i128>(), b in number()) {
        let b = b.mantissa;
        for (rounding, ties) in [(Rounding::HalfEven, Ties::Even), (Rounding::HalfUp, Ties::Up)] {
            let found = divide_rounded(a, b, rounding);
            prop_assert_eq!(found.is_none(), b == 0 || (a == i128::MIN && b == -1));
            if let Some(found) = found {
                prop_assert_eq!(Exact::new(found, 0), nearest(a, b, ties));
            }
        }
    }

    #[test]
    fn assignment_fits_the_type_or_fails(a in number(), precision in 1u8..=18, cut in 0u8..=18) {
        let scale = cut.min(precision);
        let decimal = ValueType::Decimal { precision, scale };
        let expected = exact(a).rounded(u32::from(scale), Ties::Even);
        match decimal.assign(a, Rounding::HalfEven) {
            Ok(stored) => {
                prop_assert_eq!(Exact::new(i128::from(stored), u32::from(scale)), expected.clone());
                prop_assert!(expected.digit_count() <= usize::from(precision));
            }
            Err(_) => prop_assert!(expected.digit_count() > usize::from(precision)),
        }
    }

    #[test]
    fn printed_numbers_read_back(a in number()) {
        let text = format_scaled(a.mantissa, a.scale);
        prop_assert_eq!(&text, &exact(a).to_string());
        if a.mantissa != i128::MIN {
            let read = Number::parse(&text).expect("it was printed");
            prop_assert_eq!((read.mantissa, read.scale), (a.mantissa, a.scale));
        }
    }

    #[test]
    fn reading_never_panics(text in "[-+]?[0-9]{0,45}[.]?[0-9]{0,5}([eE][-+]?[0-9]{0,11})?") {
        if let Some(number) = Number::parse(&text) {
            let _ = number.normalized();
        }
    }
}

/// `a / b` rounded, through a quotient that is first taken without its remainder.
fn nearest(a: i128, b: i128, ties: Ties) -> Exact {
    let (quotient, remainder) = (Exact::new(a / b, 0), a % b);
    let is_negative = (a < 0) != (b < 0);
    let twice = remainder.unsigned_abs().checked_mul(2).expect("below 2^128");
    let up = match twice.cmp(&b.unsigned_abs()) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => ties == Ties::Up || (a / b) % 2 != 0,
    };
    let unit = Exact::new(if is_negative { -1 } else { 1 }, 0);
    if up { quotient.add(&unit) } else { quotient }
}

#[test]
fn tiny_quotients_add_to_a_zero_and_to_a_blank() {
    let tiny = Number::new(1, 4).divided_by(Number::new(3, 0)).expect("fits").expect("not zero");
    let smaller =
        tiny.divided_by(Number::new(999_999_999_999_999_999, 0)).expect("fits").expect("not zero");
    assert_eq!(Number::ZERO.plus(smaller), Ok(smaller));
    assert_eq!(smaller.plus(Number::ZERO), Ok(smaller));
}

#[test]
fn the_least_integer_is_an_overflow_not_a_panic() {
    let decimal = ValueType::Decimal { precision: 18, scale: 4 };
    assert!(is_overflow(&decimal.check_range(i128::MIN)));
    assert!(is_overflow(&ValueType::Integer.check_range(i128::MIN)));
    assert!(is_overflow(&Number::new(i128::MIN, 0).negate()));
}

#[test]
fn divisors_of_38_digits_divide() {
    let divisor = Number::new(i128::MAX, 0);
    let expected = Exact::new(7, 0).divide(&exact(divisor)).expect("not zero");
    let found = Number::new(7, 0).divided_by(divisor).expect("fits").expect("not zero");
    assert_eq!(exact(found), expected);
}
