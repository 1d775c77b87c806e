import assert from 'node:assert/strict';

import { ids } from '../checks.js';

const COUNT = 25;

/** History in both directions, with every bound; the list is always in order of time. */
export default async function history(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  const sent = await Promise.all(
    Array.from({ length: COUNT }, (_, index) => conversation.send(message(tom.sdk, index))),
  );
  const view = await jerry.open(conversation);

  for (const [options, expected] of queries(tom.sdk.MessageQueryDirection, sent)) {
    const found = await view.queryMessages(options);
    const wanted = expected.map(index => sent[index].id);
    assert.deepEqual(ids(found), wanted, JSON.stringify(options));
  }
  const [newest] = await conversation.queryMessages({ limit: 1 });
  assert.deepEqual([newest.id, newest.text], [sent.at(-1).id, '24']);
}

/** Even ones are typed messages, odd ones are not. */
function message({ TextMessage, Message }, index) {
  return index % 2 ? new Message(`plain ${index}`) : new TextMessage(`${index}`);
}

function queries({ NEW_TO_OLD, OLD_TO_NEW }, sent) {
  const start = index => ({ startTime: sent[index].timestamp, startMessageId: sent[index].id });
  const end = index => ({ endTime: sent[index].timestamp, endMessageId: sent[index].id });
  const old = { direction: NEW_TO_OLD };
  const young = { direction: OLD_TO_NEW };
  const both = { startClosed: true, endClosed: true };
  return [
    // Limits.
    [{}, range(5, 24)],
    [{ limit: 0 }, []],
    [{ limit: 1 }, [24]],
    [{ limit: 5 }, range(20, 24)],
    [{ limit: 100 }, range(0, 24)],
    [{ limit: 5, ...old }, range(20, 24)],
    [{ limit: 5, ...young }, range(0, 4)],
    [{ limit: 0, ...young }, []],
    [{ limit: 100, ...young }, range(0, 24)],
    // From a message into the past.
    [{ ...start(10), limit: 3 }, range(7, 9)],
    [{ ...start(10), limit: 3, startClosed: true }, range(8, 10)],
    [{ ...start(0) }, []],
    [{ ...start(0), startClosed: true }, [0]],
    // From a message into the future.
    [{ ...start(10), ...young, limit: 3 }, range(11, 13)],
    [{ ...start(10), ...young, limit: 3, startClosed: true }, range(10, 12)],
    [{ ...start(24), ...young }, []],
    [{ ...start(24), ...young, startClosed: true }, [24]],
    // Between two messages.
    [{ ...start(10), ...end(5) }, range(6, 9)],
    [{ ...start(10), ...end(5), startClosed: true }, range(6, 10)],
    [{ ...start(10), ...end(5), endClosed: true }, range(5, 9)],
    [{ ...start(10), ...end(5), ...both }, range(5, 10)],
    [{ ...start(10), ...end(5), ...both, limit: 2 }, range(9, 10)],
    [{ ...start(5), ...end(10), ...young }, range(6, 9)],
    [{ ...start(5), ...end(10), ...young, ...both }, range(5, 10)],
    [{ ...start(5), ...end(10), ...young, ...both, limit: 2 }, range(5, 6)],
    [{ ...start(5), ...end(10), limit: 2 }, range(6, 7)],
    [{ ...start(5), ...end(10), ...old }, []],
    [{ ...start(10), ...end(5), ...young }, []],
    [{ ...end(20) }, range(21, 24)],
    [{ ...end(20), endClosed: true }, range(20, 24)],
    [{ ...end(3), ...young }, range(0, 2)],
    // By time alone.
    [{ startTime: sent[3].timestamp }, range(0, 2)],
    [{ startTime: sent[3].timestamp, startClosed: true }, range(0, 3)],
    [{ startTime: sent[20].timestamp, ...young }, range(21, 24)],
    [{ startTime: sent[10].timestamp, endTime: sent[5].timestamp }, range(6, 9)],
    [{ startTime: sent[10].timestamp, endTime: sent[5].timestamp, ...both }, range(5, 10)],
    [{ startTime: new Date(Date.now() + 3600_000), limit: 2 }, [23, 24]],
    [{ startTime: new Date(sent[0].timestamp - 1000), limit: 2 }, []],
    [{ startTime: new Date(sent[0].timestamp - 1000), limit: 2, ...young }, [0, 1]],
    // By the names of older SDKs.
    [{ beforeTime: sent[10].timestamp, beforeMessageId: sent[10].id, limit: 3 }, range(7, 9)],
    [
      { beforeTime: sent[10].timestamp, afterTime: sent[5].timestamp, afterMessageId: sent[5].id },
      range(6, 9),
    ],
    // One type.
    [{ type: -1, limit: 3 }, [20, 22, 24]],
    [{ type: -1, limit: 3, ...young }, [0, 2, 4]],
    [{ type: 1 }, []],
  ];
}

/** The indices from `first` to `last`, both included. */
function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
