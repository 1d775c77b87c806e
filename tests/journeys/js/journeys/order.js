import assert from 'node:assert/strict';

import { assertIncreasing, essence, texts } from '../checks.js';

const MANY = 100;

/** With many messages on the way nobody's overtake each other, and all agree on one order. */
export default async function order(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const conversation = await tom.start([jerry.id, spike.id]);
  const heard = spike.listen('message');
  await spike.open(conversation);

  const [toms, jerrys] = await Promise.all([
    tom.sayAll(conversation, numbered('tom')),
    jerry.sayAll(await jerry.open(conversation), numbered('jerry')),
  ]);
  for (const sent of [toms, jerrys]) assertIncreasing(sent.map(message => message.timestamp.getTime()));

  const received = (await heard.take(2 * MANY)).map(([message]) => message);
  assertIncreasing(received.map(message => message.timestamp.getTime()));
  for (const [sender, sent] of [
    [tom, toms],
    [jerry, jerrys],
  ]) {
    const from = received.filter(message => message.from === sender.id);
    assert.deepEqual(texts(from), texts(sent));
    assert.deepEqual(from.map(essence), sent.map(essence));
  }

  const view = await spike.open(conversation);
  const newest = await view.queryMessages({ limit: MANY });
  assert.deepEqual(newest.map(essence), received.slice(-MANY).map(essence));
}

function numbered(name) {
  return Array.from({ length: MANY }, (_, index) => `${name} ${index}`);
}
