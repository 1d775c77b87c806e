import assert from 'node:assert/strict';

import { refused } from '../checks.js';

const EVENTS = ['invited', 'kicked', 'membersjoined', 'membersleft'];

/** Joining, adding, removing and quitting take effect at once, and everybody concerned is told once. */
export default async function membership(world) {
  const [tom, jerry, spike, butch] = await world.people('tom', 'jerry', 'spike', 'butch');
  const group = new Group([tom, jerry, spike, butch]);
  group.conversation = await tom.start([jerry.id]);
  await group.told([tom, jerry], 'invited', { invitedBy: tom.id });
  await group.told([tom, jerry], 'membersjoined', { invitedBy: tom.id, members: [tom, jerry] });

  await joins(group, spike, [tom, jerry]);
  await adds(group, tom, butch, [jerry, spike], { id: world.id('offline') });
  await removes(group, tom, jerry, [spike, butch]);
  await quits(group, spike, [tom, butch]);
  await rejoins(group, jerry, tom, butch);
  group.quiet();
}

async function joins(group, spike, members) {
  const view = await (await spike.open(group.conversation)).join();
  await group.told([spike], 'invited', { invitedBy: spike.id });
  await group.told([spike, ...members], 'membersjoined', { invitedBy: spike.id, members: [spike] });

  const heard = members[0].listen('message');
  const sent = await spike.say(view, 'hello all');
  const [received] = await heard.next();
  assert.equal(received.id, sent.id);
}

async function adds(group, tom, butch, others, offline) {
  const view = await tom.open(group.conversation);
  await succeeds(view.add([butch.id, offline.id]), [butch, offline]);
  await group.told([butch], 'invited', { invitedBy: tom.id });
  await group.told([tom, butch, ...others], 'membersjoined', {
    invitedBy: tom.id,
    members: [butch, offline],
  });

  // To add who is in and to remove who is not succeeds, but is no news.
  await succeeds(view.add(butch.id), [butch]);
  await succeeds(view.remove('nobody'), [{ id: 'nobody' }]);
  await succeeds(view.remove([offline.id, 'nobody']), [offline, { id: 'nobody' }]);
  await group.told([tom, butch, ...others], 'membersleft', { kickedBy: tom.id, members: [offline] });
}

async function removes(group, tom, jerry, others) {
  const view = await jerry.open(group.conversation);
  await succeeds((await tom.open(group.conversation)).remove([jerry.id]), [jerry]);
  await group.told([jerry], 'kicked', { kickedBy: tom.id });
  await group.told([tom, ...others], 'membersleft', { kickedBy: tom.id, members: [jerry] });

  assert.ok(!view.members.includes(jerry.id));
  await refused(jerry.say(view, 'let me in'), 4401, 'INVALID_MESSAGING_TARGET');
  await refused(view.queryMessages(), 4312, 'CONVERSATION_LOG_REJECTED');
}

async function quits(group, spike, others) {
  await (await spike.open(group.conversation)).quit();
  await group.told([spike], 'kicked', { kickedBy: spike.id });
  await group.told(others, 'membersleft', { kickedBy: spike.id, members: [spike] });
}

async function rejoins(group, jerry, tom, butch) {
  const heard = jerry.listen('message');
  await tom.say(group.conversation, 'jerry does not hear this');
  await (await jerry.open(group.conversation)).join();
  await group.told([jerry], 'invited', { invitedBy: jerry.id });
  await group.told([jerry, tom, butch], 'membersjoined', { invitedBy: jerry.id, members: [jerry] });

  const sent = await tom.say(group.conversation, 'welcome back');
  const [received] = await heard.next();
  assert.equal(received.id, sent.id);
  const everybody = [tom, butch, jerry].map(person => person.id).sort();
  for (const person of [tom, butch])
    assert.deepEqual((await person.open(group.conversation)).members.sort(), everybody);
  const fetched = await jerry.client.getConversation(group.conversation.id, true);
  assert.deepEqual(fetched.members.sort(), everybody);
}

async function succeeds(operation, people) {
  const { successfulClientIds, failures } = await operation;
  assert.deepEqual([successfulClientIds.sort(), failures], [people.map(person => person.id).sort(), []]);
}

/** A conversation and all that is heard about its members. */
class Group {
  constructor(people) {
    this.news = new Map(people.map(person => [person, newsOf(person)]));
  }

  /** The next news of this kind must be this one, for each of these people. */
  async told(people, event, { members = [], ...by }) {
    for (const person of people) {
      const [{ members: named = [], ...told }, view] = await this.news.get(person)[event].next();
      assert.equal(view.id, this.conversation.id);
      assert.deepEqual(
        { ...told, members: named.sort() },
        { ...by, members: members.map(({ id }) => id).sort() },
      );
    }
  }

  /** Nobody was told anything else. */
  quiet() {
    for (const news of this.news.values()) for (const event of EVENTS) assert.ok(!news[event].hasNews, event);
  }
}

function newsOf(person) {
  return Object.fromEntries(EVENTS.map(event => [event, person.listen(event)]));
}
