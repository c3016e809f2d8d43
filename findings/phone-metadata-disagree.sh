#!/usr/bin/env bash
# libphonenumber-js 1.13.16 (npm): is a Brazilian mobile number without its ninth digit valid?
#
# The package has several sets of metadata, by the path that is imported. WhatsApp's identifiers in Brazil often lack
# the ninth digit.
#
# Seen: with the default import the number is valid, with `libphonenumber-js/max` the same version says that it is
# not. For Benin's old eight digits and Mexico's 521 both say no.
#
# For a bot: whether a customer's identifier passes depends on an import path; two services of one team may disagree
# about the same person. What comes from WhatsApp is an identifier, and no number to be checked.
#
# Output:
#   +551187654321 true false
#   +5511987654321 true true
#   +22961234567 false false
#   +5215512345678 false false
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock libphonenumber-js@1.13.16
cat > look.mjs <<'CODE'
import { parsePhoneNumberFromString as usual } from 'libphonenumber-js';
import { parsePhoneNumberFromString as max } from 'libphonenumber-js/max';

const seen = ['+551187654321', '+5511987654321', '+22961234567', '+5215512345678'].map((number) => {
  const row = [number, usual(number).isValid(), max(number).isValid()];
  console.log(...row);
  return row.join();
});
const known = [
  '+551187654321,true,false', '+5511987654321,true,true',
  '+22961234567,false,false', '+5215512345678,false,false',
];
if (seen.join(';') !== known.join(';')) throw new Error('this has changed');
CODE
node look.mjs
