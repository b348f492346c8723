#!/usr/bin/env node
// An independent receiver: node-hl7-server (npm install node-hl7-server). It does what python_hl7_server.py does.
//
//     NODE_PATH=node_modules node tests/peers/node_hl7_server.js [--ca FILE --cert FILE --key FILE]
const { readFileSync } = require("node:fs");
const { parseArgs } = require("node:util");
const { Server } = require("node-hl7-server");

// The separator itself is MSH-1.
const fields = (segment) => {
  const [name, ...rest] = segment.split("|");
  return name === "MSH" ? [name, "|", ...rest] : [name, ...rest];
};
const text = { type: "string" };
const { values } = parseArgs({ options: { ca: text, cert: text, key: text } });
const file = (name) => readFileSync(values[name]);
const tls = values.cert ? { ca: file("ca"), cert: file("cert"), key: file("key"), requestCert: true } : undefined;
const server = new Server({ bindAddress: "127.0.0.1", tls });
// node-hl7-server 2.5.0 hands on all messages of a connection again with each that comes, and acknowledges them again.
const seen = new Set();
const inbound = server.createInbound({ port: 0 }, async (request, response) => {
  const message = request.getMessage();
  await response.sendResponse("AA");
  const control_id = message.get("MSH.10").toString();
  if (seen.has(control_id)) return;
  seen.add(control_id);
  const segments = message.toString().split("\r").filter((it) => it);
  console.log(
    JSON.stringify({
      control_id,
      event: `${message.get("MSH.9.1")}^${message.get("MSH.9.2")}`,
      segments: segments.map(fields),
    }),
  );
});
inbound.on("listen", () => console.error(`listening on ${inbound._socket.address().port}`));
