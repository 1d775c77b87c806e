import assert from 'node:assert/strict';

import { assertIncreasing, essence, refused, texts } from '../checks.js';

const UNKNOWN = '65f000000000000000000001';

/** What an author edits changes for everybody, on every device, for those who were away too. */
export default async function edit(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const laptop = await world.login(tom.id);
  const conversation = await tom.start([jerry.id]);
  const [toms, jerrys] = [await laptop.open(conversation), await jerry.open(conversation)];
  const arrived = [jerry, laptop].map(person => person.listen('message'));
  const sent = await tom.say(conversation, 'helo');
  for (const recorder of arrived) await recorder.next();

  await everywhere(conversation, sent, [tom, jerry, laptop], [jerrys, toms]);
  await kinds(conversation, jerrys, tom, jerry);
  await onlyByTheAuthor(conversation, jerrys, sent, tom, jerry);
  await afterAReconnect(conversation, sent, tom, jerry);
}

async function everywhere(conversation, sent, [tom, jerry, laptop], views) {
  const own = tom.listen('messageupdate');
  const heard = [jerry, laptop].map(person => person.listen('messageupdate'));
  const heardByViews = views.map(
    view => new Promise(resolve => view.once('messageupdate', resolve)),
  );
  const edited = await conversation.update(sent, tom.text('hello').setMentionList([jerry.id]));
  assert.deepEqual(essence(edited), essence(sent));

  for (const [index, recorder] of heard.entries()) {
    const [message, view, reason] = await recorder.next();
    assert.deepEqual([message.text, message.mentionList], ['hello', [jerry.id]]);
    assert.deepEqual([essence(message), reason], [essence(sent), undefined]);
    assert.equal(message.mentioned, index === 0);
    assert.ok(message.updatedAt > message.timestamp);
    assert.equal(view, views[index]);
    assert.equal(await heardByViews[index], message);
    const kept = await view.queryMessages();
    assert.deepEqual(texts([view.lastMessage, ...kept]), ['hello', 'hello']);
  }
  assert.ok(!own.hasNews);
}

/** Text becomes bytes, and bytes text. SDKs make a BinaryMessage of history only, not of the event. */
async function kinds(conversation, jerrys, tom, jerry) {
  const { BinaryMessage, Message } = tom.sdk;
  const heard = jerry.listen('messageupdate');
  const bytes = Uint8Array.from([0, 255, 254, 128]);
  let message = await tom.say(conversation, 'text');
  message = await conversation.update(message, new BinaryMessage(bytes.buffer));
  const [binary] = await jerrys.queryMessages({ limit: 1 });
  assert.equal(binary.constructor.name, 'BinaryMessage');
  assert.deepEqual(new Uint8Array(binary.buffer), bytes);

  message = await conversation.update(message, new Message('no JSON'));
  await conversation.update(message, new Message({ json: true }));
  const [[first], [plain], [json]] = await heard.take(3);
  assert.deepEqual([plain.content, json.content], ['no JSON', { json: true }]);
  assertIncreasing([first, plain, json].map(({ updatedAt }) => updatedAt.getTime()));
}

async function onlyByTheAuthor(conversation, jerrys, { id, timestamp }, tom, jerry) {
  const text = jerry.text('mine now');
  await refused(jerrys.update({ id, timestamp }, text), 4403, 'MESSAGE_OWNERSHIP_REQUIRED');
  const unknown = { id: 'no such message', timestamp };
  await refused(conversation.update(unknown, tom.text('x')), 4404, 'MESSAGE_NOT_FOUND');
  const nowhere = await tom.client.parseConversation({ id: UNKNOWN, members: [tom.id] });
  await refused(nowhere.update({ id, timestamp }, tom.text('x')), 4401, 'INVALID_MESSAGING_TARGET');
}

/** What was edited meanwhile is told once, and not again at the next reconnect. */
async function afterAReconnect(conversation, sent, tom, jerry) {
  const heard = jerry.listen('messageupdate');
  const gone = jerry.listen('offline');
  jerry.device.realtime.pause();
  await gone.next();
  const other = await tom.say(conversation, 'other');
  await conversation.update(other, tom.text('missed'));
  await conversation.update(sent, tom.text('missed first'));
  await conversation.update(sent, tom.text('missed last'));
  jerry.device.realtime.resume();
  const missed = await heard.take(2);
  assert.deepEqual(texts(missed.map(([message]) => message)), ['missed', 'missed last']);

  await jerry.reconnect();
  await conversation.update(sent, tom.text('live again'));
  await heard.find(({ text }) => text === 'live again');
  const all = texts(heard.items.map(([message]) => message));
  assert.deepEqual(all, ['missed', 'missed last', 'live again']);
}
