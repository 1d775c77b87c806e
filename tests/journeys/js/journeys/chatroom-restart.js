import assert from 'node:assert/strict';

import { away } from './restart.js';

/** The server goes away and comes back: who was in a chat room is in it again. */
export default async function chatroomRestart(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const room = await tom.client.createChatRoom({ name: 'hall' });
  const view = await jerry.open(room);
  await view.join();
  const back = jerry.listen('reconnect');
  await away(world, tom);
  await back.next();

  const heard = [tom, jerry].map(person => person.listen('message'));
  await tom.say(room, 'where were we?');
  assert.equal((await heard[1].next())[0].text, 'where were we?');
  await jerry.say(view, 'here');
  assert.equal((await heard[0].next())[0].text, 'here');
  assert.equal(await room.count(), 2);
}
