//! Decimals as `i128` with a scale: types of results, exact quotients, and numbers read from text.

use datafusion::arrow::datatypes::i256;

/// Most digits of a decimal.
pub const MAX_DIGITS: u8 = 38;
/// Least digits after the point of a quotient or an average.
pub(crate) const LEAST_QUOTIENT_SCALE: i8 = 6;
/// Digits that a quotient or an average has after the point beyond those of its operands.
const MORE_DIGITS: i8 = 4;

/// Precision and scale of a decimal type.
pub(crate) type Digits = (u8, i8);

/// The type of `l / r`: digits after the point are the larger scale + 4, at least 6. Where the digits before the point need
/// the room, there are fewer, but never less than 6 or than `l` has.
pub(crate) fn quotient_type(l: Digits, r: Digits) -> Digits {
    let before_point = i16::from(l.0) - i16::from(l.1) + i16::from(r.1);
    fit(before_point, l.1, l.1.max(r.1))
}

/// The type of an average of decimals: as of a quotient by a whole number.
pub(crate) fn average_type(of: Digits) -> Digits {
    quotient_type(of, (MAX_DIGITS, 0))
}

fn fit(before_point: i16, own: i8, widest: i8) -> Digits {
    let wanted = i16::from(widest.saturating_add(MORE_DIGITS).max(LEAST_QUOTIENT_SCALE));
    let least = i16::from(own.max(LEAST_QUOTIENT_SCALE)).min(wanted);
    let most = i16::from(MAX_DIGITS);
    let scale = (most - before_point).clamp(least, wanted).min(most);
    let precision = (before_point.max(0) + scale).clamp(1, most);
    // Both are at most 38.
    (precision as u8, scale as i8)
}

/// `10^exponent`, when it fits.
pub(crate) fn power_of_ten(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

/// Whether a value has at most `precision` digits.
pub(crate) fn fits(value: i128, precision: u8) -> bool {
    match power_of_ten(u32::from(precision)) {
        Some(bound) => value > -bound && value < bound,
        None => true,
    }
}

/// `n / d`, rounded half away from zero. `d` is not 0.
pub(crate) fn divide_rounded(n: i128, d: i128) -> Option<i128> {
    let (quotient, rest) = (n.checked_div(d)?, n.checked_rem(d)?);
    // |rest| < |d|, so |d| - |rest| cannot wrap: half or more rounds away.
    if rest.unsigned_abs() >= d.unsigned_abs() - rest.unsigned_abs() && rest != 0 {
        let away = if (n < 0) == (d < 0) { 1 } else { -1 };
        return quotient.checked_add(away);
    }
    Some(quotient)
}

/// `n * 10^shift / d`, rounded half away from zero; `None` when it does not fit, or `d` is 0.
pub(crate) fn scaled_quotient(n: i128, shift: u32, d: i128) -> Option<i128> {
    if let Some(scaled) = power_of_ten(shift).and_then(|p| n.checked_mul(p)) {
        return divide_rounded(scaled, d);
    }
    let scaled = i256::from_i128(n).checked_mul(i256::from_i128(10).checked_pow(shift)?)?;
    let d = i256::from_i128(d);
    let (quotient, rest) = (scaled.checked_div(d)?, scaled.checked_rem(d)?);
    let (rest_size, d_size) = (rest.checked_abs()?, d.checked_abs()?);
    let mut quotient = quotient.to_i128()?;
    if rest != i256::ZERO && rest_size >= d_size.checked_sub(rest_size)? {
        let away = if (scaled < i256::ZERO) == (d < i256::ZERO) {
            1
        } else {
            -1
        };
        quotient = quotient.checked_add(away)?;
    }
    Some(quotient)
}

/// A value of one scale at another, rounded half away from zero; `None` when it does not fit.
pub(crate) fn rescale(value: i128, from: i8, to: i8) -> Option<i128> {
    let shift = i32::from(to) - i32::from(from);
    if shift >= 0 {
        return value.checked_mul(power_of_ten(shift.unsigned_abs())?);
    }
    match power_of_ten(shift.unsigned_abs()) {
        Some(divisor) => divide_rounded(value, divisor),
        None => Some(0),
    }
}

/// Why a text is no decimal of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDecimal {
    /// It is not a number.
    NotANumber,
    /// It has more digits before the point than the type.
    TooLarge,
}

/// Reads `-12.345` or `1.5e3` as a decimal; more digits after the point are rounded half away from zero. Spaces around it
/// are ignored, thousands' separators are not.
///
/// # Errors
/// The text is not a number, or does not fit.
pub(crate) fn read(text: &str, (precision, scale): Digits) -> Result<i128, NoDecimal> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i64 = exponent.parse().map_err(|_| NoDecimal::NotANumber)?;
            (mantissa, exponent)
        }
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !(is_number(whole) && is_number(fraction)) || (whole.is_empty() && fraction.is_empty()) {
        return Err(NoDecimal::NotANumber);
    }
    // The digits of the result are those before this place, and the one at it decides how they are rounded.
    let end = (whole.len() as i64)
        .saturating_add(exponent)
        .saturating_add(i64::from(scale));
    let mut value: i128 = 0;
    let digits = whole.bytes().chain(fraction.bytes());
    let mut seen = 0_i64;
    for digit in digits {
        let digit = i128::from(digit - b'0');
        if seen < end {
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(digit))
                .ok_or(NoDecimal::TooLarge)?;
        } else {
            if seen == end && digit >= 5 {
                value += 1;
            }
            break;
        }
        seen += 1;
    }
    if value != 0 && seen < end {
        let shift = u32::try_from(end - seen).map_err(|_| NoDecimal::TooLarge)?;
        value = power_of_ten(shift)
            .and_then(|p| value.checked_mul(p))
            .ok_or(NoDecimal::TooLarge)?;
    }
    if !fits(value, precision) {
        return Err(NoDecimal::TooLarge);
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_has_four_digits_more_and_six_at_least() {
        assert_eq!(quotient_type((12, 2), (12, 2)), (18, 6));
        assert_eq!(quotient_type((38, 2), (20, 0)), (38, 6));
    }

    #[test]
    fn quotients_round_half_away_from_zero() {
        assert_eq!(divide_rounded(5, 2), Some(3));
        assert_eq!(divide_rounded(-5, 2), Some(-3));
        assert_eq!(divide_rounded(5, -2), Some(-3));
        assert_eq!(divide_rounded(4, 3), Some(1));
        assert_eq!(divide_rounded(0, 7), Some(0));
        assert_eq!(scaled_quotient(2, 6, 3), Some(666_667));
        let large = 10_i128.pow(37);
        assert_eq!(scaled_quotient(large, 6, 3 * large), Some(333_333));
        assert_eq!(scaled_quotient(-large, 1, 2 * large), Some(-5));
        assert_eq!(scaled_quotient(large, 6, 1), None);
    }

    #[test]
    fn text_is_read_with_all_its_digits() {
        assert_eq!(read(" 12.345 ", (10, 2)), Ok(1235));
        assert_eq!(read("-0.005", (10, 2)), Ok(-1));
        assert_eq!(read("0.0049999", (10, 2)), Ok(0));
        assert_eq!(read("1.5e3", (10, 2)), Ok(150_000));
        assert_eq!(read("15e-3", (10, 2)), Ok(2));
        assert_eq!(read("5e-9", (10, 2)), Ok(0));
        assert_eq!(read(".5", (10, 2)), Ok(50));
        assert_eq!(read("5.", (10, 2)), Ok(500));
        assert_eq!(read("1,234.50", (10, 2)), Err(NoDecimal::NotANumber));
        assert_eq!(read("", (10, 2)), Err(NoDecimal::NotANumber));
        assert_eq!(read(".", (10, 2)), Err(NoDecimal::NotANumber));
        assert_eq!(read("NaN", (10, 2)), Err(NoDecimal::NotANumber));
        assert_eq!(read("99999999.995", (10, 2)), Err(NoDecimal::TooLarge));
        assert_eq!(read("1e400", (10, 2)), Err(NoDecimal::TooLarge));
        assert_eq!(read("0e400", (10, 2)), Ok(0));
    }
}
