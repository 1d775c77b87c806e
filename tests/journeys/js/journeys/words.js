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
