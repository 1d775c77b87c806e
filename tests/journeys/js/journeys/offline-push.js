import assert from 'node:assert/strict';

import { ids } from '../checks.js';
import { Recorder } from '../recorder.js';

/** In the older mode a device gets the messages it missed, not their count, and none of them twice. */
export default async function offlinePush(world) {
  for (const noBinary of [false, true]) await missed(world, { pushOfflineMessages: true, noBinary });
}

async function missed(world, options) {
  const tom = await world.login(world.id('tom'));
  const jerryId = world.id('jerry');
  const conversation = await tom.start([jerryId]);
  const receipts = new Recorder(conversation, 'lastdeliveredatupdate');
  const sent = [];
  for (const words of ['one', 'two', 'three'])
    sent.push(await tom.say(conversation, words, { receipt: true }));

  const phone = await world.device(options).login(jerryId);
  const received = (await phone.listen('message').take(3)).map(([message]) => message);
  // In any order: the SDK handed them out while it looked the conversation up.
  assert.deepEqual(ids(received).sort(), ids(sent).sort());
  await receipts.until(() => sent.every(message => message.deliveredAt));
  await phone.client.close();

  const last = await tom.say(conversation, 'four');
  const laptop = await world.device(options).login(jerryId);
  const [next] = await laptop.listen('message').next();
  assert.equal(next.id, last.id);
}
