import assert from 'node:assert/strict';

/** Who comes back is told how many messages wait in each conversation, and the last of them. */
export default async function unread(world) {
  const tom = await world.login(world.id('tom'));
  const jerryId = world.id('jerry');
  const [few, many, quiet] = await Promise.all([1, 2, 3].map(() => tom.start([jerryId])));
  await tom.say(few, 'one');
  await tom.say(few, 'two');
  const last = await few.send(tom.text('three').setMentionList([jerryId]));
  await tom.sayAll(
    many,
    Array.from({ length: 105 }, (_, index) => `${index}`),
  );

  const phone = await world.login(jerryId);
  const updates = phone.listen('unreadmessagescountupdate');
  const view = await updated(updates, few);
  assert.deepEqual([view.unreadMessagesCount, view.unreadMessagesMentioned], [3, true]);
  assert.deepEqual(
    [view.lastMessage.id, view.lastMessage.text, view.lastMessage.from],
    [last.id, 'three', tom.id],
  );
  assert.deepEqual(view.lastMessageAt, last.timestamp);

  const capped = await updated(updates, many);
  assert.deepEqual([capped.unreadMessagesCount, capped.unreadMessagesMentioned], [100, false]);
  assert.equal((await phone.open(quiet)).unreadMessagesCount, 0);

  await growsWhileOnline(world, tom, phone, few);
  await ownMessagesDoNotCount(world, tom, phone, few);
}

async function growsWhileOnline(world, tom, phone, conversation) {
  const heard = phone.listen('message');
  await tom.say(conversation, 'four');
  await heard.next();
  const laptop = await world.login(phone.id);
  const view = await updated(laptop.listen('unreadmessagescountupdate'), conversation);
  assert.equal(view.unreadMessagesCount, 4);
}

async function ownMessagesDoNotCount(world, tom, phone, conversation) {
  const toms = await world.login(tom.id);
  const updates = toms.listen('unreadmessagescountupdate');
  await phone.say(await phone.open(conversation), 'an answer');
  const view = await updated(updates, conversation);
  assert.equal(view.unreadMessagesCount, 1);
}

/** The conversation as the first update that names it left it. */
async function updated(updates, { id }) {
  const [views] = await updates.find(conversations => conversations.some(view => view.id === id));
  return views.find(view => view.id === id);
}
