import assert from 'node:assert/strict';

/** Ids are kept as they are; a device may carry several people, who can talk over its one connection. */
export default async function login(world) {
  const device = world.device();
  const tom = await device.login(world.id('Tom 汤姆'));
  const again = await device.login(tom.id);
  assert.equal(again.client, tom.client);

  const longest = await device.login(world.id('x').padEnd(64, '长'));
  assert.equal(longest.id.length, 64);
  assert.deepEqual(await tom.client.ping([longest.id, tom.id]), [longest.id, tom.id]);

  const heard = longest.listen('message');
  const conversation = await tom.start([longest.id]);
  const sent = await tom.say(conversation, 'same wire');
  const [received] = await heard.next();
  assert.equal(received.id, sent.id);

  const answered = tom.listen('message');
  const answer = await longest.say(await longest.open(conversation), 'loud and clear');
  const [first] = await answered.next();
  assert.equal(first.id, answer.id);

  await tom.client.close();
  assert.deepEqual(await longest.client.ping([tom.id, longest.id]), [longest.id]);
}
