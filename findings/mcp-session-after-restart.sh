#!/usr/bin/env bash
# @modelcontextprotocol/server-everything 2026.8.31 (npm) and mcp 2.3.0 (PyPI): what does an MCP server over streamable
# HTTP say of a session that it does not know, as after its restart?
#
# The protocol: 404, and a client that gets it begins a new session.
#
# Seen: the Python SDK answers 404. The protocol's own reference server answers 400, with an error that names no request.
#
# For a bot: a client that keeps to the letter begins no new session, and waits for an answer to its request, which this is
# none of. Its tools are broken until it is started anew itself. A 400 within a session has to count as its end.
#
# Output:
#   server-everything: 400 {"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}
#   mcp: 404 {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Session not found"}}
set -euo pipefail
dir=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock @modelcontextprotocol/server-everything@2026.8.31
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check mcp==2.3.0
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
one=$(free)
other=$(free)
PORT=$one node node_modules/@modelcontextprotocol/server-everything/dist/index.js streamableHttp >/dev/null 2>&1 &
servers+=($!)
venv/bin/python -c "
from mcp.server.mcpserver import MCPServer
MCPServer('shop').run('streamable-http', host='127.0.0.1', port=$other)" >/dev/null 2>&1 &
servers+=($!)
python3 - "$one" "$other" <<'CODE'
import sys
import time
import urllib.error
import urllib.request

HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-session-id": "7c0d6a1e-2b1f-4c53-9a6e-5f0c8d1b2a34",
}


def ask(port):
    body = b'{"jsonrpc":"2.0","id":7,"method":"tools/list"}'
    request = urllib.request.Request(f"http://127.0.0.1:{port}/mcp", body, HEADERS)
    for _ in range(150):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return f"{answer.status} {answer.read().decode()}"
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit("the server does not listen")


seen = [f"server-everything: {ask(sys.argv[1])}", f"mcp: {ask(sys.argv[2])}"]
print(*seen, sep="\n")
known = [
    'server-everything: 400 {"jsonrpc":"2.0","error":'
    '{"code":-32000,"message":"Bad Request: No valid session ID provided"}}',
    'mcp: 404 {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Session not found"}}',
]
assert seen == known, "this has changed"
CODE
