import assert from 'node:assert/strict';

import { essence } from '../checks.js';

/** An app keeps conversations and messages on the device, and takes them up again from what it kept. */
export default async function serialize(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id], { name: 'kept', attr: { color: 'red' } });
  await keepsConversation(tom, conversation);
  for (const message of messages(tom.sdk, jerry.id)) await keepsMessage(tom, conversation, message);
}

async function keepsConversation(tom, conversation) {
  const kept = JSON.stringify(conversation.toFullJSON());
  const again = await tom.client.parseConversation(JSON.parse(kept));
  assert.equal(again.id, conversation.id);
  assert.equal(again.name, 'kept');
  const seen = ({ id, name, members, creator, attr }) => ({ id, name, members, creator, attr });
  assert.deepEqual(seen(again.toJSON()), seen(conversation.toJSON()));
}

function messages({ TextMessage, BinaryMessage, Message }, somebody) {
  const text = new TextMessage('words').setAttributes({ deep: { a: [1] } }).setMentionList([somebody]);
  return [text, new Message('plain'), new BinaryMessage(Uint8Array.from([0, 255]).buffer)];
}

async function keepsMessage(tom, conversation, message) {
  await conversation.send(message);
  const kept = JSON.stringify(message.toFullJSON());
  const again = await tom.client.parseMessage(JSON.parse(kept));
  assert.equal(again.constructor, message.constructor);
  assert.deepEqual(essence(again), essence(message));
  assert.deepEqual(again.toJSON(), message.toJSON());
  assert.deepEqual(again.getMentionList(), message.getMentionList());
  if (message instanceof tom.sdk.TypedMessage) {
    const seen = ({ type, attributes, summary }) => ({ type, attributes, summary });
    assert.deepEqual(seen(again), seen(message));
    assert.equal(message.summary, 'words');
  }
  if (message instanceof tom.sdk.BinaryMessage) {
    assert.deepEqual(new Uint8Array(again.buffer), Uint8Array.from([0, 255]));
  }
}
