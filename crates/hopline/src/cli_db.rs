//! What was typed after `hopline db`.

use std::net::Ipv4Addr;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) command: DbCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Every row that contradicts others: what it breaks, how sure that is, and what puts it right. Reads only
    Check {
        /// The time to judge by, in UTC, for a dump: 2026-11-26T12:00:00. The hosts are left out then [default: the
        /// database's own]
        #[arg(long, value_name = "TIME", value_parser = time)]
        now: Option<String>,
    },
    /// What the database records of one instance, line by line, and what the hosts really have of it. Reads only
    Show {
        /// Its name, uuid, number, libvirt name, MAC, fixed or floating IP
        instance: String,
    },
    /// Ties a floating IP to nothing, as nova would: where the instance behind it is deleted, or there is none. Without
    /// --apply it says what it would do
    Release {
        /// The floating IP
        #[arg(value_name = "FLOATING_IP")]
        address: Ipv4Addr,
        /// Takes it from its project, too, so that it is free in its pool
        #[arg(long)]
        from_pool: bool,
        #[command(flatten)]
        apply: Apply,
    },
    /// Puts one row of a finding of `db check` right. Without --apply it says what it would do
    Repair {
        /// The finding's code
        code: String,
        /// The row's number, which the evidence names behind the table
        row: u64,
        #[command(flatten)]
        apply: Apply,
    },
    /// Restores what `--apply` changed, unless the row, or what its old values lean on, has changed since. Without an
    /// ID it lists what is on record, and what each row has now
    Undo {
        /// The name that `--apply` printed
        id: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Changes the row, in one transaction and with a record by which `db undo` takes it back
    #[arg(long)]
    pub(crate) apply: bool,
}

/// A date and a time of day, as every database takes them: `YYYY-MM-DD HH:MM:SS`.
fn time(text: &str) -> Result<String, String> {
    let wrong = || "expected a date and a time in UTC: 2026-11-26T12:00:00".to_owned();
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let numbers = |text: &str, between: char, widths: &[usize]| -> Option<Vec<u32>> {
        let parts: Vec<&str> = text.split(between).collect();
        let fits = parts.iter().map(|part| part.len()).eq(widths.iter().copied());
        let digits = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
        (fits && parts.iter().all(digits))
            .then(|| parts.iter().filter_map(|part| part.parse().ok()).collect())
    };
    let date = numbers(date, '-', &[4, 2, 2]).ok_or_else(wrong)?;
    let clock = numbers(clock, ':', &[2, 2, 2]).ok_or_else(wrong)?;
    match (date.as_slice(), clock.as_slice()) {
        (&[year, month, day], &[hour @ 0..24, minute @ 0..60, second @ 0..60])
            if (1..=days_of(year, month)).contains(&day) =>
        {
            Ok(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
        }
        _ => Err(wrong()),
    }
}

/// Days of a month; none of what is no month.
fn days_of(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times() {
        let same = "2028-02-29 12:00:01";
        for text in
            ["2028-02-29T12:00:01", "2028-02-29 12:00:01", "2028-02-29T12:00:01Z", "2028-02-29 12:00:01.5"]
        {
            assert_eq!(time(text).as_deref(), Ok(same), "{text}");
        }
        assert_eq!(time("2026-11-26").as_deref(), Ok("2026-11-26 00:00:00"));
        for bad in [
            "",
            "now",
            "2026-02-29",
            "2026-13-01",
            "26-11-26",
            "2026-11-26T24:00:00",
            "2026-11-26T1:0:0",
            "2026-11-26' OR 1=1",
            "+026-11-26",
            "2026-11-26T12:00:00+01:00",
        ] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
