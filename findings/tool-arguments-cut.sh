#!/usr/bin/env bash
# partial-json 0.1.7 and best-effort-json-parser 1.5.1 (npm): can a caller tell arguments that were cut from whole
# ones?
#
# A model's call breaks off at its limit of tokens, in the middle of a number: {"amount": 12 of 1200. Both packages
# are made to show such text while it arrives.
#
# Seen: both give {amount: 12}, exactly what {"amount": 12} gives, and no mark that anything is missing. Of a lone
# minus sign the one makes nothing, and the other 0; of "tru" both make true.
#
# For a bot: parsed as it arrives, 1200 is 12 for a moment, and stays so if the stream breaks off. A call may only be
# made once the stream says how it ended, and of what plain JSON.parse takes.
#
# Output:
#   {"amount": 12 -> {"amount":12} {"amount":12}
#   {"amount": 12} -> {"amount":12} {"amount":12}
#   {"amount": - -> {} {"amount":0}
#   {"sure": tru -> {"sure":true} {"sure":true}
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock partial-json@0.1.7 best-effort-json-parser@1.5.1
cat > look.mjs <<'CODE'
import { parse as partial } from 'partial-json';
import { parse as effort } from 'best-effort-json-parser';

const seen = ['{"amount": 12', '{"amount": 12}', '{"amount": -', '{"sure": tru'].map((text) => {
  const row = [JSON.stringify(partial(text)), JSON.stringify(effort(text))];
  console.log(text, '->', ...row);
  return row.join(' ');
});
const known = [
  '{"amount":12} {"amount":12}', '{"amount":12} {"amount":12}',
  '{} {"amount":0}', '{"sure":true} {"sure":true}',
];
if (seen.join(';') !== known.join(';')) throw new Error('this has changed');
CODE
node look.mjs
