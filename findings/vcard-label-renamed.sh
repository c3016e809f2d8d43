#!/usr/bin/env bash
# vcf 2.1.2 (npm): does a contact card survive being read and written?
#
# A card that is shared on WhatsApp names a number by a group and a label of Apple's: item1.TEL beside
# item1.X-ABLabel.
#
# Seen: the label is read as xAbLabel and written as X-AB-LABEL, a property that no address book knows. The same card
# with line feeds alone, as chat clients hand it on, is refused with 'Unsupported version "ARD"'.
#
# For a bot: a card that is passed on to a colleague has lost what the number is, and cards as they arrive have to be
# given CRLF before this library reads them.
#
# Output:
#   item1.TEL;WAID=15550100001:+1 555-010-0001
#   item1.X-AB-LABEL:Work
#   Unsupported version "ARD"
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock vcf@2.1.2
cat > look.mjs <<'CODE'
import vCard from 'vcf';

const lines = ['BEGIN:VCARD', 'VERSION:3.0', 'N:Muster;Ada;;;', 'FN:Ada Muster',
  'item1.TEL;waid=15550100001:+1 555-010-0001', 'item1.X-ABLabel:Work', 'END:VCARD'];
const written = new vCard().parse(lines.join('\r\n')).toString('3.0');
console.log(written.split('\r\n').filter((line) => line.startsWith('item1')).join('\n'));
let refused = '';
try {
  new vCard().parse(lines.join('\n'));
} catch (error) {
  refused = error.message;
}
console.log(refused);
const isKnown = written.includes('item1.X-AB-LABEL:Work') && !/X-ABLabel/i.test(written);
if (!isKnown || refused !== 'Unsupported version "ARD"') throw new Error('this has changed');
CODE
node look.mjs
