// Drives the emulator of Slack with Slack's own SDKs for Node, and prints what they answer.
import { createRequire } from "node:module";

const require = createRequire(process.argv[2]);
const { WebClient } = require("@slack/web-api");
const { IncomingWebhook } = require("@slack/webhook");
const [origin, token, hook] = process.argv.slice(3);
const client = new WebClient(token, { slackApiUrl: `${origin}/api/`, retryConfig: { retries: 0 } });

const who = await client.auth.test();
const sent = await client.chat.postMessage({
  channel: "C0ALERTS01",
  text: "fallback",
  blocks: [{ type: "section", text: { type: "mrkdwn", text: "*hello* from Node" } }],
});
const file = await client.filesUploadV2({
  channel_id: "C0ALERTS01",
  filename: "notes.txt",
  file: Buffer.from("some notes"),
  initial_comment: "here",
});
const wrong = await client.chat
  .postMessage({ channel: "C0ALERTS01", text: "x", blocks: [{ type: "nonsense" }] })
  .catch((error) => error.data.error);
const hooked = await new IncomingWebhook(hook).send({ text: "by webhook" });
const gone = await new IncomingWebhook(`${origin}/services/T/B/X`).send("x").catch((error) => error);
console.log(
  JSON.stringify({
    bot: who.bot_id,
    channel: sent.channel,
    ts: sent.ts,
    file: file.files[0].files[0].name,
    wrong,
    hooked: hooked.text,
    gone: [gone.statusCode, gone.body],
  }),
);
