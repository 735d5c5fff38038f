//! Tests on a kernel that has what they need: this one, or Debian's in a virtual machine.

mod feature;
mod image;
mod libraries;
mod machine;
mod start;

use std::any::type_name;
use std::env;
use std::sync::{Mutex, PoisonError};

pub use feature::Feature;
use machine::Machine;

/// Set in the virtual machine, by its first process.
const INSIDE: &str = "HOPLINE_TEST_MACHINE";

/// A kernel that has what a test program's tests need, and so where they run.
///
/// One for a test program, as a `static`; each test that needs it is its [`run`](KernelWith::run) and nothing
/// else:
///
/// ```no_run
/// static VLANS: vm::KernelWith = vm::KernelWith::new(&[vm::Feature::Vlan], &[]);
///
/// #[test]
/// fn a_tag_is_taken_off() {
///     VLANS.run(|| {
///         // What is tested.
///     });
/// }
/// ```
///
/// Where the running kernel has the features, `run` does the work at once. Where not, the first test boots one
/// virtual machine with Debian's kernel, which holds this test program and the network's tools of this machine;
/// there the test is run by its name, and its result is the result here. The machine ends with the test program.
pub struct KernelWith {
    features: &'static [Feature],
    programs: &'static [&'static str],
    machine: Mutex<Option<Machine>>,
}

impl KernelWith {
    /// A kernel with all these features. `programs` are what the tests start beside the network's own tools:
    /// a program of this machine by its name (`socat`), or one that was built, by its full path
    /// (`env!("CARGO_BIN_EXE_...")`), which it has in the virtual machine too.
    pub const fn new(features: &'static [Feature], programs: &'static [&'static str]) -> KernelWith {
        KernelWith { features, programs, machine: Mutex::new(None) }
    }

    /// Runs a test where the kernel has what it needs.
    ///
    /// The closure must stand in the test's own function, since the test's name is read from it; a function
    /// in its place fails with the word that there is no such test.
    ///
    /// # Panics
    ///
    /// As the test does, and where there is no such kernel, saying why.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub fn run<F: FnOnce()>(&self, test: F) {
        let lacks = self.features.iter().find_map(|feature| Some((feature, feature.lack()?)));
        let Some((feature, complaint)) = lacks else { return test() };
        assert!(!is_in_machine(), "even the virtual machine's kernel lacks {feature:?}: {complaint}");
        let name = test_name(type_name::<F>());
        if let Err(failure) = self.run_in_machine(name) {
            panic!("{name}, in a virtual machine because this kernel lacks {feature:?}:\n{failure}");
        }
    }

    /// Runs the test of this name in the machine, which is booted where there is none; `Err` says how it failed.
    fn run_in_machine(&self, name: &str) -> Result<(), String> {
        // A test that failed has let go of the machine before.
        let mut slot = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut machine = match slot.take() {
            Some(machine) => machine,
            None => start::machine(self.programs)?,
        };
        let test = [start::TEST_PROGRAM, "--exact", name, "--test-threads=1", "--nocapture", "--color=never"];
        // One that did not answer is not put back: it ends, and the next test boots another.
        let ended = machine.run(&test, machine::TEST_PATIENCE)?;
        *slot = Some(machine);
        judge(name, ended)
    }
}

/// Whether this test runs in the virtual machine of a [`KernelWith`], where all may take many times as long.
pub fn is_in_machine() -> bool {
    env::var_os(INSIDE).is_some()
}

/// What of these the running kernel lacks, with the words of the tool that tried.
///
/// # Panics
///
/// Where no namespace can be made to try in.
pub fn lacking(features: &[Feature]) -> Option<String> {
    features.iter().find_map(|feature| Some(format!("{feature:?}: {}", feature.lack()?)))
}

/// Runs this very program once more, with these arguments, in a virtual machine with Debian's kernel, the network's
/// tools of this machine, and these programs as [`KernelWith::new`] has them. Returns all that it printed; `Err` where
/// it failed there, or there is no machine, with what was printed until then.
pub fn run_elsewhere(programs: &[&str], arguments: &[&str]) -> Result<String, String> {
    let mut machine = start::machine(programs)?;
    let ended = machine.run(&[&[start::TEST_PROGRAM], arguments].concat(), machine::TEST_PATIENCE)?;
    if ended.status == 0 { Ok(ended.output) } else { Err(ended.output) }
}

/// What a test program's end says of one test. That it succeeded without having run any is no success.
fn judge(name: &str, ended: machine::Ended) -> Result<(), String> {
    let machine::Ended { status, output } = ended;
    let ran = output.lines().any(|line| line.starts_with("test result: ok. 1 passed;"));
    match (status, ran) {
        (0, true) => Ok(()),
        (0, false) => {
            Err(format!("there is no test {name:?}; its work must be a closure in its function:\n{output}"))
        }
        (_, _) => Err(output),
    }
}

/// The path of the function that a closure stands in, without its crate: what libtest calls the test.
fn test_name(closure: &str) -> &str {
    let function = closure.split("::{{closure}}").next().unwrap_or(closure);
    function.split_once("::").map_or(function, |(_crate, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::Ended;

    fn name_of<F: FnOnce()>(_: F) -> &'static str {
        test_name(type_name::<F>())
    }

    #[test]
    fn a_closure_tells_the_test_it_stands_in() {
        let own = "testbed::tests::a_closure_tells_the_test_it_stands_in";
        assert_eq!(name_of(|| ()), own);
        let deeper = || name_of(|| ());
        assert_eq!(deeper(), own);
    }

    #[test]
    fn this_very_program_runs_elsewhere_and_its_failure_is_told() {
        let listed = run_elsewhere(&[], &["--list"]).unwrap();
        assert!(
            listed.contains("this_very_program_runs_elsewhere_and_its_failure_is_told: test"),
            "{listed}"
        );
        let refused = run_elsewhere(&[], &["--no-such-option"]).unwrap_err();
        assert!(refused.contains("no-such-option"), "{refused}");
    }

    #[test]
    fn only_a_test_that_ran_and_passed_has_passed() {
        let ended = |status, output: &str| judge("t", Ended { status, output: output.to_owned() });
        assert_eq!(ended(0, "running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored\n"), Ok(()));
        assert!(ended(0, "test result: ok. 0 passed; 0 failed\n").unwrap_err().contains("no test \"t\""));
        assert_eq!(ended(101, "panicked: on purpose\n"), Err("panicked: on purpose\n".to_owned()));
    }
}
