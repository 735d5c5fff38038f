//! Goal: what this kernel says of itself is read as C has it, and no damage makes the reader panic.
//! Method: the running kernel's own BTF; a small one written by hand, whole, cut off and with bytes changed.

use proptest::prelude::*;

use super::*;

/// `struct outer { int first; union { struct inner *other; }; }` and what it is made of.
fn small() -> Vec<u8> {
    let strings = b"\0int\0outer\0first\0inner\0one\0reason\0LOW\0HIGH\0other\0";
    let place = |name: &str| {
        let whole = [&[0], name.as_bytes(), &[0]].concat();
        let at = strings.windows(whole.len()).position(|window| window == whole).unwrap();
        u32::try_from(at + 1).unwrap()
    };
    let types = [
        // 1: int
        vec![place("int"), info(1, 0), 4, 32],
        // 2: struct inner, whose member `one` is at bit 64
        vec![place("inner"), info(4, 1), 16, place("one"), 1, 64],
        // 3: pointer to inner
        vec![0, info(2, 0), 2],
        // 4: union { inner *other; int first }
        vec![0, info(5, 1), 8, place("other"), 3, 0],
        // 5: struct outer
        vec![place("outer"), info(4, 2), 24, place("first"), 1, 0, 0, 4, 64],
        // 6: enum reason
        vec![place("reason"), info(6, 2), 4, place("LOW"), 2, place("HIGH"), 0x1_0001],
    ];
    written(&types.concat(), strings)
}

/// `struct btf_type`'s `info`: a kind, and how many members.
fn info(kind: u32, count: u32) -> u32 {
    kind << 24 | count
}

fn written(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let types: Vec<u8> = types.iter().copied().flat_map(u32::to_le_bytes).collect();
    let (types_bytes, strings_bytes) = (types.len(), strings.len());
    let length = |bytes: usize| u32::try_from(bytes).unwrap();
    let header = [0x0001_eb9f, 24, 0, length(types_bytes), length(types_bytes), length(strings_bytes)];
    [header.into_iter().flat_map(u32::to_le_bytes).collect(), types, strings.to_vec()].concat()
}

/// Everything that can be asked, of whatever it is.
fn ask_everything(btf: &Btf<'_>) {
    for (structure, path) in [("outer", "first"), ("outer", "other.one"), ("sk_buff", "dev"), ("", "")] {
        btf.offset(structure, path);
    }
    btf.values("reason");
    btf.tracepoint_arguments("kfree_skb");
}

#[test]
fn members_are_found_through_what_has_no_name() {
    let bytes = small();
    let btf = parse(&bytes).unwrap();
    assert_eq!(btf.offset("outer", "first"), Some(0));
    assert_eq!(btf.offset("outer", "other"), Some(8));
    // What a pointer points to is elsewhere.
    assert_eq!(btf.offset("outer", "other.one"), None);
    assert_eq!(btf.offset("inner", "one"), Some(8));
    assert_eq!(btf.offset("outer", "one"), None);
    assert_eq!(btf.offset("nobody", "one"), None);
    assert_eq!(btf.values("reason"), [(2, "LOW"), (0x1_0001, "HIGH")]);
    assert_eq!(btf.tracepoint_arguments("kfree_skb"), None);
}

#[test]
fn this_kernel_tells_where_a_packet_has_its_device_and_why_it_drops() {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let btf = parse(&bytes).unwrap();
    // By the C compiler's rules a packet begins with its neighbours in a list, and the device behind them.
    assert_eq!(btf.offset("sk_buff", "next"), Some(0));
    assert_eq!(btf.offset("sk_buff", "dev"), Some(16));
    let (inner, outer) = (btf.offset("net", "ns.inum").unwrap(), btf.offset("net", "ns").unwrap());
    assert!(inner > outer && inner - outer < 64, "{inner} {outer}");
    let reasons = btf.values("skb_drop_reason");
    assert!(reasons.contains(&(2, "SKB_DROP_REASON_NOT_SPECIFIED")), "{reasons:?}");
    assert!(reasons.iter().any(|(_, name)| *name == "SKB_DROP_REASON_NETFILTER_DROP"), "{reasons:?}");
    assert!(matches!(btf.tracepoint_arguments("kfree_skb"), Some(2..=4)));
}

#[test]
fn what_it_is_not_is_told_with_its_place() {
    assert_eq!(parse(b"").unwrap_err().offset, 0);
    assert!(parse(b"\x7fELF").unwrap_err().to_string().contains("byte 0: no BTF"));
    let mut bytes = small();
    bytes.truncate(bytes.len() - 1);
    assert_eq!(parse(&bytes).unwrap_err().offset, 16);
    let mut bytes = small();
    bytes[24 + 7] = 0x1f;
    assert_eq!(parse(&bytes).unwrap_err().what, "a kind of type that is not known");
}

#[test]
fn a_type_that_holds_itself_ends() {
    let mut bytes = small();
    // The union's member without a name is the union, and the pointer points to itself.
    let types = 24;
    bytes[types + 16 + 24 + 8] = 3;
    bytes[types + 16 + 24 + 12 + 12..][..4].copy_from_slice(&0_u32.to_le_bytes());
    bytes[types + 16 + 24 + 12 + 16] = 4;
    let btf = parse(&bytes).unwrap();
    assert_eq!(btf.offset("outer", "other"), None);
}

#[test]
fn a_type_that_holds_itself_twice_ends_as_soon() {
    // 1: struct outer { union 2; }, 2: union { union 2; union 2; }: a way each time deeper, two of them at each depth.
    let types = [1, info(4, 1), 8, 0, 2, 0, 0, info(5, 2), 8, 0, 2, 0, 0, 2, 0];
    let bytes = written(&types, b"\0outer\0");
    assert_eq!(parse(&bytes).unwrap().offset("outer", "sought"), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0][..], &bytes].concat();
        if let Ok(btf) = parse(&bytes) {
            ask_everything(&btf);
        }
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0_usize..220, value in any::<u8>(), length in 0_usize..300) {
        let mut bytes = small();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        bytes.truncate(length);
        if let Ok(btf) = parse(&bytes) {
            ask_everything(&btf);
        }
    }
}
