#!/usr/bin/env node
// An independent sender: node-hl7-client (npm install node-hl7-client). It does what python_hl7_client.py does.
//
//     NODE_PATH=node_modules node tests/peers/node_hl7_client.js --port N --ca FILE --cert FILE --key FILE MESSAGE...
const { readFileSync } = require("node:fs");
const { parseArgs } = require("node:util");
const { Client, Message } = require("node-hl7-client");

const text = { type: "string" };
const options = { port: text, ca: text, cert: text, key: text };
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const file = (name) => readFileSync(values[name]);
const tls = { ca: file("ca"), cert: file("cert"), key: file("key"), servername: "localhost" };
const client = new Client({ host: "127.0.0.1", tls });

let answered;
const connection = client.createConnection({ port: Number(values.port) }, (answer) => answered(answer.getMessage()));

async function send() {
  for (const name of positionals) {
    const answer = new Promise((resolve) => (answered = resolve));
    await connection.sendMessage(new Message({ text: readFileSync(name, "utf-8") }));
    const message = await answer;
    console.log(
      JSON.stringify({ code: message.get("MSA.1").toString(), control_id: message.get("MSA.2").toString() }),
    );
  }
}

send().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
