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
    Exact::read(&number.to_string())
}

/// Integers of every length, with many zeros and nines, and often of a measure's length.
fn integer() -> impl Strategy<Value = i128> {
    prop_oneof![
        4 => -1_000i128..1_000,
        4 => -10i128.pow(18)..10i128.pow(18),
        2 => any::<i128>(),
        2 => (0u32..38, -9i128..10).prop_map(|(power, digit)| digit * 10i128.pow(power)),
        1 => (0u32..38).prop_map(|power| 10i128.pow(power) - 1),
        1 => (0u32..126).prop_map(|power| 1i128 << power),
        1 => Just(i128::MAX),
        1 => Just(i128::MIN),
    ]
}

fn narrow() -> impl Strategy<Value = (Number, Exact)> {
    (integer(), 0..=SCALE_MAX)
        .prop_map(|(mantissa, scale)| (Number::new(mantissa, scale), Exact::new(mantissa, scale)))
}

/// Numbers of up to 256 bits: those of 128, their products, and these and one more.
fn number() -> impl Strategy<Value = (Number, Exact)> {
    let product = || {
        (narrow(), narrow()).prop_map(|((a, exact_a), (b, exact_b))| {
            (a.times(b).expect("256 bits hold it"), exact_a.multiply(&exact_b))
        })
    };
    let sum = (product(), narrow()).prop_map(|((a, exact_a), (b, exact_b))| {
        a.plus(b).map_or((a, exact_a.clone()), |sum| (sum, exact_a.add(&exact_b)))
    });
    prop_oneof![3 => narrow(), 2 => product(), 1 => sum]
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
    fn sums_and_differences_are_exact((a, exact_a) in number(), (b, exact_b) in number()) {
        let scale = exact_a.fraction_digits().max(exact_b.fraction_digits());
        let is_long = |sum: &Exact| {
            let all = [sum, &exact_a, &exact_b];
            all.iter().any(|number| number.normalized().is_beyond_256_bits_at(scale))
        };
        let sum = exact_a.add(&exact_b);
        check(a.plus(b), &sum, is_long(&sum));
        let difference = exact_a.subtract(&exact_b);
        check(a.minus(b), &difference, is_long(&difference));
    }

    #[test]
    fn products_are_exact((a, exact_a) in number(), (b, exact_b) in number()) {
        let product = exact_a.normalized().multiply(&exact_b.normalized());
        check(a.times(b), &product, product.is_beyond_256_bits_at(0));
    }

    #[test]
    fn quotients_have_28_digits_half_even((a, exact_a) in number(), (b, exact_b) in number()) {
        match exact_a.divide(&exact_b) {
            None => prop_assert_eq!(a.divided_by(b), Ok(None)),
            Some(expected) => {
                let quotient = a.divided_by(b).map(|number| number.expect("the divisor is not zero"));
                check(quotient, &expected, expected.is_beyond_256_bits_at(0));
            }
        }
    }

    #[test]
    fn rounding_to_a_scale((a, exact_a) in number(), scale in 0..=2 * SCALE_MAX + 5) {
        for (rounding, ties) in [(Rounding::HalfEven, Ties::Even), (Rounding::HalfUp, Ties::Up)] {
            let expected = exact_a.rounded(scale, ties);
            match a.rescaled(scale, rounding) {
                Ok(mantissa) => prop_assert_eq!(Exact::new(mantissa, scale), expected),
                error => prop_assert!(is_overflow(&error) && expected.is_wide_at(0)),
            }
        }
    }

    #[test]
    fn many_digits_are_dropped_at_once(a in integer(), b in integer(), drop in 30u32..90) {
        let product = Number::new(a, drop).times(Number::new(b, 0)).expect("256 bits hold it");
        let exact = Exact::new(a, drop).multiply(&Exact::new(b, 0));
        for (rounding, ties) in [(Rounding::HalfEven, Ties::Even), (Rounding::HalfUp, Ties::Up)] {
            let expected = exact.rounded(0, ties);
            match product.rescaled(0, rounding) {
                Ok(mantissa) => prop_assert_eq!(Exact::new(mantissa, 0), expected),
                error => prop_assert!(is_overflow(&error) && expected.is_wide_at(0)),
            }
        }
    }

    #[test]
    fn dividing_integers_rounds_to_the_nearest(a in any::<i128>(), b in integer()) {
        for (rounding, ties) in [(Rounding::HalfEven, Ties::Even), (Rounding::HalfUp, Ties::Up)] {
            let found = divide_rounded(a, b, rounding);
            prop_assert_eq!(found.is_none(), b == 0 || (a == i128::MIN && b == -1));
            if let Some(found) = found {
                prop_assert_eq!(Exact::new(found, 0), nearest(a, b, ties));
            }
        }
    }

    #[test]
    fn assignment_fits_the_type_or_fails(
        (a, exact_a) in number(),
        precision in 1u8..=18,
        cut in 0u8..=18,
    ) {
        let scale = cut.min(precision);
        let decimal = ValueType::Decimal { precision, scale };
        let expected = exact_a.rounded(u32::from(scale), Ties::Even);
        match decimal.assign(a, Rounding::HalfEven) {
            Ok(stored) => {
                prop_assert_eq!(Exact::new(i128::from(stored), u32::from(scale)), expected.clone());
                prop_assert!(expected.digit_count() <= usize::from(precision));
            }
            Err(_) => prop_assert!(expected.digit_count() > usize::from(precision)),
        }
    }

    #[test]
    fn printed_numbers_read_back(a in integer(), scale in 0..=SCALE_MAX) {
        let text = format_scaled(a, scale);
        prop_assert_eq!(&text, &Exact::new(a, scale).to_string());
        prop_assert_eq!(&text, &Number::new(a, scale).to_string());
        if a != i128::MIN {
            let read = Number::parse(&text).expect("it was printed");
            prop_assert_eq!((read.mantissa(), read.scale), (Some(a), scale));
        }
    }

    #[test]
    fn equal_numbers_are_equal((a, exact_a) in number(), (b, exact_b) in number()) {
        prop_assert_eq!(&exact(a), &exact_a);
        prop_assert_eq!(a == b, exact_a == exact_b);
        prop_assert_eq!(a.normalized(), a);
        prop_assert_eq!(a.mantissa().is_none(), exact(a).is_wide_at(0) && a != Number::new(i128::MIN, a.scale));
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
    let least = Number::new(i128::MIN, 0);
    assert!(is_overflow(&least.negate().and_then(|most| most.rescaled(0, Rounding::HalfEven))));
    assert_eq!(least.rescaled(0, Rounding::HalfEven), Ok(i128::MIN));
    let half = least.negate().expect("256 bits hold it");
    let quarter = least.times(half).expect("256 bits hold it");
    let wide = quarter.plus(quarter).expect("it is -2^255, the least of 256 bits");
    assert!(is_overflow(&wide.negate()));
    assert!(is_overflow(&wide.minus(Number::new(1, 0))));
    assert_eq!(wide.divided_by(wide), Ok(Some(Number::new(1, 0))));
}

#[test]
fn divisors_of_38_digits_divide() {
    let divisor = Number::new(i128::MAX, 0);
    let expected = Exact::new(7, 0).divide(&exact(divisor)).expect("not zero");
    let found = Number::new(7, 0).divided_by(divisor).expect("fits").expect("not zero");
    assert_eq!(exact(found), expected);
}

/// A margin: the product has 54 digits before it is divided.
#[test]
fn what_comes_between_may_be_longer_than_what_is_assigned() {
    let money = Number::new(999_999_999_999_999_999, 4);
    let product =
        money.times(money).and_then(|square| square.times(money)).expect("256 bits hold it");
    assert_eq!(product.mantissa(), None);
    let margin = product.divided_by(money).expect("fits").expect("not zero");
    let back = margin.divided_by(money).expect("fits").expect("not zero");
    let decimal = ValueType::Decimal { precision: 18, scale: 4 };
    assert_eq!(decimal.assign(back, Rounding::HalfEven), Ok(999_999_999_999_999_999));
    assert!(is_overflow(&decimal.assign(product, Rounding::HalfEven)));
}

/// Behind a remainder above a tenth of 2^256 there is no room for a zero.
#[test]
fn divisors_of_77_digits_divide() {
    let product =
        |a: i128, b: i128| Number::new(a, 0).times(Number::new(b, 0)).expect("256 bits hold it");
    let long = product(i128::MAX, i128::MAX);
    let quarter = product(i128::MIN, i128::MIN).negate().expect("256 bits hold it");
    let longest = quarter.plus(quarter).expect("it is -2^255");
    let half = product(i128::MAX, i128::MAX / 2 + 77);
    let numbers = [long, longest, half, product(i128::MIN, 10i128.pow(38)), Number::new(7, 0)];
    for (a, b) in numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b))) {
        let expected = exact(a).divide(&exact(b)).expect("not zero");
        let found = a.divided_by(b).expect("fits").expect("not zero");
        assert_eq!(exact(found), expected, "{a} / {b}");
    }
}

#[test]
fn literals_have_up_to_38_digits() {
    assert!(Number::parse(&"9".repeat(38)).is_some());
    assert!(Number::parse(&"9".repeat(39)).is_none());
    assert!(Number::parse(&format!("1{}", "0".repeat(39))).is_none());
    let tiny = Number::parse("1e-2000000000").expect("a number");
    assert!(is_overflow(&tiny.times(tiny).and_then(|square| square.times(tiny))));
}
