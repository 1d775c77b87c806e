import assert from 'node:assert/strict';

/** Whoever gives no client id gets one from the server, and can use it. */
export default async function anonymous(world) {
  const one = await world.login();
  const other = await world.login();
  assert.ok(one.id.length >= 1 && one.id.length <= 64);
  assert.notEqual(one.id, other.id);

  const [invited, heard] = [other.listen('invited'), other.listen('message')];
  const conversation = await one.start([other.id]);
  await invited.next(); // which waits until the counts of the login are told
  const sent = await one.say(conversation, 'who are you?');
  const [received] = await heard.next();
  assert.deepEqual([received.id, received.from], [sent.id, one.id]);
}
