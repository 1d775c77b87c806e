import assert from 'node:assert/strict';

import { refused } from '../checks.js';

const DONE = { members: 'membersmuted', self: 'muted', by: 'mutedBy' };
const UNDONE = { members: 'membersunmuted', self: 'unmuted', by: 'unmutedBy' };

/** Whom the owner silences hears on and says nothing until it may again; everybody is told of both. */
export default async function silence(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const people = [tom, jerry, spike];
  const announced = people.map(person => person.listen('membersjoined'));
  const own = await tom.start([jerry.id, spike.id]);
  await Promise.all(announced.map(each => each.next()));
  const [jerrys, spikes] = await Promise.all([jerry, spike].map(person => person.open(own)));

  await refused(spikes.muteMembers(jerry.id), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
  await told(DONE, own, people, jerry, () => own.muteMembers([jerry.id]));
  await refused(jerry.say(jerrys, 'hello'), 4563, 'SILIENCED');
  await refused(jerrys.unmuteMembers(jerry.id), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
  const heard = jerry.listen('message');
  const sent = await tom.say(own, 'quiet, please');
  assert.equal((await heard.next())[0].id, sent.id);
  const { results, next } = await spikes.queryMutedMembers();
  assert.deepEqual([results, !next], [[jerry.id], true]);

  await told(UNDONE, own, people, jerry, () => own.unmuteMembers(jerry.id));
  await jerry.say(jerrys, 'thank you');
  assert.deepEqual((await spikes.queryMutedMembers({ limit: 10 })).results, []);
  await pages(own);
}

/** What one does to `target` is told to all, and to the target in particular. */
async function told({ members, self, by }, conversation, people, target, act) {
  const all = people.map(person => person.listen(members));
  const mine = target.listen(self);
  const { successfulClientIds, failures } = await act();
  assert.deepEqual([successfulClientIds, failures], [[target.id], []]);
  for (const news of all) {
    const [payload, view] = await news.next();
    assert.deepEqual([payload, view.id], [{ members: [target.id], [by]: people[0].id }, conversation.id]);
  }
  const [payload, view] = await mine.next();
  assert.deepEqual([payload, view.id], [{ [by]: people[0].id }, conversation.id]);
}

async function pages(conversation) {
  const everybody = ['a', 'b', 'c'];
  await conversation.muteMembers(everybody);
  const first = await conversation.queryMutedMembers({ limit: 2 });
  assert.deepEqual(first.results, everybody.slice(0, 2));
  const second = await conversation.queryMutedMembers({ limit: 2, next: first.next });
  assert.deepEqual(second.results, everybody.slice(2));
  assert.ok(!second.next);
}
