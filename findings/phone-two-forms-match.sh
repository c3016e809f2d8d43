#!/usr/bin/env bash
# phonenumbers 9.0.43 (Python, PyPI): does is_number_match find that two forms of one mobile number are one number?
#
# WhatsApp knows many mobile numbers under an older form than the one that people write: without the ninth digit in
# Brazil, with 1 behind the 52 in Mexico, with or without the 9 in Argentina, with eight digits in Benin.
#
# Seen: for Mexico, Argentina and Benin the answer is SHORT_NSN_MATCH, for Brazil it is NO_MATCH; and is_valid_number
# is false for the form that WhatsApp's identifiers carry in Brazil, Mexico and Benin.
#
# For a bot: neither function tells whether two identifiers are one person. An opt-out that is kept under one form is
# not found under the other, and a check of validity in front of a bot turns real customers away. It takes a table of
# one's own.
#
# Output:
#   BR NO_MATCH True False
#   MX SHORT_NSN_MATCH True False
#   AR SHORT_NSN_MATCH True True
#   BJ SHORT_NSN_MATCH True False
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check phonenumbers==9.0.43
"$dir/venv/bin/python" - <<'CODE'
import phonenumbers as p
from phonenumbers import MatchType, is_number_match, is_valid_number, parse

seen = []
for country, written, identifier in [
    ("BR", "+5511987654321", "+551187654321"),
    ("MX", "+525512345678", "+5215512345678"),
    ("AR", "+541123456789", "+5491123456789"),
    ("BJ", "+2290161234567", "+22961234567"),
]:
    match = MatchType.to_string(is_number_match(written, identifier))
    row = (country, match, is_valid_number(parse(written)), is_valid_number(parse(identifier)))
    print(*row)
    seen.append(row)
assert p.__version__ == "9.0.43"
assert seen == [
    ("BR", "NO_MATCH", True, False),
    ("MX", "SHORT_NSN_MATCH", True, False),
    ("AR", "SHORT_NSN_MATCH", True, True),
    ("BJ", "SHORT_NSN_MATCH", True, False),
], "this has changed"
CODE
