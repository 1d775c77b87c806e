import assert from 'node:assert/strict';

/** Asked to go away, the SDKs look up the router, reconnect by themselves, and nobody misses anything. */
export default async function goaway(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const conversation = await tom.start([jerry.id]);
  const view = await jerry.open(conversation);
  const lost = [tom, jerry].map(person => person.listen('disconnect'));
  const back = [tom, jerry].map(person => person.listen('reconnect'));

  await world.ask('goaway');
  await Promise.all([...lost, ...back].map(recorder => recorder.next()));

  const heard = jerry.listen('message');
  await tom.say(conversation, 'are you there?', { transient: true });
  await heard.next(); // what else is said before may be told as a count of what was missed
  const counted = view.unreadMessagesCount; // the SDK counts what is transient as well
  const sent = await tom.say(conversation, 'on the new road');
  assert.equal((await heard.next())[0].id, sent.id);
  assert.equal(view.unreadMessagesCount, counted + 1);
}
