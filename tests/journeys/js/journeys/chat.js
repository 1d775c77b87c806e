import assert from 'node:assert/strict';

import { essence, texts } from '../checks.js';

/** Every kind of message arrives as it was sent, with the id and time its sender was told, and stays so. */
export default async function chat(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  await talk(tom, jerry);
}

/** Sends one message of each kind from `tom` to `jerry` and compares what both hold. */
export async function talk(tom, jerry) {
  const conversation = await tom.start([jerry.id]);
  // The SDK may hand out the first messages of a conversation it has yet to look up in another order.
  await jerry.open(conversation);
  const heard = jerry.listen('message');
  const sent = messages(tom.sdk, jerry.id);
  for (const message of sent) await conversation.send(message);
  const received = (await heard.take(sent.length)).map(([message]) => message);

  const views = [received, await history(tom, conversation), await history(jerry, conversation)];
  for (const view of views) {
    assert.deepEqual(view.map(whole), sent.map(whole));
    assert.deepEqual(
      view.map(message => message.constructor.name),
      sent.map(message => message.constructor.name),
    );
  }
  assert.ok(sent.every(message => message.status === tom.sdk.MessageStatus.SENT));
  assert.deepEqual(texts(received.filter(message => message.mentioned)), ['look here', 'all of you']);
}

function messages({ TextMessage, Message, BinaryMessage }, somebody) {
  return [
    new TextMessage('hello'),
    new TextMessage('你好，世界 👋\n\u0000 "quoted"').setAttributes({ deep: [{ a: 1.5 }, '值'] }),
    new TextMessage('look here').setMentionList([somebody]),
    new TextMessage('all of you').mentionAll(),
    new Message('no JSON at all'),
    new Message({ json: true, without: 'a type' }),
    new Message(''),
    new BinaryMessage(Uint8Array.from({ length: 256 }, (_, index) => index).buffer),
  ];
}

function whole(message) {
  const payload = message.getPayload();
  const content = payload instanceof ArrayBuffer ? Buffer.from(payload).toString('hex') : payload;
  return { ...essence(message), content, mentions: message.mentionList, all: Boolean(message.mentionedAll) };
}

async function history(person, conversation) {
  return (await person.open(conversation)).queryMessages();
}
