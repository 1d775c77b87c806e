import assert from 'node:assert/strict';

import { texts } from '../checks.js';

/** What an app's own engine wants is done, and told with its own codes and words; its rules: `hooks-engine.js`. */
export default async function hooks(world) {
  const [tom, jerry, friend] = await world.people('tom', 'jerry', 'friend');
  const conversation = await tom.start([jerry.id, friend.id], { name: 'tea' });
  const jerrys = await jerry.open(conversation);
  await messages(conversation, jerrys, tom, jerry);
  await conversations(world, conversation, tom, friend);
  await edits(conversation, tom, jerry);
  await jerrys.quit();
  await friend.client.close();
}

async function messages(conversation, jerrys, tom, jerry) {
  const heard = jerry.listen('message');
  const replaced = tom.listen('messageupdate');
  await rejected(tom.say(conversation, 'drop it'), 4402, 7);
  const changed = await tom.say(conversation, 'please change');
  const [arrived] = await heard.next();
  assert.equal(arrived.text, 'please changed');
  const [message, , reason] = await replaced.next();
  assert.deepEqual([message.id, message.text], [changed.id, 'please changed']);
  assert.deepEqual(reason, { code: 8, detail: 'why' });
  await tom.say(conversation, 'hide it');
  await tom.say(conversation, 'crash');
  await tom.sayAll(conversation, ['1', '2', '3']);
  const rest = (await heard.take(5)).slice(1).map(([each]) => each.text);
  assert.deepEqual(rest, ['crash', '1', '2', '3']);
  assert.deepEqual(texts(await jerrys.queryMessages()), ['please changed', 'hide it', ...rest]);
}

async function conversations(world, conversation, tom, friend) {
  await rejected(tom.start([], { name: 'forbidden' }), 4305, 5);
  await rejected(conversation.add([world.id('enemy')]), 4305, 6);
  await rejected(conversation.remove([friend.id]), 4305, 4);
  conversation.name = 'forbidden';
  await rejected(conversation.save(), 4305, 3);
  conversation.name = 'coffee';
  await conversation.save();
  await conversation.fetch();
  assert.equal(conversation.name, 'COFFEE');
  await conversation.mute();
  const guest = world.id('guest');
  await conversation.add([guest]);
  await conversation.remove([guest]);
}

async function edits(conversation, tom, jerry) {
  const heard = jerry.listen('messageupdate');
  const message = await tom.say(conversation, 'helo');
  await rejected(conversation.update(message, tom.text('drop')), 4405, 9);
  await rejected(conversation.recall(message), 4405, 9);
  await conversation.update(message, tom.text('hello'));
  const [edited] = await heard.next();
  assert.equal(edited.text, 'hello');
}

/** Refused with a code of the server, and the app's own; the SDK does not show the texts. */
async function rejected(promise, code, appCode) {
  await assert.rejects(promise, error => {
    assert.deepEqual([error.code, error.appCode], [code, appCode]);
    return true;
  });
}
