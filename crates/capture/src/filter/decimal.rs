//! `tcpdump -ddd`: a program as decimal numbers, its length first (tcpdump(1)).

use super::Instruction;

/// Reads such a program; `None` where the text is not one.
pub fn decimal(text: &str) -> Option<Vec<Instruction>> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let length: usize = lines.next()?.trim().parse().ok()?;
    let program: Vec<Instruction> = lines.map(instruction).collect::<Option<_>>()?;
    (program.len() == length).then_some(program)
}

fn instruction(line: &str) -> Option<Instruction> {
    let mut numbers = line.split_whitespace();
    let code = numbers.next()?.parse().ok()?;
    let jt = numbers.next()?.parse().ok()?;
    let jf = numbers.next()?.parse().ok()?;
    let k = numbers.next()?.parse().ok()?;
    numbers.next().is_none().then_some(Instruction { code, jt, jf, k })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_read_and_nothing_else() {
        let program = decimal("2\n40 0 0 12\n6 0 0 262144\n").unwrap();
        assert_eq!(program[1], Instruction { code: 6, jt: 0, jf: 0, k: 262_144 });
        for text in ["", "1", "2\n6 0 0 1\n", "1\n6 0 0\n", "1\n6 0 0 1 1\n", "1\n6 0 300 1\n", "x"] {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }
}
