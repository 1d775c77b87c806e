import assert from 'node:assert/strict';

import AV from 'leancloud-storage';

import { essence } from '../checks.js';
import { pluginOf } from '../plugins.js';

const PLUGIN = 'leancloud-realtime-plugin-typed-messages';
const TYPES = { Image: -2, Audio: -3, Video: -4, Location: -5, File: -6 };
const STICKER = 7;

/** Messages of all types arrive as what they are: live, in history, by type, as the last message, after an edit. */
export default async function typedMessages(world) {
  const { appId, appKey, server } = world.config;
  AV.init({ appId, appKey, serverURL: server });
  const [tom, jerry] = [await person(world, 'tom'), await person(world, 'jerry')];
  const conversation = await tom.start([jerry.id]);
  const view = await jerry.open(conversation);
  const heard = jerry.listen('message');
  const sent = [];
  for (const message of messages(tom)) {
    await conversation.send(message);
    const [received] = await heard.next();
    same(received, message);
    assert.ok(received instanceof jerry.classes[message.constructor.name]);
    same(view.lastMessage, message);
    sent.push(message);
  }
  await keptAsTheyAre(view, sent);
  await byType(view, sent);
  await fromTheServer(world, jerry.id, sent.at(-1));
  await edited(conversation, view, tom, jerry, sent[1]);
  await recalled(conversation, view, jerry, sent[0]);
}

/** Somebody whose device has the plugin and a message type of the app's own. */
async function person(world, name, id = world.id(name)) {
  let classes;
  const device = world.device(sdk => {
    const { TypedMessagesPlugin, ...typed } = pluginOf(sdk, PLUGIN)(AV, sdk);
    classes = { ...typed, TextMessage: sdk.TextMessage, StickerMessage: sticker(sdk) };
    return { plugins: [TypedMessagesPlugin] };
  });
  device.realtime.register(classes.StickerMessage);
  return Object.assign(await device.login(id), { classes });
}

function sticker({ TypedMessage, messageType, messageField }) {
  class StickerMessage extends TypedMessage {
    constructor(pack) {
      super();
      this.pack = pack;
    }
  }
  messageField('pack')(StickerMessage);
  messageType(STICKER)(StickerMessage);
  return StickerMessage;
}

function messages({ classes }) {
  const files = Object.keys(TYPES).filter(name => name !== 'Location');
  return [
    new classes.TextMessage('words').setAttributes({ mood: 'fine' }),
    ...files.map(name => new classes[`${name}Message`](file(name)).setText(`a ${name}`)),
    new classes.LocationMessage(new AV.GeoPoint(39.9, 116.4)).setText('here'),
    new classes.StickerMessage({ name: '鸿雁', frames: [1, 2] }).setText('a sticker'),
  ];
}

/** A file that lies elsewhere, as it is once it has been saved. */
function file(name) {
  const made = AV.File.withURL(`${name} 文件.bin`, `https://files.example/${name}`, { width: 5, format: 'bin' });
  made.id = `file-of-${name}`;
  return made;
}

/** Every field of two messages that people see, and which class they are of. */
function same(found, message) {
  const seen = one => ({
    ...essence(one),
    name: one.constructor.name,
    type: one.type,
    text: one.text,
    attributes: one.attributes,
    summary: one.summary,
    content: one.getPayload(),
    file: one.getFile && [one.getFile().id, one.getFile().url(), one.getFile().name(), one.getFile().metaData()],
    location: one.getLocation?.().toJSON(),
  });
  assert.deepEqual(seen(found), seen(message));
}

async function keptAsTheyAre(view, sent) {
  const kept = await view.queryMessages();
  assert.equal(kept.length, sent.length);
  kept.forEach((message, index) => same(message, sent[index]));
}

async function byType(view, sent) {
  for (const type of [-1, ...Object.values(TYPES), STICKER]) {
    const found = await view.queryMessages({ type });
    const expected = sent.filter(message => message.type === type);
    assert.equal(expected.length, 1);
    assert.equal(found.length, 1);
    same(found[0], expected[0]);
  }
  assert.deepEqual(await view.queryMessages({ type: 8 }), []);
}

/**
 * A device that comes later has the last message from what it is told at its login, and from a query. SDKs do not
 * say there which conversation it is of.
 */
async function fromTheServer(world, id, last) {
  const laptop = await person(world, '', id);
  const [[unread]] = await laptop.listen('unreadmessagescountupdate').next();
  same(Object.assign(unread.lastMessage, { cid: last.cid }), last);
  const query = laptop.client.getQuery().equalTo('objectId', last.cid);
  const [queried] = await query.withLastMessagesRefreshed().find();
  same(Object.assign(queried.lastMessage, { cid: last.cid }), last);
}

async function edited(conversation, view, tom, jerry, image) {
  const heard = jerry.listen('messageupdate');
  const place = new tom.classes.LocationMessage(new AV.GeoPoint(1, 2)).setText('moved');
  const replaced = await conversation.update(image, place);
  const [message] = await heard.next();
  same(message, replaced);
  assert.ok(message instanceof jerry.classes.LocationMessage);
  const places = await view.queryMessages({ type: TYPES.Location });
  assert.deepEqual(places.map(({ text }) => text), ['moved', 'here']);
  assert.deepEqual(await view.queryMessages({ type: TYPES.Image }), []);
}

async function recalled(conversation, view, jerry, text) {
  const heard = jerry.listen('messagerecall');
  await conversation.recall(text);
  const [message] = await heard.next();
  const [found] = await view.queryMessages({ type: -127 });
  for (const one of [message, found]) {
    assert.deepEqual([one.constructor.name, one.type], ['RecalledMessage', -127]);
    assert.deepEqual(essence(one), essence(text));
  }
  assert.deepEqual(await view.queryMessages({ type: -1 }), []);
}
