import assert from 'node:assert/strict';

/** Anybody may ask who is online: at most 20 ids at a time, the rest is ignored. */
export default async function presence(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const phone = await world.login(jerry.id);
  const nobody = Array.from({ length: 19 }, () => world.id('nobody'));

  assert.deepEqual(await tom.client.ping([]), []);
  assert.deepEqual(await tom.client.ping([nobody[0], jerry.id, tom.id]), [jerry.id, tom.id]);
  assert.deepEqual(await tom.client.ping([...nobody, jerry.id, tom.id]), [jerry.id]);

  await phone.client.close();
  assert.deepEqual(await tom.client.ping([jerry.id]), [jerry.id]);
  await jerry.client.close();
  assert.deepEqual(await tom.client.ping([jerry.id]), []);
}
