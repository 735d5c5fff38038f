#!/bin/sh
# Holds the prediction to this machine's kernel over ten seeds. CASES and SEEDS ask for others.
set -eu
cd "$(dirname "$0")/.."

kept=${SAVE:-target/selftest}
mkdir -p "$kept"
status=0
for seed in ${SEEDS:-1 2 3 4 5 6 7 8 9 10}; do
    target/release/hopline selftest --seed "$seed" --cases "${CASES:-2000}" --save "$kept" || status=$?
done
exit $status
