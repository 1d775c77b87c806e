import assert from 'node:assert/strict';

import { ids } from '../checks.js';

const COUNT = 260;

/** Paging back through a long history meets every message once, whatever the page size. */
export default async function pages(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  const sent = await tom.sayAll(
    conversation,
    Array.from({ length: COUNT }, (_, index) => `${index}`),
  );
  const view = await jerry.open(conversation);

  assert.deepEqual(await sizes(view, sent, { limit: 100 }), [100, 100, 60]);
  // 65 divides 260: only an empty page tells the end.
  assert.deepEqual(await sizes(view, sent, { limit: 65 }), [65, 65, 65, 65, 0]);
  assert.deepEqual(await sizes(view, sent, {}), [...Array(13).fill(20), 0]);

  const { id: beforeMessageId, timestamp: beforeTime } = sent[150];
  assert.deepEqual(
    await sizes(view, sent.slice(0, 150), { beforeTime, beforeMessageId, limit: 100 }),
    [100, 50],
  );
}

/** Reads to the end, checks that it was `expected`, and answers the sizes of the pages. */
async function sizes(conversation, expected, options) {
  const iterator = conversation.createMessagesIterator(options);
  const read = [];
  let page;
  do {
    page = await iterator.next();
    read.unshift(page.value);
  } while (!page.done);
  assert.deepEqual(ids(read.flat()), ids(expected));
  return read.map(messages => messages.length).reverse();
}
