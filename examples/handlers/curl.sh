#!/bin/sh
# sh examples/handlers/curl.sh    then, beside it: HANDLER_URL=http://127.0.0.1:9003 cargo run
# A handler that answers later: nc takes a turn in and promises an answer (202), curl posts it when it is there. The dots
# stay on meanwhile. It checks no signature: for a server that others can reach, take one of its neighbours.
port="${PORT:-9003}"

# The first text field of this name in the JSON on standard input.
field() {
  sed -n "s/.*\"$1\":\"\([^\"\\\\]*\).*/\1/p"
}

while true; do
  turn=$(printf 'HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n' | nc -N -l 127.0.0.1 "$port")
  callback=$(printf '%s' "$turn" | sed -n 's/.*"callback":{\([^}]*\)}.*/\1/p')
  url=$(printf '%s' "$callback" | field url)
  token=$(printf '%s' "$callback" | field token)
  [ -n "$url" ] || continue
  (
    sleep 3 # somebody works on it
    curl -s -X POST "$url" -H "authorization: Bearer $token" -H 'content-type: application/json' \
      -d '{"text": "That took me three seconds."}'
  ) &
done
