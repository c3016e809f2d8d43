# python3 examples/handlers/python.py    then, beside it: HANDLER_URL=http://127.0.0.1:9001 cargo run
"""A handler in Python, standard library only: says back what the customer said, and how long the talk has been."""
import base64, hmac, json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64decode(os.environ.get("HANDLER_SECRET", "").removeprefix("whsec_"))


def is_authentic(headers, body):
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    ours = "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    return hmac.compare_digest(ours, headers.get("webhook-signature", "")) if SECRET else True


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not is_authentic(self.headers, body):
            return self.send_error(401)
        turn = json.loads(body)
        reply = {"text": f"You said: {turn['text']} ({len(turn['history'])} things were said before)"}
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9001"))), Handler).serve_forever()
