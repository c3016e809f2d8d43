#!/usr/bin/env bash
# mcp 1.30.0 and 2.3.0 (the Python SDK of the Model Context Protocol, PyPI): what does a model learn when a tool raises?
#
# The tool says what would help: raise ValueError("no order 17; there are 18 and 19"). The result's text is for the model,
# so that it can mend its call.
#
# Seen: 1.30.0 gives the text on. 2.3.0 leaves it out, and gives the tool's name alone. The text of the SDK's own ToolError
# is given on by both.
#
# For a bot: after an upgrade of the server's SDK a model that used to try order 18 next gives up, or makes something up.
# Tools should raise ToolError for what a model may know.
#
# Output:
#   1.30.0 ValueError: Error executing tool find: no order 17; there are 18 and 19
#   1.30.0 ToolError: Error executing tool find_too: no order 17; there are 18 and 19
#   2.3.0 ValueError: Error executing tool find
#   2.3.0 ToolError: Error executing tool find_too: no order 17; there are 18 and 19
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/server.py" <<'CODE'
try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError:
    from mcp.server.fastmcp import FastMCP as MCPServer
    from mcp.server.fastmcp.exceptions import ToolError

server = MCPServer("shop")


@server.tool()
def find(order: int) -> str:
    raise ValueError("no order 17; there are 18 and 19")


@server.tool()
def find_too(order: int) -> str:
    raise ToolError("no order 17; there are 18 and 19")


server.run()
CODE
cat > "$dir/look.py" <<'CODE'
import json
import subprocess
import sys

python, server, version = sys.argv[1:]
process = subprocess.Popen(
    [python, server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
)


def say(message):
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def ask(number, method, params):
    say({"id": number, "method": method, "params": params})
    while (answer := json.loads(process.stdout.readline())).get("id") != number:
        pass
    return answer["result"]


ours = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "look", "version": "1"}}
ask(1, "initialize", ours)
say({"method": "notifications/initialized"})
for number, (tool, error) in enumerate([("find", "ValueError"), ("find_too", "ToolError")], 2):
    result = ask(number, "tools/call", {"name": tool, "arguments": {"order": 17}})
    assert result["isError"] is True
    print(f"{version} {error}: {result['content'][0]['text']}")
process.stdin.close()
process.wait(10)
CODE
for version in 1.30.0 2.3.0; do
    python3 -m venv "$dir/$version"
    "$dir/$version/bin/pip" install --quiet --disable-pip-version-check "mcp==$version"
    timeout 60 python3 "$dir/look.py" "$dir/$version/bin/python" "$dir/server.py" "$version"
done | tee "$dir/seen"
diff "$dir/seen" - <<'KNOWN' || { echo 'this has changed' >&2; exit 1; }
1.30.0 ValueError: Error executing tool find: no order 17; there are 18 and 19
1.30.0 ToolError: Error executing tool find_too: no order 17; there are 18 and 19
2.3.0 ValueError: Error executing tool find
2.3.0 ToolError: Error executing tool find_too: no order 17; there are 18 and 19
KNOWN
