#!/usr/bin/env bash
# standardwebhooks 1.1.1 (npm): does it verify what a handler gets from the fetch API?
#
# Where handlers are given a Request (Workers, Deno, Bun, Next.js), the headers are a Headers object, and the bytes of
# the body a Uint8Array.
#
# Seen: a genuine webhook is refused with 'Missing required headers' if its Headers are handed on as they are, and
# with a plain Error, not a WebhookVerificationError, if the body is a Uint8Array. As an object and a text both are
# verified.
#
# For a bot: its own handler answers every signed turn with an error, as if the secret were wrong. Object.fromEntries
# and request.text() are what it takes.
#
# Output:
#   WebhookVerificationError: Missing required headers
#   Error: Expected payload to be of type string or Buffer.
#   {"text":"hello"}
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock standardwebhooks@1.1.1
cat > look.mjs <<'CODE'
import { Webhook } from 'standardwebhooks';

const webhook = new Webhook('whsec_' + Buffer.alloc(32, 7).toString('base64'));
const [id, at, body] = ['msg_1', new Date(), '{"text":"hello"}'];
const headers = {
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(at / 1000)),
  'webhook-signature': webhook.sign(id, at, body),
};
const look = (payload, given) => {
  try {
    return JSON.stringify(webhook.verify(payload, given));
  } catch (error) {
    return error.constructor.name + ': ' + error.message;
  }
};
const request = new Request('http://bot.example/', { method: 'POST', headers, body });
const seen = [
  look(body, request.headers),
  look(new Uint8Array(await request.arrayBuffer()), headers),
  look(body, Object.fromEntries(request.headers)),
];
console.log(seen.join('\n'));
const known = [
  'WebhookVerificationError: Missing required headers',
  'Error: Expected payload to be of type string or Buffer.',
  body,
];
if (seen.join() !== known.join()) throw new Error('this has changed');
CODE
node look.mjs
