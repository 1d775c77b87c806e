import assert from 'node:assert/strict';

import { essence, refused } from '../checks.js';

/** What an author recalls is gone for everybody, on every device, for those who were away too. */
export default async function recall(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const laptop = await world.login(tom.id);
  const conversation = await tom.start([jerry.id]);
  const [toms, jerrys] = [await laptop.open(conversation), await jerry.open(conversation)];

  const arrived = [jerry, laptop].map(person => person.listen('message'));
  const sent = await tom.say(conversation, 'a secret');
  for (const recorder of arrived) await recorder.next();
  await everywhere(conversation, sent, [tom, jerry, laptop], [jerrys, toms]);
  await forGood(conversation, sent, tom);
  await whileAway(conversation, tom, jerry);
  await stillUnread(world, jerry.id);
}

async function everywhere(conversation, sent, [tom, jerry, laptop], views) {
  const own = tom.listen('messagerecall');
  const heard = [jerry, laptop].map(person => person.listen('messagerecall'));
  const heardByViews = views.map(
    view => new Promise(resolve => view.once('messagerecall', resolve)),
  );
  const recalled = await conversation.recall(sent);
  assert.deepEqual(essence(recalled), essence(sent));

  for (const [index, recorder] of heard.entries()) {
    const [message, view] = await recorder.next();
    check(message, sent);
    assert.equal(view, views[index]);
    assert.equal(await heardByViews[index], message);
    check(view.lastMessage, sent);
    const [kept] = await view.queryMessages();
    check(kept, sent);
  }
  assert.ok(!own.hasNews);
}

function check(message, sent) {
  assert.equal(message.constructor.name, 'RecalledMessage');
  assert.deepEqual([essence(message), message.type], [essence(sent), -127]);
  assert.equal(message.summary, '[该消息已撤回]');
  assert.ok(message.updatedAt > message.timestamp);
}

/** Recalling twice is no error; a recalled message cannot be edited. */
async function forGood(conversation, { id, timestamp }, tom) {
  await conversation.recall({ id, timestamp });
  const back = conversation.update({ id, timestamp }, tom.text('back'));
  await refused(back, 4404, 'MESSAGE_NOT_FOUND');
}

async function whileAway(conversation, tom, jerry) {
  const heard = jerry.listen('messagerecall');
  const message = await tom.say(conversation, 'sent in haste');
  const gone = jerry.listen('offline');
  jerry.device.realtime.pause();
  await gone.next();
  await conversation.recall(message);
  jerry.device.realtime.resume();
  check((await heard.next())[0], message);

  await jerry.reconnect();
  const last = await tom.say(conversation, 'the last of them');
  await conversation.recall(last);
  await heard.find(({ id }) => id === last.id);
  assert.equal(heard.items.length, 2);
}

/** A recalled message counts as before. */
async function stillUnread(world, id) {
  const pad = await world.login(id);
  const [[view]] = await pad.listen('unreadmessagescountupdate').next();
  assert.equal(view.unreadMessagesCount, 3);
  assert.equal(view.lastMessage.type, -127);
}
