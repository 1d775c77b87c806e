import assert from 'node:assert/strict';

/** A lost connection comes back with the session token; a bad token costs one more step, not the session. */
export default async function tokens(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  const heard = jerry.listen('message');
  // The SDK has no public way to spoil or age its token.
  const manager = tom.client._sessionManager;
  const stillWorks = async words => {
    const sent = await tom.say(conversation, words);
    await heard.find(message => message.id === sent.id);
  };

  const issued = await manager.getSessionToken();
  assert.ok(issued.length > 0);
  await tom.reconnect();
  await stillWorks('with the token');

  manager.setSessionToken('not a token', 3600);
  await tom.reconnect();
  await stillWorks('without, after the server refused it');
  assert.notEqual(await manager.getSessionToken(), 'not a token');

  // An expired token makes the SDKs do this by themselves, but both then lose the result.
  const { value: refreshed } = await manager.refresh(manager, issued);
  assert.equal(await manager.getSessionToken(), refreshed);
  assert.ok(refreshed.length > 0);
  await tom.reconnect();
  await stillWorks('with the refreshed one');

  manager.revoke();
  await tom.reconnect();
  await stillWorks('without any');
}
