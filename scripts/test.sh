#!/usr/bin/env bash
# Runs every test; arguments go to cargo. Most tests from the command line (`e2e_...`) are in labs and wait for answers
# that do not come, so that the rest has room beside them: first those of VLANs (`with_vlans_...`), which compute for
# minutes in a virtual machine where this kernel has no VLANs, then all others. What runs beside is printed at the end,
# and behind it what failed: no failure keeps what comes after it from running.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=(cargo test --workspace --locked "$@")
"${tests[@]}" --no-run
tests+=(--no-fail-fast)

# What runs beside the rest cannot ask for a password: sudo remembers one by terminal.
[ "$(id -u)" -eq 0 ] || sudo -v

beside() {
    local failed=0
    printf '\n==> Tests of VLANs\n'
    # Test programs without any say nothing of interest.
    "${tests[@]}" --quiet -- with_vlans_ 2>&1 |
        { grep -v -e '^$' -e '^running 0 tests' -e '^test result: ok. 0 passed' || true; } || failed=1
    printf '\n==> Tests of what is not in a lab\n'
    # All but `e2e_...`: cargo's patterns know no "but".
    "${tests[@]}" --lib --bins --test '[!e]*' --test 'e[!2]*' -- --skip with_vlans_ || failed=1
    "${tests[@]}" --doc || failed=1
    return "$failed"
}

# Of what cargo and its test programs printed: each test that failed with how its complaint begins, and behind those of
# a program how to run it again.
failures() {
    awk '
        /^---- .* stdout ----$/ { about = $0; sub(/^---- /, "", about); sub(/ stdout ----$/, "", about); lines = 0; next }
        /^failures:$/ { about = ""; count = 0; told = 1; next }
        about != "" && NF && ++lines <= 12 { said[about] = said[about] "        " substr($0, 1, 1000) "\n" }
        told && /^    / { failed[++count] = substr($0, 5) }
        /^test result: FAILED/ { for (at = 1; at <= count; at++) print "    " failed[at] "\n" said[failed[at]] }
        /^test result: / { told = 0; count = 0; split("", said) }
        /^error: / && !/targets? failed:$/ { sub(/^error: /, ""); print }
    ' "$@"
}

printed=$(mktemp)
labs_printed=$(mktemp)
# In a group of its own, with this terminal, so that all of it ends with this script.
set -m
beside >"$printed" 2>&1 &
beside=$!
set +m
trap 'kill -- "-$beside" 2>/dev/null || true; rm -f "$printed" "$labs_printed"' EXIT
# As many labs at once as may be without their answers coming late.
RUST_TEST_THREADS=$(($(nproc) + 1)) "${tests[@]}" --test 'e2e_*' -- --skip with_vlans_ 2>&1 |
    tee "$labs_printed" && labs=0 || labs=$?
wait "$beside" && others=0 || others=$?

cat "$printed"
if [ "$labs" -ne 0 ] || [ "$others" -ne 0 ]; then
    printf '\n==> What failed\n'
    failures "$labs_printed" "$printed"
fi
exit $((labs != 0 ? labs : others))
