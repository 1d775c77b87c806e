import assert from 'node:assert/strict';

import { refused, texts } from '../checks.js';

/** A chat room is found, entered and left; those in it hear each other, also after a lost connection. */
export default async function chatroom(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const topic = world.id('geese');
  const room = await tom.client.createChatRoom({ name: 'hall', topic });
  const view = await found(jerry, room, topic);
  await view.join();
  assert.deepEqual([await room.count(), await view.count()], [2, 2]);

  await talks(tom, jerry, room, view);
  await outsiders(spike, tom, jerry, room);
  await updates(tom, jerry, room, view);

  await jerry.reconnect();
  assert.equal(await room.count(), 2);
  const heard = jerry.listen('message');
  await tom.say(room, 'welcome back');
  assert.equal((await heard.next())[0].text, 'welcome back');

  await leaves(tom, jerry, room, view);
}

async function found(jerry, room, topic) {
  const [view] = await jerry.client.getChatRoomQuery().equalTo('topic', topic).find();
  assert.deepEqual([view.id, view.name, view.transient, view.members], [room.id, 'hall', true, []]);
  assert.deepEqual([view.creator, view.createdAt], [room.creator, room.createdAt]);
  assert.ok(room.transient);
  return view;
}

async function talks(tom, jerry, room, view) {
  const heard = [tom.listen('message'), jerry.listen('message')];
  const said = [];
  for (const [name, priority] of Object.entries(tom.sdk.MessagePriority)) {
    said.push(await tom.say(room, name, { priority }));
  }
  const received = (await heard[1].take(said.length)).map(([message]) => message);
  assert.deepEqual(texts(received), texts(said));
  assert.deepEqual(received.map(({ id }) => id), said.map(({ id }) => id));
  const answer = await jerry.say(view, 'hello');
  assert.equal((await heard[0].next())[0].id, answer.id);
  assert.ok(!heard[0].hasNews);
  assert.deepEqual(texts(await view.queryMessages()), [...texts(said), 'hello']);
}

/** Who is not in the room may speak and read, not change it. */
async function outsiders(spike, tom, jerry, room) {
  const heard = [tom, jerry].map(person => person.listen('message'));
  const view = await spike.open(room);
  await spike.say(view, 'from outside');
  for (const news of heard) assert.equal((await news.next())[0].text, 'from outside');
  assert.equal((await view.queryMessages()).at(-1).text, 'from outside');
  await refused(view.set('topic', 'mine').save(), 4309, 'CONVERSATION_UPDATE_REJECTED');
  await refused(room.add([spike.id]), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
}

async function updates(tom, jerry, room, view) {
  const news = tom.listen('conversationinfoupdated');
  const recalled = tom.listen('messagerecall');
  await view.set('mood', 'high').save();
  const [{ attributes, updatedBy }, updated] = await news.next();
  assert.deepEqual([attributes.mood, updatedBy, updated.id], ['high', jerry.id, room.id]);
  assert.equal(room.get('mood'), 'high');
  await view.recall(await jerry.say(view, 'oops'));
  await recalled.next();
  await view.mute();
}

async function leaves(tom, jerry, room, view) {
  const pair = await tom.start([jerry.id]);
  const heard = jerry.listen('message');
  await view.quit();
  assert.equal(await room.count(), 1);
  await tom.say(room, 'gone?');
  await tom.say(pair, 'between us');
  assert.equal((await heard.next())[0].text, 'between us');
}
