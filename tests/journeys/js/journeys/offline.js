import assert from 'node:assert/strict';

import { texts } from '../checks.js';

/** A device that loses the network is told, when it is back, only what it missed. */
export default async function offline(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  const heard = jerry.listen('message');
  await tom.say(conversation, 'seen');
  const [, view] = await heard.next();
  await view.read();

  const gone = jerry.listen('offline');
  jerry.device.realtime.pause();
  await gone.next();
  for (const words of ['missed', 'missed too']) await tom.say(conversation, words);

  const updates = jerry.listen('unreadmessagescountupdate');
  const back = jerry.listen('reconnect');
  jerry.device.realtime.resume();
  await back.next();
  await updates.until(() => view.unreadMessagesCount === 2);
  assert.equal(view.lastMessage.text, 'missed too');
  assert.deepEqual(texts(await view.queryMessages({ limit: 2 })), ['missed', 'missed too']);

  const last = await tom.say(conversation, 'live again');
  await heard.find(message => message.id === last.id);
  assert.equal(view.unreadMessagesCount, 3);
}
