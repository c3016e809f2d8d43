#!/usr/bin/env bash
# json-repair 0.64.6 (Python, PyPI): what becomes of the numbers in a tool's arguments that a model did not quote?
#
# Models write {"phone": +15550100001} or {"zip": 01234}; the package is made for that, and raises nothing.
#
# Seen: a phone number becomes an integer without its plus, leading zeros go (01234 is 1234, 00491… is 491…), 10:30
# becomes 10 and the minutes are gone; but 12-34, 3,50 and a date stay text.
#
# For a bot: a repaired call passes a schema that wants numbers and books ten o'clock, or looks up another postcode.
# Repair is no substitute for asking the model again.
#
# Output:
#   phone +15550100001 -> 15550100001
#   abroad 00491701234567 -> 491701234567
#   zip 01234 -> 1234
#   time 10:30 -> 10
#   order 12-34 -> '12-34'
#   price 3,50 -> '3,50'
#   date 2026-11-30 -> '2026-11-30'
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check json-repair==0.64.6
"$dir/venv/bin/python" - <<'CODE'
import json_repair

seen = {}
for name, written in [
    ("phone", "+15550100001"),
    ("abroad", "00491701234567"),
    ("zip", "01234"),
    ("time", "10:30"),
    ("order", "12-34"),
    ("price", "3,50"),
    ("date", "2026-11-30"),
]:
    seen[name] = json_repair.loads(f"{{\"{name}\": {written}}}")[name]
    print(name, written, "->", repr(seen[name]))
assert seen == {
    "phone": 15550100001,
    "abroad": 491701234567,
    "zip": 1234,
    "time": 10,
    "order": "12-34",
    "price": "3,50",
    "date": "2026-11-30",
}, "this has changed"
CODE
