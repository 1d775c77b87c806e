import assert from 'node:assert/strict';

import { texts } from '../checks.js';

/** Who logs out and in again on the same device finds what was said meanwhile. */
export default async function reopen(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  await tom.say(conversation, 'one');
  await jerry.client.close();
  await tom.say(conversation, 'two');

  const again = await jerry.device.login(jerry.id);
  assert.notEqual(again.client, jerry.client);
  const [[view]] = await again.listen('unreadmessagescountupdate').next();
  assert.deepEqual([view.id, view.unreadMessagesCount], [conversation.id, 2]);
  assert.deepEqual(texts(await view.queryMessages()), ['one', 'two']);

  const heard = tom.listen('message');
  const answer = await again.say(view, 'back');
  assert.equal((await heard.next())[0].id, answer.id);
}
