import assert from 'node:assert/strict';

import { essence } from '../checks.js';

/** What one sends shows on one's other devices, and nowhere twice. */
export default async function devices(world) {
  const [phone, jerry] = await world.people('tom', 'jerry');
  const laptop = await world.login(phone.id);
  const conversation = await phone.start([jerry.id]);
  const [onPhone, onLaptop, byJerry] = [phone, laptop, jerry].map(person => person.listen('message'));

  const sent = await phone.say(conversation, 'from my phone');
  const answer = await laptop.say(await laptop.open(conversation), 'from my laptop');
  const reply = await jerry.say(await jerry.open(conversation), 'got both');

  assert.deepEqual(await essences(onPhone, 2), [answer, reply].map(essence));
  assert.deepEqual(await essences(onLaptop, 2), [sent, reply].map(essence));
  assert.deepEqual(await essences(byJerry, 2), [sent, answer].map(essence));

  const view = await laptop.open(conversation);
  assert.equal(view.unreadMessagesCount, 1);
}

async function essences(recorder, count) {
  return (await recorder.take(count)).map(([message]) => essence(message));
}
