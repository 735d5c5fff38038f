//! Stamps as people write them.

const NS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// `2026-11-24T02:24:42.435672000Z`; of a stamp within the epoch's first day, which is one that a listing has
/// without its date, `12:51:42.019519000`.
pub fn full(time_ns: i64) -> String {
    let (seconds, ns) = (time_ns.div_euclid(NS_PER_SECOND), time_ns.rem_euclid(NS_PER_SECOND));
    let (days, rest) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let clock = format!("{:02}:{:02}:{:02}.{ns:09}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 {
        return clock;
    }
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{clock}Z")
}

/// The time of the day, as tcpdump prints it.
pub(super) fn clock(time_ns: i64) -> String {
    let full = full(time_ns);
    let clock = full.split_once('T').map_or(full.as_str(), |(_, clock)| clock.trim_end_matches('Z'));
    clock.strip_suffix("000").unwrap_or(clock).to_owned()
}

/// `HH:MM:SS.ffffff`, as far as the eye wants a time.
pub(crate) fn micros(time_ns: i64) -> String {
    let mut clock = clock(time_ns);
    clock.truncate("HH:MM:SS.ffffff".len());
    clock
}

/// Days since 1970-01-01 as a date of the Gregorian calendar. Years begin in March here, so that the leap day
/// is their last.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_what_date_says() {
        // `date -u -d @1795487082`, `date -u -d @1709251199`.
        assert_eq!(full(1_795_487_082_435_672_001), "2026-11-24T02:24:42.435672001Z");
        assert_eq!(full(1_709_251_199_000_000_000), "2024-02-29T23:59:59.000000000Z");
        assert_eq!(full(46_302_019_519_000), "12:51:42.019519000");
        assert_eq!(clock(1_795_487_082_435_672_001), "02:24:42.435672001");
        assert_eq!(clock(46_302_019_519_000), "12:51:42.019519");
        assert_eq!(full(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
