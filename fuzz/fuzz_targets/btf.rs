//! Any octets as a kernel's types: nothing panics, and what holds itself ends.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(btf) = parse::btf::parse(octets) {
        for (structure, path) in [("sk_buff", "dev"), ("net", "ns.inum"), ("sock", "__sk_common.skc_net.net")] {
            let _ = btf.offset(structure, path);
        }
        let _ = btf.values("skb_drop_reason");
        let _ = btf.tracepoint_arguments("kfree_skb");
    }
});
