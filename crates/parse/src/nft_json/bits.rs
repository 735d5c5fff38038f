//! Arithmetic over a field, as far as it comes to clearing bits and flipping bits.

use serde_json::Value;

const OPERATORS: [&str; 5] = ["&", "|", "^", "<<", ">>"];

/// `(field & !cleared) ^ flipped`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) flipped: u128,
    pub(super) cleared: u128,
}

/// What is operated on: left of all operators.
pub(super) fn operand(expression: &Value) -> &Value {
    match operation(expression) {
        Some((_, left, _)) => operand(left),
        None => expression,
    }
}

fn operation(expression: &Value) -> Option<(&str, &Value, &Value)> {
    let (operator, operands) = expression.as_object()?.iter().next()?;
    let operator = OPERATORS.into_iter().find(|known| known == operator)?;
    match operands.as_array()?.as_slice() {
        [left, right] => Some((operator, left, right)),
        _ => None,
    }
}

impl Bits {
    /// What is done with the operand, whose constants `number` reads. `None` where it is more than this
    /// can say: shifts.
    pub(super) fn over(expression: &Value, number: &dyn Fn(&Value) -> Option<u128>) -> Option<Bits> {
        let Some((operator, left, right)) = operation(expression) else {
            return Some(Bits { flipped: 0, cleared: 0 });
        };
        let Bits { flipped, cleared } = Bits::over(left, number)?;
        let right = number(right)?;
        Some(match operator {
            "&" => Bits { flipped: flipped & right, cleared: cleared | !right },
            "|" => Bits { flipped: (flipped & !right) | right, cleared: cleared | right },
            "^" => Bits { flipped: flipped ^ right, cleared },
            _ => return None,
        })
    }

    /// The bits of a field within `everything` that decide, and the values of those for which the
    /// result lies within the ranges.
    pub(super) fn undone(
        self,
        everything: u128,
        within: &[(u128, u128)],
    ) -> Option<(u128, Vec<(u128, u128)>)> {
        let mut undone = Vec::new();
        for (low, high) in within.iter().copied() {
            if self.flipped == 0 {
                undone.push((low, high));
            } else if low == high {
                let value = low ^ self.flipped;
                // Bits that are cleared cannot come out set.
                undone.extend((value & self.cleared & everything == 0).then_some((value, value)));
            } else {
                return None;
            }
        }
        Some((everything & !self.cleared, undone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: &Value) -> Option<u128> {
        value.as_u64().map(u128::from)
    }

    #[test]
    fn arithmetic_is_exact() {
        let mark = r#"{"meta": {"key": "mark"}}"#;
        let cases = [
            (format!(r#"{{"|": [{mark}, 16]}}"#), 0x1234_5678 | 16),
            (format!(r#"{{"&": [{mark}, 65520]}}"#), 0x1234_5678 & 0xfff0),
            (format!(r#"{{"^": [{{"&": [{mark}, 65523]}}, 3]}}"#), (0x1234_5678 & 0xfff3) ^ 3),
            (format!(r#"{{"|": [{{"^": [{mark}, 255]}}, 3]}}"#), (0x1234_5678 ^ 255) | 3),
        ];
        for (json, wanted) in cases {
            let expression = serde_json::from_str(&json).unwrap();
            let Bits { flipped, cleared } = Bits::over(&expression, &number).unwrap();
            assert_eq!((0x1234_5678 & !cleared) ^ flipped, wanted, "{json}");
            // What comes out right is asked for of exactly the bits that count.
            let (mask, within) = Bits { flipped, cleared }.undone(0xffff_ffff, &[(wanted, wanted)]).unwrap();
            assert_eq!(within, [(0x1234_5678 & mask, 0x1234_5678 & mask)], "{json}");
        }
        let shifted = serde_json::from_str(r#"{"<<": [{"meta": {"key": "mark"}}, 8]}"#).unwrap();
        assert_eq!(Bits::over(&shifted, &number), None);
    }

    #[test]
    fn what_cannot_come_out_is_never_met() {
        let or = Bits { flipped: 3, cleared: 3 };
        assert_eq!(or.undone(0xff, &[(0x13, 0x13), (0x10, 0x10)]), Some((0xfc, vec![(0x10, 0x10)])));
    }
}
