// Drives the emulator of Feishu with Feishu's own SDK for Node, and prints what it answers.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2]);
const lark = require("@larksuiteoapi/node-sdk");
const [origin, appId, appSecret, png, key, token, given] = process.argv.slice(3);
const quiet = { error() {}, warn() {}, info() {}, debug() {}, trace() {} };
const client = new lark.Client({ appId, appSecret, domain: origin, logger: quiet });
const to = (receive_id_type, receive_id, msg_type, content) =>
  client.im.v1.message.create({
    params: { receive_id_type },
    data: { receive_id, msg_type, content: JSON.stringify(content) },
  });

const text = await to("chat_id", "oc_sandbox_ops", "text", { text: "from Node" });
const image = await client.im.v1.image.create({ data: { image_type: "message", image: readFileSync(png) } });
const card = await to("open_id", "ou_sandbox_zhangsan", "interactive", {
  schema: "2.0",
  body: { elements: [{ tag: "img", img_key: image.image_key, alt: { tag: "plain_text", content: "" } }] },
});
const wrong = await to("chat_id", "oc_nobody", "text", { text: "x" }).catch((error) => error.response.data.code);
const heard = [];
const dispatcher = new lark.EventDispatcher({ encryptKey: key, verificationToken: token, logger: quiet }).register({
  "im.message.receive_v1": (data) => {
    heard.push(data.message.content);
  },
});
const asked = JSON.parse(given);
const body = JSON.parse(asked.body);
await dispatcher.invoke(Object.assign(Object.create({ headers: asked.headers }), body));
console.log(JSON.stringify({ text: text.code, chat: text.data.chat_id, card: card.code, wrong, heard }));
