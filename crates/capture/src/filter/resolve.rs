//! Names and NAT: instances become their addresses, and an address becomes all those that it goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;

use super::expr::{End, Expr, Primitive};

/// What is known of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// Its addresses, the floating ones too.
    pub addresses: Vec<IpAddr>,
    /// Those of its NICs.
    pub macs: Vec<Mac>,
}

/// A filter names an instance that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing is known of the instance `{0}`")]
pub struct UnknownInstance(pub String);

/// Under which other addresses a packet's end is seen elsewhere on its way, because of NAT.
///
/// One-way: behind a masquerading gateway everybody goes by the gateway's address, and who looks for the
/// gateway does not look for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Equivalents(BTreeMap<IpAddr, BTreeSet<IpAddr>>);

impl Equivalents {
    /// What is `address` at one place is `other` at another.
    pub fn add(&mut self, address: IpAddr, other: IpAddr) {
        if address != other && address.is_ipv4() == other.is_ipv4() {
            self.0.entry(address).or_default().insert(other);
        }
    }

    /// The other addresses of this one, sorted.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = IpAddr> {
        self.0.get(&address).into_iter().flatten().copied()
    }

    fn with(&self, address: IpAddr) -> Vec<IpAddr> {
        [address].into_iter().chain(self.of(address)).collect()
    }
}

/// The filter with instances as their addresses and MACs, and each address with those that it goes by
/// elsewhere. Under a `not` nothing is added: what is shut out would grow, and packets be missed.
///
/// # Errors
/// An instance that `subjects` has no entry for.
pub fn resolve(
    expr: &Expr,
    subjects: &BTreeMap<String, Subject>,
    equivalents: &Equivalents,
) -> Result<Expr, UnknownInstance> {
    Resolver { subjects, equivalents }.resolve(expr, true)
}

/// Names of the instances that a filter speaks of, sorted.
pub fn instances(expr: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each(expr, &mut |test| {
        if let Primitive::Instance(name) = test {
            names.insert(name.clone());
        }
    });
    names
}

/// Single addresses that a filter speaks of, sorted: of hosts and of flows, not prefixes.
pub fn addresses(expr: &Expr) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    each(expr, &mut |test| match test {
        Primitive::Net { net, .. } => found.extend(single(net)),
        Primitive::Flow(a, b) => found.extend([*a, *b]),
        Primitive::Protocol(_)
        | Primitive::Port { .. }
        | Primitive::Ether { .. }
        | Primitive::Vlan { .. }
        | Primitive::Instance(_) => {}
    });
    found
}

fn each(expr: &Expr, look: &mut impl FnMut(&Primitive)) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| each(part, look)),
        Expr::Not(inner) => each(inner, look),
        Expr::Test(test) => look(test),
    }
}

fn single(net: &IpNet) -> Option<IpAddr> {
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

fn host(ip: IpAddr, end: End) -> Expr {
    Expr::Test(Primitive::Net { family: None, end, net: IpNet::from(ip) })
}

struct Resolver<'r> {
    subjects: &'r BTreeMap<String, Subject>,
    equivalents: &'r Equivalents,
}

impl Resolver<'_> {
    /// `widens`: what is taken only grows when more addresses are looked for.
    fn resolve(&self, expr: &Expr, widens: bool) -> Result<Expr, UnknownInstance> {
        let all = |parts: &[Expr]| -> Result<Vec<Expr>, UnknownInstance> {
            parts.iter().map(|part| self.resolve(part, widens)).collect()
        };
        Ok(match expr {
            Expr::And(parts) => Expr::And(all(parts)?),
            Expr::Or(parts) => Expr::Or(all(parts)?),
            Expr::Not(inner) => Expr::Not(Box::new(self.resolve(inner, !widens)?)),
            Expr::Test(test) => self.test(test, widens)?,
        })
    }

    fn test(&self, test: &Primitive, widens: bool) -> Result<Expr, UnknownInstance> {
        let known = |ip: IpAddr| if widens { self.equivalents.with(ip) } else { vec![ip] };
        Ok(match test {
            Primitive::Net { family, end, net } => match single(net).map(known) {
                Some(known) if known.len() > 1 => any(known, |ip| {
                    Expr::Test(Primitive::Net { family: *family, end: *end, net: IpNet::from(ip) })
                }),
                Some(_) | None => Expr::Test(test.clone()),
            },
            Primitive::Instance(name) => {
                let subject = self.subjects.get(name).ok_or_else(|| UnknownInstance(name.clone()))?;
                let ips: BTreeSet<IpAddr> = subject.addresses.iter().flat_map(|ip| known(*ip)).collect();
                let ether = |mac| Expr::Test(Primitive::Ether { end: End::Either, mac });
                let macs = subject.macs.iter().copied().map(ether);
                Expr::Or(macs.chain(ips.into_iter().map(|ip| host(ip, End::Either))).collect())
            }
            Primitive::Flow(a, b) => {
                let one_way = |from: IpAddr, to: IpAddr| {
                    let sent = any(known(from), |ip| host(ip, End::Source));
                    Expr::And(vec![sent, any(known(to), |ip| host(ip, End::Destination))])
                };
                Expr::Or(vec![one_way(*a, *b), one_way(*b, *a)])
            }
            Primitive::Protocol(_)
            | Primitive::Port { .. }
            | Primitive::Ether { .. }
            | Primitive::Vlan { .. } => Expr::Test(test.clone()),
        })
    }
}

fn any(ips: Vec<IpAddr>, test: impl Fn(IpAddr) -> Expr) -> Expr {
    let mut tests: Vec<Expr> = ips.into_iter().map(test).collect();
    match (tests.len(), tests.pop()) {
        (1, Some(only)) => only,
        (_, last) => Expr::Or(tests.into_iter().chain(last).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn widened(text: &str) -> String {
        let mut nat = Equivalents::default();
        let ip = |text: &str| text.parse().unwrap();
        nat.add(ip("10.0.2.24"), ip("203.0.113.30"));
        nat.add(ip("203.0.113.30"), ip("10.0.2.24"));
        let web1 =
            Subject { addresses: vec![ip("10.0.2.24")], macs: vec!["fa:16:3e:00:00:11".parse().unwrap()] };
        let subjects = BTreeMap::from([("web1".to_owned(), web1)]);
        resolve(&parse(text).unwrap(), &subjects, &nat).unwrap().to_string()
    }

    #[test]
    fn an_address_is_looked_for_on_both_sides_of_nat() {
        assert_eq!(widened("src 10.0.2.24"), "src host 10.0.2.24 or src host 203.0.113.30");
        assert_eq!(widened("icmp and host 203.0.113.30"), "icmp and (host 203.0.113.30 or host 10.0.2.24)");
        assert_eq!(widened("net 10.0.2.0/24"), "net 10.0.2.0/24", "prefixes stay");
    }

    #[test]
    fn what_is_shut_out_does_not_grow() {
        assert_eq!(widened("not host 10.0.2.24"), "not host 10.0.2.24");
        assert_eq!(widened("not (not host 10.0.2.24)"), "not (not (host 10.0.2.24 or host 203.0.113.30))");
    }

    #[test]
    fn instances_and_flows_become_addresses() {
        assert_eq!(
            widened("instance:web1"),
            "ether host fa:16:3e:00:00:11 or host 10.0.2.24 or host 203.0.113.30"
        );
        assert_eq!(
            widened("flow:10.0.2.24,1.2.3.4"),
            "((src host 10.0.2.24 or src host 203.0.113.30) and dst host 1.2.3.4) or \
             (src host 1.2.3.4 and (dst host 10.0.2.24 or dst host 203.0.113.30))"
        );
    }

    #[test]
    fn a_name_that_nobody_knows_is_said() {
        let expr = parse("instance:web9").unwrap();
        let result = resolve(&expr, &BTreeMap::new(), &Equivalents::default());
        assert_eq!(result, Err(UnknownInstance("web9".to_owned())));
    }
}
