// MQTT.js goes through what a broker does for a client, and prints one line of JSON a step.
// The only argument is JSON: {url, topic, version, options}, options being those of mqtt.connectAsync.
"use strict";

const fs = require("node:fs");
const mqtt = require("mqtt");

const asked = JSON.parse(process.argv[2]);
const say = (step, value) => console.log(JSON.stringify({ step, value }));

function optionsFor(name, more) {
  const options = { reconnectPeriod: 0, connectTimeout: 10000, ...asked.options, ...more };
  for (const file of ["ca", "cert", "key"]) {
    if (options[file]) options[file] = fs.readFileSync(options[file]);
  }
  options.clientId = `${asked.topic}${name}`;
  options.protocolVersion = asked.version;
  if (asked.version === 3) options.protocolId = "MQIsdp";
  return options;
}

async function connect(name, more = {}) {
  const client = mqtt.connect(asked.url, optionsFor(name, more));
  const waiting = [];
  const arrived = [];
  client.on("message", (topic, payload, packet) => {
    const message = { topic, payload: payload.toString("latin1"), qos: packet.qos, retain: packet.retain };
    message.properties = packet.properties;
    if (waiting.length > 0) waiting.shift()(message);
    else arrived.push(message);
  });
  client.next = () =>
    arrived.length > 0 ? Promise.resolve(arrived.shift()) : new Promise((resolve) => waiting.push(resolve));
  client.connack = await new Promise((resolve, reject) => {
    client.once("connect", resolve);
    client.once("error", reject);
    client.once("close", () => reject(new Error("closed")));
  });
  return client;
}

async function main() {
  const { topic } = asked;
  const client = await connect("a", { will: { topic: `${topic}/will`, payload: "gone", qos: 1 } });
  say("connected", client.connack.returnCode ?? client.connack.reasonCode);

  await client.subscribeAsync(`${topic}/m/#`, { qos: 2 });
  for (const qos of [0, 1, 2]) {
    const options = { qos };
    if (asked.version === 5) {
      options.properties = { contentType: "text/plain", userProperties: { a: ["1", "2"] }, responseTopic: "r" };
      options.properties.correlationData = Buffer.from("c");
    }
    await client.publishAsync(`${topic}/m/${qos}`, "payload", options);
    say("message", await client.next());
  }

  await client.publishAsync(`${topic}/r`, "kept", { qos: 1, retain: true });
  await client.subscribeAsync(`${topic}/r`, { qos: 1 });
  say("retained", await client.next());
  await client.publishAsync(`${topic}/r`, "", { qos: 1, retain: true });
  await client.next();

  const big = "b".repeat(1 << 20);
  await client.publishAsync(`${topic}/m/big`, big, { qos: 2 });
  say("big", (await client.next()).payload === big);

  const watcher = await connect("b");
  await watcher.subscribeAsync(`${topic}/will`, { qos: 1 });
  client.stream.destroy();
  say("will", await watcher.next());

  const lasting = { clean: false };
  if (asked.version === 5) lasting.properties = { sessionExpiryInterval: 300 };
  const before = await connect("c", lasting);
  await before.subscribeAsync(`${topic}/later`, { qos: 1 });
  await before.endAsync();
  await watcher.publishAsync(`${topic}/later`, "waited", { qos: 1 });
  // A new client object has no handlers yet when the queue arrives: connect() sets them before it sends CONNECT.
  const after = await connect("c", lasting);
  say("later", await after.next());
  await after.endAsync();
  await watcher.endAsync();
}

main().then(
  () => process.exit(0),
  (error) => {
    say("error", String(error));
    process.exit(1);
  },
);
