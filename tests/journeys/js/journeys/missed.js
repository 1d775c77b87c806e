import assert from 'node:assert/strict';

import { ids } from '../checks.js';

/** More than one answer of the server holds. */
const MANY = 210;

/** Who was away is told, when it is back, which conversations it joined and left meanwhile: each once. */
export default async function missed(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const known = jerry.listen('invited');
  const old = await tom.start([jerry.id]);
  await known.next();
  const [invited, kicked] = [jerry.listen('invited'), jerry.listen('kicked')];

  await away(jerry, async () => {
    await tom.start([jerry.id], { name: 'new' });
    await old.remove([jerry.id]);
  });
  const [invitation, view] = await invited.next();
  assert.deepEqual([invitation, view.name], [{ invitedBy: tom.id }, 'new']);
  const [expulsion, left] = await kicked.next();
  assert.deepEqual([expulsion, left.id], [{ kickedBy: tom.id }, old.id]);

  let made = [];
  await away(jerry, async () => {
    made = await Promise.all(Array.from({ length: MANY }, () => tom.start([jerry.id])));
  });
  await invited.take(MANY + 1);
  await live(tom, invited);
  assert.deepEqual(ids(invited.items.slice(1, MANY + 1).map(([, each]) => each)).sort(), ids(made).sort());
  assert.equal(invited.items.length, MANY + 2);
  assert.ok(!kicked.hasNews);

  // Nothing happened: nothing is told.
  await away(jerry, async () => {});
  await live(tom, invited);
  assert.equal(invited.items.length, MANY + 3);

  async function live(person, news) {
    const conversation = await person.start([jerry.id]);
    await news.find((_, { id }) => id === conversation.id);
    return conversation;
  }
}

/** Is over when the person is back and has handled what the server told it of the time meanwhile. */
async function away(person, meanwhile) {
  const gone = person.listen('offline');
  person.device.realtime.pause();
  await gone.next();
  await meanwhile();
  const [back, told] = [person.listen('reconnect'), catchesUp(person.client)];
  person.device.realtime.resume();
  await back.next();
  await told;
}

/** The SDK does not tell when it is done. What happens before that, it may be told twice: by socket and over HTTP. */
function catchesUp(client) {
  return new Promise((resolve, reject) => {
    client._syncNotifications = (since) => {
      delete client._syncNotifications;
      const done = client._syncNotifications(since);
      done.then(resolve, reject);
      return done;
    };
  });
}
