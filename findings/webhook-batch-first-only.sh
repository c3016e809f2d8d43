#!/usr/bin/env bash
# pywa 4.5.0 and heyoo 0.1.2 (Python, PyPI), whatsapp-api-js 6.3.0 (npm): what of a webhook of Meta's that holds
# several messages reaches the bot?
#
# Meta joins up to 1,000 updates in one delivery, in several entries, changes and messages; as a rule there is one.
#
# Seen: of four messages in two entries each of the three hands over the first, answers as if all were well, and says
# nothing of the others. Meta does not bring them again after a 200.
#
# For a bot: under load, or after an outage, customers are not answered, and no log says so. All three levels are
# lists.
#
# Output:
#   pywa: ['message 1'] ('ok', 200) heyoo: message 1
#   whatsapp-api-js: [ 'message 1' ]
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pywa==4.5.0 heyoo==0.1.2
npm install --silent --no-audit --no-fund --no-package-lock whatsapp-api-js@6.3.0
cat > look.py <<'CODE'
import json, logging, time

import heyoo
import pywa

logging.disable(logging.CRITICAL)


def change(*numbers):
    person = {"from": "15550100001", "from_user_id": "US.1000000000000001", "timestamp": str(int(time.time()))}
    messages = [{**person, "id": f"wamid.{n}", "type": "text", "text": {"body": f"message {n}"}} for n in numbers]
    contacts = [{"wa_id": "15550100001", "user_id": "US.1000000000000001", "profile": {"name": "Ada"}}]
    metadata = {"display_phone_number": "15550100009", "phone_number_id": "109900000000001"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "contacts": contacts, "messages": messages}
    return {"field": "messages", "value": value}


entries = [{"id": "1", "changes": [change(1, 2), change(3)]}, {"id": "1", "changes": [change(4)]}]
update = {"object": "whatsapp_business_account", "entry": entries}
with open("update.json", "w") as file:
    json.dump(update, file)
client = pywa.WhatsApp(phone_id="109900000000001", token="t", server=None, verify_token="v", validate_updates=False)
seen = []
client.on_message(lambda _, message: seen.append(message.text))
answer = client.webhook_update_handler(json.dumps(update).encode(), None)
time.sleep(1)
of_heyoo = heyoo.WhatsApp("t", "109900000000001").get_message(update)
print("pywa:", seen, answer, "heyoo:", of_heyoo)
assert (seen, answer[1], of_heyoo) == (["message 1"], 200, "message 1"), "this has changed"
CODE
venv/bin/python look.py
cat > look.mjs <<'CODE'
import { readFileSync } from 'node:fs';
import { WhatsAppAPI } from 'whatsapp-api-js';

const api = new WhatsAppAPI({ token: 't', v: 'v23.0', secure: false });
const seen = [];
api.on.message = ({ message }) => { seen.push(message.text.body); };
await api.post(JSON.parse(readFileSync('update.json', 'utf8')));
await new Promise((resolve) => setTimeout(resolve, 200));
console.log('whatsapp-api-js:', seen);
if (seen.join() !== 'message 1') throw new Error('this has changed');
CODE
node look.mjs
