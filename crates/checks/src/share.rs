//! What share of packets a condition of chance holds for, as its text says: nft's `numgen` and xtables' `statistic`.
//!
//! `nft_ng_inc_gen`, `nft_ng_random_gen` (net/netfilter/nft_numgen.c); `statistic_mt` (net/netfilter/xt_statistic.c).

/// The share, from 0 to 1; `None` where the text is none of these, or says it in a way that is not read.
pub(crate) fn of(text: &str) -> Option<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["numgen", _, "mod", modulus, "offset", offset, test @ ..] => numbers(modulus, offset, test),
        ["numgen", _, "mod", modulus, test @ ..] => numbers(modulus, "0", test),
        ["-m", "statistic", options @ ..] => statistic(options),
        _ => None,
    }
}

/// Numbers from `offset` on, `modulus` of them, each as often as any other.
fn numbers(modulus: &str, offset: &str, test: &[&str]) -> Option<f64> {
    let (modulus, offset): (u32, u32) = (modulus.parse().ok()?, offset.parse().ok()?);
    let (operator, number) = match test {
        [number] => ("==", number),
        [operator, number] => (*operator, number),
        _ => return None,
    };
    // How far into the numbers it is, as many as there are at most.
    let number: i64 = number.parse::<u32>().ok()?.into();
    let all = i64::from(modulus);
    let at = number - i64::from(offset);
    let below = |bound: i64| bound.clamp(0, all);
    let equal = below(at + 1) - below(at);
    let held = match operator {
        "==" => equal,
        "!=" => all - equal,
        "<" => below(at),
        "<=" => below(at + 1),
        ">" => all - below(at + 1),
        ">=" => all - below(at),
        _ => return None,
    };
    let share = f64::from(u32::try_from(held).ok()?) / f64::from(modulus);
    share.is_finite().then_some(share)
}

fn statistic(options: &[&str]) -> Option<f64> {
    let (share, is_negated) = match options {
        ["--mode", "random", "--probability", share] => (share.parse().ok()?, false),
        ["--mode", "random", "!", "--probability", share] => (share.parse().ok()?, true),
        ["--mode", "nth", "--every", every] | ["--mode", "nth", "--every", every, "--packet", _] => {
            (1.0 / f64::from(every.parse::<u32>().ok()?), false)
        }
        ["--mode", "nth", "!", "--every", every]
        | ["--mode", "nth", "!", "--every", every, "--packet", _] => {
            (1.0 / f64::from(every.parse::<u32>().ok()?), true)
        }
        _ => return None,
    };
    let is_share = (0.0..=1.0).contains(&share);
    is_share.then_some(if is_negated { 1.0 - share } else { share })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn each_way_to_say_it_is_read() {
        for (text, share) in [
            ("numgen inc mod 2 0", Some(0.5)),
            ("numgen inc mod 2 2", Some(0.0)),
            ("numgen random mod 10 < 3", Some(0.3)),
            ("numgen random mod 10 <= 3", Some(0.4)),
            ("numgen random mod 10 > 3", Some(0.6)),
            ("numgen random mod 10 >= 3", Some(0.7)),
            ("numgen random mod 10 != 3", Some(0.9)),
            ("numgen random mod 4 offset 100 101", Some(0.25)),
            ("numgen random mod 4 offset 100 < 99", Some(0.0)),
            ("numgen random mod 0 0", None),
            ("numgen random mod 10 { 1, 2 }", None),
            ("numgen random mod 4294967296 0", None),
            ("jhash ip saddr mod 4 0", None),
            ("meta random > 5", None),
            ("-m statistic --mode random --probability 0.25000000000", Some(0.25)),
            ("-m statistic --mode random ! --probability 0.25", Some(0.75)),
            ("-m statistic --mode random --probability nan", None),
            ("-m statistic --mode nth --every 4", Some(0.25)),
            ("-m statistic --mode nth ! --every 4 --packet 1", Some(0.75)),
            ("-m statistic --mode nth --every 0", None),
            ("", None),
        ] {
            assert_eq!(of(text), share, "{text}");
        }
    }
}
