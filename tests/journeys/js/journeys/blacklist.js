import assert from 'node:assert/strict';

import { refused } from '../checks.js';

const EVENTS = ['blocked', 'unblocked', 'membersblocked', 'membersunblocked', 'kicked', 'membersleft'];

/** Who is blocked is out, hears so, and comes back only after it was unblocked. */
export default async function blacklist(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const joined = [tom, jerry, spike].map(person => person.listen('membersjoined'));
  const conversation = await tom.start([jerry.id, spike.id]);
  for (const heard of joined) await heard.next(); // now everybody has looked it up
  const news = new Map([tom, jerry, spike].map(person => [person, newsOf(person)]));
  const told = async (person, event, expected) => {
    const [{ members, ...by }, view] = await news.get(person)[event].next();
    assert.equal(view.id, conversation.id);
    assert.deepEqual(members ? { ...by, members: members.sort() } : by, expected);
  };

  await blocks(tom, jerry, spike, conversation, told, world.id('stranger'));
  await staysOut(tom, jerry, conversation);
  await isReadInPages(tom, jerry, spike, conversation);
  await comesBack(tom, jerry, spike, conversation, told);
  for (const heard of news.values()) for (const event of EVENTS) assert.ok(!heard[event].hasNews, event);
}

async function blocks(tom, jerry, spike, conversation, told, stranger) {
  const view = await tom.open(conversation);
  await succeeds(view.blockMembers([jerry.id, stranger]), [jerry.id, stranger]);
  await told(jerry, 'blocked', { blockedBy: tom.id });
  await told(jerry, 'kicked', { kickedBy: tom.id });
  for (const person of [tom, spike]) {
    await told(person, 'membersblocked', { blockedBy: tom.id, members: [jerry.id, stranger].sort() });
    await told(person, 'membersleft', { kickedBy: tom.id, members: [jerry.id] });
  }
  assert.ok(!(await tom.open(conversation)).members.includes(jerry.id));
  await succeeds(view.blockMembers(jerry.id), [jerry.id]); // no news
  await succeeds(view.unblockMembers([stranger]), [stranger]);
  for (const person of [tom, spike])
    await told(person, 'membersunblocked', { unblockedBy: tom.id, members: [stranger] });
}

async function staysOut(tom, jerry, conversation) {
  const view = await jerry.open(conversation);
  await refused(view.join(), 4548, 'BLOCKED_BY_CONV');
  await refused(jerry.say(view, 'let me in'), 4401, 'INVALID_MESSAGING_TARGET');
  await refused(view.unblockMembers([jerry.id]), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
  await refused(view.queryBlockedMembers(), 4317, 'CONVERSATION_MEMBERSHIP_REQUIRED');
  const { successfulClientIds, failures } = await (await tom.open(conversation)).add([jerry.id]);
  assert.deepEqual(successfulClientIds, []);
  assert.deepEqual(
    failures.map(({ code, clientIds }) => [code, clientIds]),
    [[4548, [jerry.id]]],
  );
}

async function isReadInPages(tom, jerry, spike, conversation) {
  const view = await spike.open(conversation);
  const { results, next } = await view.queryBlockedMembers();
  assert.deepEqual([results, next], [[jerry.id], null]);
  await refused(view.blockMembers([tom.id]), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
}

async function comesBack(tom, jerry, spike, conversation, told) {
  await succeeds((await tom.open(conversation)).unblockMembers([jerry.id]), [jerry.id]);
  await told(jerry, 'unblocked', { unblockedBy: tom.id });
  for (const person of [tom, spike])
    await told(person, 'membersunblocked', { unblockedBy: tom.id, members: [jerry.id] });
  const heard = spike.listen('message');
  const view = await (await jerry.open(conversation)).join();
  const sent = await jerry.say(view, 'back');
  const [received] = await heard.next();
  assert.equal(received.id, sent.id);
}

async function succeeds(operation, clients) {
  const { successfulClientIds, failures } = await operation;
  assert.deepEqual([successfulClientIds.sort(), failures], [clients.sort(), []]);
}

function newsOf(person) {
  return Object.fromEntries(EVENTS.map(event => [event, person.listen(event)]));
}
