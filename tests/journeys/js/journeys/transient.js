import assert from 'node:assert/strict';

import { ids } from '../checks.js';

/** A transient message reaches who is online and leaves no trace. */
export default async function transient(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  await jerry.open(conversation);
  const heard = jerry.listen('message');

  const typing = await tom.say(conversation, 'typing…', { transient: true });
  const said = await tom.say(conversation, 'here');
  const received = (await heard.take(2)).map(([message]) => message);
  assert.deepEqual(ids(received), ids([typing, said]));

  assert.deepEqual(ids(await conversation.queryMessages()), [said.id]);
  const laptop = await world.login(jerry.id);
  const [[view]] = await laptop.listen('unreadmessagescountupdate').next();
  assert.equal(view.unreadMessagesCount, 1);
}
