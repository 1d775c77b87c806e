import assert from 'node:assert/strict';

/** Reading on one device clears the count on the others, and for good. */
export default async function read(world) {
  const tom = await world.login(world.id('tom'));
  const jerryId = world.id('jerry');
  const conversation = await tom.start([jerryId]);
  for (const words of ['one', 'two']) await tom.say(conversation, words);
  await conversation.send(tom.text('three').mentionAll());

  const phone = await withUnread(world, jerryId, 3);
  const laptop = await withUnread(world, jerryId, 3);
  await phone.view.read();
  await laptop.updates.until(() => laptop.view.unreadMessagesCount === 0);
  assert.equal(laptop.view.unreadMessagesMentioned, false);

  await tom.say(conversation, 'four');
  await withUnread(world, jerryId, 1);
}

/** Logs in and waits for the first count the server tells: it must be `count`. */
async function withUnread(world, id, count) {
  const person = await world.login(id);
  const updates = person.listen('unreadmessagescountupdate');
  const [[view]] = await updates.next();
  assert.equal(view.unreadMessagesCount, count);
  return { view, updates };
}
