//! When processes were started: `ps axo ...,pid,...,lstart,...`, and whether the clock that tells it is UTC's (`date`).

use std::collections::BTreeMap;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_A_DAY: u64 = 86_400;

/// By their pids, in seconds of the clock that it prints: of Unix where that is UTC's. Lines without either are left
/// out.
pub fn parse(text: &str) -> BTreeMap<u32, u64> {
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let Some(at) = heading.iter().position(|word| *word == "PID") else { return BTreeMap::new() };
    let started = lines.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pid = words.get(at)?.parse().ok()?;
        // The command line behind it may hold a date, too: the first counts.
        let told = words.get(at..)?.windows(5).find_map(moment)?;
        Some((pid, told))
    });
    started.collect()
}

/// `date` printed a time of UTC, where no hour is ever left out or told twice.
pub fn is_utc(date: &str) -> bool {
    date.split_whitespace().any(|word| word == "UTC")
}

/// `Sat Nov 28 16:36:42 2026`.
fn moment(words: &[&str]) -> Option<u64> {
    let [weekday, month, day, clock, year] = words else { return None };
    let month = MONTHS.iter().position(|name| name == month).filter(|_| DAYS.contains(weekday))?;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock.as_slice() else { return None };
    let is_told = (1970..=9999).contains(&year) && (1..=31).contains(&day);
    let is_clock = *hour < 24 && *minute < 60 && *second <= 60;
    let days = is_told.then(|| days_until(year, month) + day - 1).filter(|_| is_clock)?;
    Some(days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second)
}

/// Days from 1970 to the first of a month, which is counted from 0.
fn days_until(year: u64, month: usize) -> u64 {
    let leaps = |years: u64| years / 4 - years / 100 + years / 400;
    let is_leap = leaps(year) > leaps(year - 1);
    let of_months = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let of_years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    of_years + of_months.iter().take(month).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_start_of_each_is_told() {
        let text = "\
F S   UID   PID  PPID  PGID   SID CLS PRI ADDR   SZ WCHAN                                 STARTED TT           TIME CMD
5 S 65534 16194     1 16193 16193  TS  19    -  2910 poll_schedule_timeou Sat Nov 28 16:36:42 2026 ?        00:00:00 x
4 S     0     7     2     0     0  TS  39    -     0 -                    Tue Feb 29 23:59:59 2000 ?        00:00:00 y
4 S     0     8     2     0     0  TS  39    -     0 -                    Thu Jan  1 00:00:00 1970 ? 00:00:00 a \
Sat Nov 28 16:36:42 2026
4 S     0     9     2     0     0  TS  39    -     0 -                    - ?        00:00:00 z
";
        // `date -u -d TIME +%s`
        let expected = [(7, 951_868_799), (8, 0), (16_194, 1_795_883_802)];
        assert_eq!(parse(text), BTreeMap::from(expected));
        assert!(is_utc("Sat Nov 28 16:36:46 UTC 2026\n") && !is_utc("Sat Nov 28 17:36:46 CET 2026\n"));
    }

    proptest! {
        #[test]
        fn any_words_are_answered(words in prop::collection::vec("PID|Sat|Feb|[0-9:]{0,8}|7|\\PC{0,4}|\n", 0..60)) {
            parse(&words.join(" "));
            parse(&format!("PID\n{}", words.join(" ")));
        }
    }
}
