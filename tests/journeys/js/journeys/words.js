import assert from 'node:assert/strict';

import { essence, texts } from '../checks.js';

const CENSORED = -4408;

/** A word that the app does not want is masked where more than two are; the author learns of it, on all devices. */
export default async function words(world) {
  const { word } = world.config;
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const laptop = await world.login(tom.id);
  const conversation = await tom.start([jerry.id, spike.id]);
  const [toms, jerrys] = [await laptop.open(conversation), await jerry.open(conversation)];

  const devices = [tom, laptop].map(person => person.listen('messageupdate'));
  const heard = [jerry, spike, laptop].map(person => person.listen('message'));
  const sent = await tom.say(conversation, `he is ${word.toUpperCase()}!`);
  for (const recorder of heard) masked((await recorder.next())[0], sent);
  for (const recorder of devices) told(await recorder.next(), sent, 'he is ***!');
  for (const view of [conversation, toms, jerrys]) {
    const [kept] = await view.queryMessages();
    masked(kept, sent);
  }
  await edited(conversation, sent, word, devices, jerry.listen('messageupdate'));
  await amongTwo(tom, jerry, word);
  await inAChatRoom(tom, laptop, jerry, spike, word);
  await toAServiceAccount(world, tom, laptop, jerry, word);
}

function masked(message, sent) {
  assert.deepEqual([message.text, essence(message)], ['he is ***!', essence(sent)]);
}

function told([message, view, reason], sent, text) {
  assert.deepEqual([message.text, essence(message), view.id], [text, essence(sent), sent.cid]);
  assert.equal(reason.code, CENSORED);
  assert.match(reason.detail, /does not allow/);
}

async function edited(conversation, sent, word, devices, heard) {
  await conversation.update(sent, new sent.constructor(`${word} again`));
  for (const recorder of devices) told(await recorder.next(), sent, '*** again');
  const [message, , reason] = await heard.next();
  assert.deepEqual([message.text, reason], ['*** again', undefined]);
  assert.deepEqual(texts(await conversation.queryMessages()), ['*** again']);
}

async function amongTwo(tom, jerry, word) {
  const conversation = await tom.start([jerry.id]);
  const heard = jerry.listen('message');
  await tom.say(conversation, word);
  assert.equal((await heard.next())[0].text, word);
}

/** Also who speaks from outside it learns what became of it. */
async function inAChatRoom(tom, laptop, jerry, spike, word) {
  const room = await tom.client.createChatRoom({ name: 'hall' });
  for (const person of [laptop, jerry]) await (await person.open(room)).join();
  const outside = await spike.open(room);
  for (const [author, view, listeners] of [
    [tom, room, [laptop, jerry]],
    [spike, outside, [tom, laptop, jerry]],
  ]) {
    const updates = [tom, laptop, jerry, spike].map(person => person.listen('messageupdate'));
    const heard = listeners.map(person => person.listen('message'));
    const sent = await author.say(view, `he is ${word}!`);
    for (const recorder of heard) masked((await recorder.next())[0], sent);
    const authors = author === tom ? updates.slice(0, 2) : updates.slice(3);
    for (const recorder of authors) told(await recorder.next(), sent, 'he is ***!');
    masked((await view.queryMessages()).at(-1), sent);
    assert.ok(updates.every(recorder => authors.includes(recorder) || !recorder.hasNews));
  }

  const sent = await tom.say(room, 'a mistake');
  const devices = [tom, laptop].map(person => person.listen('messageupdate'));
  const heard = jerry.listen('messageupdate');
  await room.update(sent, new sent.constructor(`${word} again`));
  for (const recorder of devices) told(await recorder.next(), sent, '*** again');
  const [message, , reason] = await heard.next();
  assert.deepEqual([message.text, reason], ['*** again', undefined]);
}

/** What a client answers is masked for its application, and what the application says for all clients. */
async function toAServiceAccount(world, tom, laptop, jerry, word) {
  const { objectId } = await world.rest('POST', '/service-conversations', { name: world.id('news') });
  const path = `/service-conversations/${objectId}`;
  const [toms, jerrys] = [await tom.open({ id: objectId }), await jerry.open({ id: objectId })];
  for (const view of [toms, jerrys]) await view.subscribe();

  const devices = [tom, laptop].map(person => person.listen('messageupdate'));
  const sent = await tom.say(toms, `he is ${word}!`);
  for (const recorder of devices) told(await recorder.next(), sent, 'he is ***!');
  masked((await toms.queryMessages())[0], sent);
  const [kept] = await world.rest('GET', `${path}/subscribers/${tom.id}/messages?limit=1`);
  assert.deepEqual([kept['msg-id'], JSON.parse(kept.data)._lctext], [sent.id, 'he is ***!']);

  const heard = [tom, jerry].map(person => person.listen('message'));
  const updates = [tom, jerry].map(person => person.listen('messageupdate'));
  const message = { _lctype: -1, _lctext: `${word} says` };
  const all = await world.rest('POST', `${path}/broadcasts`, { from_client: 'editor', message });
  for (const recorder of heard) assert.equal((await recorder.next())[0].text, '*** says');
  const to = { from_client: 'editor', to_clients: [tom.id] };
  await world.rest('POST', `${path}/messages`, { ...to, message });
  assert.equal((await heard[0].next())[0].text, '*** says');
  const edit = { from_client: 'editor', timestamp: all.timestamp, message: { ...message, _lctext: `${word} said` } };
  await world.rest('PUT', `${path}/messages/${all['msg-id']}`, edit);
  for (const recorder of updates) {
    const [edited, , reason] = await recorder.next();
    assert.deepEqual([edited.id, edited.text, reason], [all['msg-id'], '*** said', undefined]);
  }
  assert.deepEqual(texts(await jerrys.queryMessages()), ['*** said']);
}
