// node examples/handlers/typescript.ts    then, beside it: HANDLER_URL=http://127.0.0.1:9002 cargo run
// A handler in TypeScript, Node only. It answers as a stream: dots, a breath between looking and finding, the reply.
// Its types are comments, so that every Node runs it as it is.
const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");

const secret = Buffer.from((process.env.HANDLER_SECRET ?? "").replace("whsec_", ""), "base64");

/** @type {(headers: import("node:http").IncomingHttpHeaders, body: string) => boolean} */
function isAuthentic(headers, body) {
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const ours = Buffer.from("v1," + createHmac("sha256", secret).update(signed).digest("base64"));
  const theirs = Buffer.from(String(headers["webhook-signature"]));
  return secret.length === 0 || (ours.length === theirs.length && timingSafeEqual(ours, theirs));
}

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray()).toString();
  if (!isAuthentic(request.headers, body)) return response.writeHead(401).end();
  response.writeHead(200, { "content-type": "text/event-stream" });
  await sleep(1500);
  response.write("event: beat\n\n"); // "I have looked", where the provider can show it
  await sleep(1500);
  const reply = { text: `I looked for "${JSON.parse(body).text}" and found it.` };
  response.end(`event: reply\ndata: ${JSON.stringify(reply)}\n\n`);
}).listen(Number(process.env.PORT ?? 9002), "127.0.0.1");
