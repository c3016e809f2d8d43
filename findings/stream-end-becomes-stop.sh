#!/usr/bin/env bash
# litellm 1.108.7 (Python, PyPI): what becomes of a model's stream that ends in order, and without a finish reason?
#
# A gateway in front of a model that breaks off may end its own answer in order. A client knows the whole answer from
# half of one by `finish_reason` alone.
#
# Seen: the last piece that litellm hands on says "stop", although nobody said so. A connection that is torn raises an
# error, as it should.
#
# For a bot: behind such a gateway half an answer looks whole, and no client can tell.
#
# Output:
#   torn: ['On Tuesday ', 'we are op'] raises
#   ended in order: ['On Tuesday ', 'we are op'] stop
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.108.7
LITELLM_LOCAL_MODEL_COST_MAP=True "$dir/venv/bin/python" - 2>/dev/null <<'CODE' | grep -E '^(torn|ended in order): |has changed' | tee "$dir/seen"
import http.server
import json
import threading

import litellm

PIECES = ("On Tuesday ", "we are op")


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    in_order = False

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for words in PIECES:
            choice = {"index": 0, "delta": {"content": words}, "finish_reason": None}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            event = f"data: {json.dumps(chunk)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        if Model.in_order:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True


def heard(port):
    words, reason = [], None
    try:
        for chunk in litellm.completion(
            model="openai/m",
            api_base=f"http://127.0.0.1:{port}/v1",
            api_key="none",
            messages=[{"role": "user", "content": "When are you open?"}],
            stream=True,
            num_retries=0,
        ):
            choice = chunk.choices[0]
            if choice.delta.content:
                words.append(choice.delta.content)
            reason = choice.finish_reason or reason
    except Exception:
        reason = "raises"
    return words, reason


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
for name, in_order in (("torn", False), ("ended in order", True)):
    Model.in_order = in_order
    print(f"{name}:", *heard(server.server_address[1]), flush=True)
CODE
diff "$dir/seen" - <<'SEEN' || { echo "this has changed"; exit 1; }
torn: ['On Tuesday ', 'we are op'] raises
ended in order: ['On Tuesday ', 'we are op'] stop
SEEN
