//! Time stamps of tcpdump.

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Splits the stamp off: `12:51:42.019519 REST`, `2026-11-24 02:24:42.435672 REST` (`-tttt`),
/// `1700000000.123456 REST` (`-tt`). Nanoseconds since midnight in the first case, since the epoch
/// in the others.
pub(super) fn split(line: &str) -> Option<(u64, &str)> {
    let (first, rest) = line.split_once(' ')?;
    if let Some(days) = days_since_epoch(first) {
        let (clock_text, rest) = rest.split_once(' ')?;
        let ns = clock(clock_text)?.checked_add(days.checked_mul(24 * 60 * 60 * NS_PER_SECOND)?)?;
        return Some((ns, rest));
    }
    Some((clock(first).or_else(|| epoch(first))?, rest))
}

/// `12:51:42.019519`.
fn clock(text: &str) -> Option<u64> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let whole = number(hours, 23)? * 3600 + number(minutes, 59)? * 60;
    (whole * NS_PER_SECOND).checked_add(epoch(seconds).filter(|ns| *ns < 61 * NS_PER_SECOND)?)
}

/// `1700000000.123456`, also with nine digits (`--nano`).
fn epoch(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let padded = format!("{fraction:0<9}");
    number(whole, u64::MAX / NS_PER_SECOND - 1)?
        .checked_mul(NS_PER_SECOND)?
        .checked_add(number(&padded, NS_PER_SECOND - 1)?)
}

/// `2026-11-24` as days since 1970-01-01, by the count of days in the proleptic Gregorian calendar.
fn days_since_epoch(text: &str) -> Option<u64> {
    const DAYS_BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let (year, month, day) = (number(year, 9999)?, number(month, 12)?, number(day, 31)?);
    if year < 1970 || month == 0 || day == 0 {
        return None;
    }
    let leap_days_before = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let before_month = DAYS_BEFORE_MONTH.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let leap_day = u64::from(is_leap && month > 2);
    Some(
        (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970) + before_month + leap_day + day
            - 1,
    )
}

/// Digits only (`parse` alone would take a sign), at most `max`.
fn number(text: &str, max: u64) -> Option<u64> {
    let value = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())??;
    (value <= max).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_stamp_is_read() {
        assert_eq!(split("12:51:42.019519 IP"), Some((46_302_019_519_000, "IP")));
        assert_eq!(split("12:51:42.019519007 IP"), Some((46_302_019_519_007, "IP")));
        assert_eq!(split("1700000000.123456 IP"), Some((1_700_000_000_123_456_000, "IP")));
        // `date -u -d '2026-11-24 02:24:42' +%s` prints 1795487082.
        assert_eq!(split("2026-11-24 02:24:42.435672 IP"), Some((1_795_487_082_435_672_000, "IP")));
        // `date -u -d '2024-02-29 23:59:59' +%s` prints 1709251199.
        assert_eq!(split("2024-02-29 23:59:59.000000 IP"), Some((1_709_251_199_000_000_000, "IP")));
        for bad in ["IP", "25:00:00.1 IP", "12:51 IP", "99999999999999.1 IP", "12:51:+2.1 IP", "10.0.0.1 IP"]
        {
            assert!(split(bad).is_none(), "{bad}");
        }
    }
}
