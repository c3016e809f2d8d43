#!/usr/bin/env bash
# phonenumbers 9.0.43 (Python, PyPI): what becomes of a WhatsApp identifier that is read with a default region?
#
# In webhooks a wa_id is the international number without a plus.
#
# Seen: read with the region DE, the identifier of a Brazilian mobile becomes a *valid* German number, +49551…; so
# does a British one. Nothing is raised, and is_valid_number says yes. Without a region it is refused.
#
# For a bot: who parses identifiers with the shop's own region writes to strangers, or keeps an opt-out under a number
# that nobody has. The plus has to be put there first.
#
# Output:
#   5511987654321 +495511987654321 True
#   447700900123 +49447700900123 True
#   without a region: (0) Missing or invalid default region.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check phonenumbers==9.0.43
"$dir/venv/bin/python" - <<'CODE'
import phonenumbers as p

seen = []
for wa_id in ["5511987654321", "447700900123"]:
    number = p.parse(wa_id, "DE")
    row = (wa_id, p.format_number(number, p.PhoneNumberFormat.E164), p.is_valid_number(number))
    print(*row)
    seen.append(row)
try:
    p.parse("5511987654321", None)
    refused = False
except p.NumberParseException as error:
    print("without a region:", error)
    refused = True
assert seen == [
    ("5511987654321", "+495511987654321", True),
    ("447700900123", "+49447700900123", True),
] and refused, "this has changed"
CODE
