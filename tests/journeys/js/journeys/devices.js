import assert from 'node:assert/strict';

import { essence } from '../checks.js';

/** What one sends shows on one's other devices, and nowhere twice. */
export default async function devices(world) {
  const [phone, jerry] = await world.people('tom', 'jerry');
  const laptop = await world.login(phone.id);
  const conversation = await phone.start([jerry.id]);
  const toms = await laptop.open(conversation);
  const jerrys = await jerry.open(conversation);
  const [onPhone, onLaptop, byJerry] = [phone, laptop, jerry].map(person => person.listen('message'));

  const sent = await phone.say(conversation, 'from my phone');
  const answer = await laptop.say(toms, 'from my laptop');
  const reply = await jerry.say(jerrys, 'got both');

  assert.deepEqual(await essences(onPhone, 2), [answer, reply].map(essence));
  assert.deepEqual(await essences(onLaptop, 2), [sent, reply].map(essence));
  assert.deepEqual(await essences(byJerry, 2), [sent, answer].map(essence));

  assert.equal(toms.unreadMessagesCount, 1);
}

async function essences(recorder, count) {
  return (await recorder.take(count)).map(([message]) => essence(message));
}
