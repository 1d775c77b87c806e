import assert from 'node:assert/strict';

import { Recorder } from '../recorder.js';

/** A sender who asks for receipts learns when a message was delivered and when it was read. */
export default async function receipts(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  const delivered = new Recorder(conversation, 'lastdeliveredatupdate');
  const read = new Recorder(conversation, 'lastreadatupdate');

  const message = await tom.say(conversation, 'are you there?', { receipt: true });
  await delivered.until(() => message.status === tom.sdk.MessageStatus.DELIVERED);
  assert.ok(message.deliveredAt >= message.timestamp);
  assert.ok(conversation.lastDeliveredAt >= message.timestamp);

  await (await jerry.open(conversation)).read();
  await read.next();
  assert.ok(conversation.lastReadAt >= message.timestamp);

  const [logged] = await conversation.queryMessages();
  assert.deepEqual(logged.deliveredAt, message.deliveredAt);

  await marks(world, tom, conversation, message);
}

/** A device that comes later asks how far the others are. */
async function marks(world, tom, conversation, message) {
  const laptop = await world.login(tom.id);
  const view = await laptop.open(conversation);
  await view.fetchReceiptTimestamps();
  assert.deepEqual(view.lastDeliveredAt, message.timestamp);
  assert.deepEqual(view.lastReadAt, message.timestamp);
}
