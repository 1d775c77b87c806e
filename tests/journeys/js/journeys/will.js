import assert from 'node:assert/strict';

import { essence, ids } from '../checks.js';

/** Who vanishes has a last word, who logs out does not. */
export default async function will(world) {
  const [jerry] = await world.people('jerry');
  const heard = jerry.listen('message');
  const tom = await world.login(world.id('tom'));
  const conversation = await tom.start([jerry.id]);
  const view = await jerry.open(conversation);

  await tom.say(conversation, 'replaced by the next', { will: true });
  const last = await tom.say(conversation, 'gone', { will: true });
  assert.ok(last.id);
  const said = await tom.say(conversation, 'still here');
  assert.deepEqual(ids((await heard.take(1)).map(([message]) => message)), [said.id]);

  tom.device.realtime.pause();
  const [received] = (await heard.take(2))[1];
  assert.deepEqual(essence(received), essence(last));
  const laptop = await world.login(jerry.id);
  const [[counted]] = await laptop.listen('unreadmessagescountupdate').next();
  assert.equal(counted.unreadMessagesCount, 1);
  assert.deepEqual(ids(await view.queryMessages()), [said.id]);

  const back = tom.listen('reconnect');
  tom.device.realtime.resume();
  await back.next();
  await tom.say(conversation, 'never said', { will: true });
  await tom.client.close();
  const spike = await world.login(world.id('spike'));
  const next = await spike.say(await spike.start([jerry.id]), 'anybody there?');
  assert.deepEqual(ids((await heard.take(3)).map(([message]) => message)), [said.id, last.id, next.id]);
}
