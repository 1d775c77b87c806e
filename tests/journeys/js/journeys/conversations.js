import assert from 'node:assert/strict';

/** A new conversation reaches its members whole; a unique one is made once per set of members. */
export default async function conversations(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  await created(tom, jerry);
  await unique(tom, jerry, world.id('spike'));
}

async function created(tom, jerry) {
  const announced = [tom, jerry].map(person => [person.listen('invited'), person.listen('membersjoined')]);
  const properties = { name: '聚会 🎉', color: 'red', place: { city: '北京', floor: 3 }, when: new Date() };
  const conversation = await tom.start([jerry.id], properties);

  for (const [invited, joined] of announced) {
    const [invitation, view] = await invited.next();
    assert.deepEqual(invitation, { invitedBy: tom.id });
    assert.equal(view.id, conversation.id);

    const [{ members, invitedBy }] = await joined.next();
    assert.deepEqual([members.sort(), invitedBy], [[jerry.id, tom.id].sort(), tom.id]);
  }

  const view = await jerry.open(conversation);
  for (const key of Object.keys(properties)) assert.deepEqual(view.get(key), properties[key]);
  assert.deepEqual([view.creator, view.members.sort()], [tom.id, [jerry.id, tom.id].sort()]);
  assert.deepEqual([view.createdAt, view.updatedAt], [conversation.createdAt, conversation.createdAt]);
  assert.ok(!view.lastMessageAt && !view.transient && !view.system);
}

async function unique(tom, jerry, spike) {
  const invited = jerry.listen('invited');
  const only = await tom.start([jerry.id], { unique: true });
  const sameByTom = await tom.start([jerry.id], { unique: true, name: 'another name' });
  const sameByJerry = await jerry.start([tom.id], { unique: true });
  const withSpike = await tom.start([jerry.id, spike], { unique: true });
  const plain = await tom.start([jerry.id]);

  assert.deepEqual([sameByTom.id, sameByJerry.id], [only.id, only.id]);
  assert.deepEqual(sameByJerry.createdAt, only.createdAt);
  assert.equal(new Set([only.id, withSpike.id, plain.id]).size, 3);
  // Finding an existing conversation tells nobody. The SDK asks for each before it tells, whichever is answered first.
  const invitations = await invited.take(3);
  assert.deepEqual(
    invitations.map(([, view]) => view.id).sort(),
    [only.id, withSpike.id, plain.id].sort(),
  );
}
