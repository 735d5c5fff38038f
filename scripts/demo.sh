#!/usr/bin/env bash
# hopline in ten commands: a small real cloud is built, broken, diagnosed, healed and removed.
# Every step must do what it is meant to, or the demo fails. Without root it runs in a user namespace.
#
#   scripts/demo.sh [HOPLINE]     the program to show; target/release/hopline by default
set -euo pipefail

hopline="${1:-target/release/hopline}"
lab=demo
run=("$hopline")
if [ "$(id -u)" -ne 0 ] && ! unshare --user --map-root-user true 2>/dev/null; then
    echo "This kernel lets only root make namespaces: hopline runs with sudo."
    run=(sudo "$hopline")
fi

# Shows a command, runs it, and demands its exit code.
step() {
    local expected="$1" code=0
    shift
    printf '\n$ hopline %s\n' "$*"
    "${run[@]}" "$@" || code=$?
    if [ "$code" -ne "$expected" ]; then
        echo "demo: \`hopline $*\` ended with exit code $code, expected $expected" >&2
        exit 1
    fi
}

# Says what comes next.
say() {
    printf '\n# %s\n' "$*"
}

if [ ! -x "$hopline" ]; then
    echo "demo: there is no $hopline; \`make demo\` builds it" >&2
    exit 1
fi
if ! "${run[@]}" lab status --name "$lab" | grep -q ': absent$'; then
    echo "demo: a lab named $lab is already there; \`hopline lab down --name $lab\` removes it" >&2
    exit 1
fi
trap '"${run[@]}" lab down --name "$lab" >/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "A cloud: a compute host with two instances, two routers, an external server. All of it real."
step 0 lab up --name "$lab"
site="$("${run[@]}" lab env --name "$lab" | sed -n 's/^SITE=//p')"

say "The way of a ping from an instance to the outside, and back, as hopline predicts it."
step 0 path web1 1.2.3.4 --site "$site"

say "Someone adds a firewall rule that nova knows nothing of. The user says: I have no network."
step 0 lab break foreign-rule-drop --name "$lab"
step 1 diagnose web1 --site "$site"

say "The rule goes; what was wrong is right again."
step 0 lab heal --name "$lab"
step 0 diagnose web1 --site "$site"

say "Everything is removed."
step 0 lab down --name "$lab"
trap - EXIT
if ! "${run[@]}" lab status --name "$lab" | grep -q ': absent$'; then
    echo "demo: something of the lab $lab is left" >&2
    exit 1
fi
printf '\nThat was the demo. Exit codes were as they should be; nothing is left behind.\n'
