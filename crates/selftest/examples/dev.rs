fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let o = selftest::Options {
        seed: a[0],
        cases: a[1],
        workers: a.get(2).copied().unwrap_or(4) as usize,
        unmodelled: false,
    };
    let t = std::time::Instant::now();
    let r = selftest::run(&o, |_, _| {}).unwrap_or_else(|e| panic!("{e}"));
    for w in &r.disagreements {
        println!("#{} {}\n{}\n{}", w.number, w.case, w.told, w.built);
    }
    let mut r = r;
    r.disagreements.clear();
    println!("{}", serde_json::to_string_pretty(&r).unwrap());
    println!("{:?}", t.elapsed());
}
