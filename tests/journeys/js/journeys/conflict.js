import assert from 'node:assert/strict';

const TAG = 'TEST';

/** Of two devices with one tag, the one that logs in later stays; a reconnect throws nobody out. */
export default async function conflict(world) {
  const id = world.id('tom');
  const [jerry] = await world.people('jerry');
  const untagged = await world.login(id);
  const old = await world.device().login(id, { tag: TAG });
  const thrownOut = old.listen('conflict');

  const tom = await world.device().login(id, { tag: TAG });
  const [{ reason }] = await thrownOut.next();
  assert.equal(reason, 'SESSION_CONFLICT');

  const heard = [tom, untagged].map(person => person.listen('message'));
  const sent = await jerry.say(await jerry.start([id]), 'who is it?');
  for (const recorder of heard) assert.equal((await recorder.next())[0].id, sent.id);
  await reconnecting(world, id, tom);
}

/** Tag and device come back with the token: a reconnect stays outside while another device is in. */
async function reconnecting(world, id, tom) {
  await tom.reconnect();
  tom.device.realtime.pause();
  const next = await world.device().login(id, { tag: TAG });
  const refused = tom.listen('reconnecterror');
  tom.device.realtime.resume();
  const [error] = await refused.next();
  assert.deepEqual([error.code, error.name], [4111, 'SESSION_CONFLICT']);
  assert.ok(await next.start([id]));

  await next.client.close();
  await tom.reconnect();
  assert.ok(await tom.start([id]));
}
