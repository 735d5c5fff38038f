#!/usr/bin/env bash
# Puts a real diagnosis into README.md, between the two marks, its picture into docs/diagnosis.svg, and that of the
# packets into docs/capture.svg. Needs root, for the lab.
#
#   scripts/excerpt.sh            writes it anew
#   scripts/excerpt.sh --check    fails where README.md or the pictures show anything else; times, numbers of pings, and
#                                 where either puts what is drawn, differ each time and are not compared
set -euo pipefail

hopline="${HOPLINE:-target/release/hopline}"
lab=example
begin='<!-- made by scripts/excerpt.sh -->'
end='<!-- end -->'

for mark in "$begin" "$end"; do
    if [ "$(grep -cFx -- "$mark" README.md)" -ne 1 ]; then
        echo "excerpt: README.md must hold the line \`$mark\` once" >&2
        exit 1
    fi
done
if ! "$hopline" lab status --name "$lab" | grep -q ': absent$'; then
    echo "excerpt: a lab named $lab is already there; \`hopline lab down --name $lab\` removes it" >&2
    exit 1
fi
new="$(mktemp)"
svg="$(mktemp)"
packets="$(mktemp)"
said="$(mktemp)"
trap 'rm -f "$new" "$svg" "$packets" "$said"; "$hopline" lab down --name "$lab" >/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A picture by its elements, a line each, without what is of one run alone: pauses and scales come with the times.
evened() {
    sed -E 's/></>\n</g' "$1" | sed -E '/class="(pause|scale)"/d
        s/ (d|x|y|cx|cy|width|height|viewBox|transform)="[^"]*"//g
        s/[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}/TIME/g
        s/ id [0-9]+/ id N/g
        s/~?\+?[0-9][0-9.]*(ns|us|ms|s)\b/T/g'
}

"$hopline" lab up --name "$lab" >/dev/null
site="$("$hopline" lab env --name "$lab" | sed -n 's/^SITE=//p')"
"$hopline" lab break foreign-rule-drop --name "$lab" >/dev/null
code=0
answer="$(COLUMNS=80 LC_ALL=C.UTF-8 "$hopline" diagnose web1 --site "$site" --svg "$svg")" || code=$?
if [ "$code" -ne 1 ]; then
    echo "excerpt: the diagnosis ended with exit code $code, expected 1" >&2
    exit 1
fi

"$hopline" lab heal --name "$lab" >/dev/null

# Two pings that are answered, and two behind the rule.
LC_ALL=C.UTF-8 "$hopline" capture icmp and flow:10.0.2.24,1.2.3.4 --site "$site" --for 60s \
    --svg "$packets" >/dev/null 2>"$said" &
capture=$!
deadline=$((SECONDS + 20))
until grep -q ': watching ' "$said"; do
    if ! kill -0 "$capture" || [ "$SECONDS" -ge "$deadline" ]; then
        cat "$said" >&2
        exit 1
    fi
done
ip netns exec "$lab-web1" ping -q -c 2 -i 0.2 1.2.3.4 >/dev/null
"$hopline" lab break foreign-rule-drop --name "$lab" >/dev/null
ip netns exec "$lab-web1" ping -q -c 2 -i 0.2 -W 1 1.2.3.4 >/dev/null && exit 1
kill -INT "$capture"
code=0
wait "$capture" || code=$?
if [ "$code" -ne 1 ]; then
    echo "excerpt: the capture ended with exit code $code, expected 1" >&2
    exit 1
fi

excerpt="$begin"$'\n```console\n$ hopline diagnose web1\n'"$answer"$'\n```\n'"$end"
readme="$(cat README.md)"
printf '%s%s%s\n' "${readme%%"$begin"*}" "$excerpt" "${readme#*"$end"}" >"$new"
if [ "${1:-}" = --check ]; then
    diff -u README.md "$new" || {
        echo "README.md shows an old diagnosis; \`make readme\` writes it anew" >&2
        exit 1
    }
    for pair in "docs/diagnosis.svg $svg" "docs/capture.svg $packets"; do
        read -r old now <<<"$pair"
        diff -u <(evened "$old") <(evened "$now") || {
            echo "$old is an old picture; \`make readme\` draws it anew" >&2
            exit 1
        }
    done
else
    cat "$new" >README.md
    cat "$svg" >docs/diagnosis.svg
    cat "$packets" >docs/capture.svg
fi
