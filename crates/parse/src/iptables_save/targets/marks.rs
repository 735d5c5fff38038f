//! Targets that write marks, of the packet, its connection or its IP header.

use model::netfilter::Action;

use super::super::values;
use super::super::words::Words;

/// Option and number as the kernel's `mark = (mark & !mask) ^ value` (iptables-extensions(8), MARK).
fn change(option: &str, (value, mask): (u32, u32)) -> Option<(u32, u32)> {
    Some(match option {
        "--set-xmark" => (value, mask),
        // Ors the value in after clearing the mask's bits.
        "--set-mark" => (value, value | mask),
        "--and-mark" => (0, !value),
        "--or-mark" => (value, value),
        "--xor-mark" => (value, 0),
        _ => return None,
    })
}

/// MARK.
pub(super) fn packet(options: &mut Words<'_>) -> Option<Action> {
    let option = options.value()?;
    let (value, mask) = change(&option, values::masked_number(&options.value()?)?)?;
    Some(Action::SetMark { value, mask })
}

/// CONNMARK. Its shifts are not modelled.
pub(super) fn connection(options: &mut Words<'_>) -> Option<Action> {
    let option = options.value()?;
    if !matches!(option.as_ref(), "--save-mark" | "--restore-mark") {
        let (value, mask) = change(&option, values::masked_number(&options.value()?)?)?;
        return Some(Action::SetCtMark { value, mask });
    }
    let (mut ct_mask, mut packet_mask) = (u32::MAX, u32::MAX);
    while let Some(which) = options.value() {
        let mask = values::number(&options.value()?)?;
        match which.as_ref() {
            "--nfmask" => packet_mask = mask,
            "--ctmask" => ct_mask = mask,
            "--mask" => (ct_mask, packet_mask) = (mask, mask),
            _ => return None,
        }
    }
    Some(if option == "--save-mark" {
        Action::SaveMark { ct_mask, packet_mask }
    } else {
        Action::RestoreMark { ct_mask, packet_mask }
    })
}

/// DSCP, and TOS, whose lowest two bits are congestion notification: no modelled test looks at those.
pub(super) fn service(options: &mut Words<'_>, text: &str) -> Option<Action> {
    const ECN: u8 = 0x3;
    let option = options.value()?;
    let number = options.value()?;
    let octet = |number: u32| u8::try_from(number).ok();
    let (value, mask) = match option.as_ref() {
        "--set-dscp" => (octet(values::number(&number)?)?.checked_mul(4)?, !ECN),
        "--set-dscp-class" => (values::dscp_class(&number)? * 4, !ECN),
        "--set-tos" => {
            let (value, mask) = values::masked_number(&number)?;
            (octet(value)?, if number.contains('/') { octet(mask)? } else { u8::MAX })
        }
        _ => return None,
    };
    let change = Action::Dscp { value: value >> 2, mask: mask >> 2 };
    Some(match ((value | mask) & ECN, (value | mask) >> 2) {
        (0, _) => change,
        (_, 0) => Action::NonTerminal(text.to_owned()),
        (_, _) => Action::Several(vec![change, Action::NonTerminal(text.to_owned())]),
    })
}
