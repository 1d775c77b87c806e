import assert from 'node:assert/strict';

import { refused } from '../checks.js';
import { Recorder } from '../recorder.js';

/** What one member sets all others see; muting is one's own affair; anybody may count. */
export default async function attributes(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const announced = [tom, jerry].flatMap(person => [person.listen('invited'), person.listen('membersjoined')]);
  const conversation = await tom.start([jerry.id], {
    name: 'party',
    color: { text: 'black', background: 'white' },
  });
  // The SDK looks the conversation up at each of these, and what it finds replaces what is set meanwhile.
  const [, , [, view]] = await Promise.all(announced.map(news => news.next()));

  await updates(tom, jerry, conversation, view);
  await fetches(world, tom, conversation);
  await atOnce(tom, jerry, conversation);
  await refuses(spike, conversation);
  await mutes(world, tom, conversation);

  assert.equal(await conversation.count(), 2);
  assert.equal(await (await spike.open(conversation)).count(), 2);
}

async function updates(tom, jerry, conversation, view) {
  const news = jerry.listen('conversationinfoupdated');
  const atView = new Recorder(view, 'infoupdated');
  const own = tom.listen('conversationinfoupdated');
  const when = new Date(1_700_000_000_123);
  const before = conversation.updatedAt;
  conversation.name = 'feast';
  await conversation.set('color.text', 'red').set('when', when).set('deep.down.here', [1, null, '鸿雁']).save();
  assert.ok(conversation.updatedAt > before);

  const [{ attributes, updatedBy }, updated] = await news.next();
  assert.deepEqual([updatedBy, updated.id], [tom.id, conversation.id]);
  assert.equal(attributes.name, 'feast');
  assert.deepEqual((await atView.next())[0].attributes, attributes);
  for (const each of [conversation, view]) {
    assert.equal(each.name, 'feast');
    assert.deepEqual(each.get('color'), { text: 'red', background: 'white' });
    assert.deepEqual(each.get('when'), when);
    assert.deepEqual(each.get('deep'), { down: { here: [1, null, '鸿雁'] } });
  }
  assert.ok(!own.hasNews);
}

async function fetches(world, tom, conversation) {
  const tablet = await world.login(tom.id);
  const view = await tablet.open(conversation);
  const changed = tablet.listen('conversationinfoupdated');
  await conversation.set('color', 'plain').save();
  const [{ updatedBy }] = await changed.next();
  assert.deepEqual([updatedBy, view.get('color')], [tom.id, 'plain']);

  const stranger = await world.login(world.id('stranger'));
  const seen = await stranger.open(conversation);
  await conversation.set('color', 'plaid').save();
  assert.equal((await seen.fetch()).get('color'), 'plaid');
  assert.deepEqual(seen.updatedAt, conversation.updatedAt);
}

/** Changes of different keys by several people at once are all kept. */
async function atOnce(tom, jerry, conversation) {
  const view = await jerry.open(conversation);
  const saves = [];
  for (let number = 0; number < 5; number += 1) {
    saves.push(conversation.set(`score.tom${number}`, number).save());
    saves.push(view.set(`score.jerry${number}`, number).save());
  }
  await Promise.all(saves);
  const score = (await conversation.fetch()).get('score');
  assert.equal(Object.keys(score).length, 10);
}

async function refuses(spike, conversation) {
  const view = await spike.open(conversation);
  await refused(view.set('color', 'mine').save(), 4309, 'CONVERSATION_UPDATE_REJECTED');
  await refused(view.mute(), 4317, 'CONVERSATION_MEMBERSHIP_REQUIRED');
}

async function mutes(world, tom, conversation) {
  await conversation.mute();
  assert.ok(conversation.muted);
  assert.deepEqual((await (await world.login(tom.id)).open(conversation)).mutedMembers, [tom.id]);
  await conversation.unmute();
  assert.ok(!conversation.muted);
  assert.deepEqual((await (await world.login(tom.id)).open(conversation)).mutedMembers, []);
}
