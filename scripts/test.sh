#!/usr/bin/env bash
# Runs every test; arguments go to cargo. Tests of VLANs (`with_vlans_...`) need a kernel that has them. Where this one
# has not, they compute for minutes in a virtual machine, while those in labs mostly wait for answers that do not come:
# the two go side by side, and what the former print comes when they are done.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=(cargo test --workspace --locked "$@")
"${tests[@]}" --no-run

# What runs beside the rest cannot ask for a password: sudo remembers one by terminal.
[ "$(id -u)" -eq 0 ] || sudo -v

printed=$(mktemp)
# In a group of its own, with this terminal, so that all of it ends with this script.
set -m
"${tests[@]}" --quiet -- with_vlans_ >"$printed" 2>&1 &
with_vlans=$!
set +m
trap 'kill -- "-$with_vlans" 2>/dev/null || true; rm -f "$printed"' EXIT
# As many labs at once as may be without their answers coming late.
RUST_TEST_THREADS=$((2 * $(nproc))) "${tests[@]}" -- --skip with_vlans_ && rest=0 || rest=$?
wait "$with_vlans" && vlans=0 || vlans=$?

printf '\n==> Tests of VLANs\n'
# Test programs without any say nothing of interest.
grep -v -e '^$' -e '^running 0 tests' -e '^test result: ok. 0 passed' "$printed" || true
exit $((rest != 0 ? rest : vlans))
