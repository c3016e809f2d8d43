#!/usr/bin/env bash
# httpx-sse 0.4.3 (Python, PyPI): what becomes of the first event of a stream that begins with a byte order mark?
#
# The standard of server-sent events lets a stream begin with one, and has readers skip it.
#
# Seen: the field's name is read with the mark in it, so the first event is lost, and the next ones come.
#
# For a bot: a model's or a tool server's stream behind a gateway that puts the mark there loses its first piece: the
# first word of an answer, or the answer of an MCP server, which has one event.
#
# Output:
#   ['Good', 'morning']
#   ['morning']
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 httpx-sse==0.4.3
"$dir/venv/bin/python" - <<'CODE'
import httpx
import httpx_sse


def events(stream):
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    client = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    with httpx_sse.connect_sse(client, "GET", "http://model.example/") as source:
        return [event.data for event in source.iter_sse()]


stream = b"data: Good\n\ndata: morning\n\n"
seen = (events(stream), events(b"\xef\xbb\xbf" + stream))
print(*seen, sep="\n")
assert seen == (["Good", "morning"], ["morning"]), "this has changed"
CODE
