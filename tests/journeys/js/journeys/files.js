import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import AV from 'leancloud-storage';

import { pluginOf } from '../plugins.js';

const PLUGIN = 'leancloud-realtime-plugin-typed-messages';
/** The smallest PNG there is: one pixel. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
/** From this size on the SDK sends a file in parts. */
const IN_PARTS = 64 * 1024 * 1024;

/** Files that one client uploads reach another one, who fetches them byte for byte: live, and from the history. */
export default async function files(world) {
  const { appId, appKey, http } = world.config;
  AV.init({ appId, appKey, serverURL: http });
  const [tom, jerry] = [await person(world, 'tom'), await person(world, 'jerry')];
  const conversation = await tom.start([jerry.id]);
  const heard = jerry.listen('message');
  const sent = [];
  for (const [type, file, content] of await uploaded(tom)) {
    const message = await conversation.send(new tom.classes[type](file).setText(`a ${type}`));
    const [received] = await heard.next();
    assert.ok(received instanceof jerry.classes[type]);
    await reaches(received, file, content);
    sent.push([message.id, file, content]);
  }
  const view = await jerry.open(conversation);
  const kept = await view.queryMessages();
  assert.deepEqual(kept.map(({ id }) => id), sent.map(([id]) => id));
  for (const [index, [, file, content]] of sent.entries()) await reaches(kept[index], file, content);
  await known(sent[0][1], sent[0][2]);
  await refused();
  await elsewhere();
}

async function person(world, name) {
  let classes;
  const device = world.device(sdk => {
    const { TypedMessagesPlugin, ...typed } = pluginOf(sdk, PLUGIN)(AV, sdk);
    classes = typed;
    return { plugins: [TypedMessagesPlugin] };
  });
  return Object.assign(await device.login(world.id(name)), { classes });
}

/** One file for each form in which the SDK takes content. */
async function uploaded() {
  const [sound, words, film, large] = [randomBytes(70_000), Buffer.from('你好，鸿雁\n'), randomBytes(200_000), randomBytes(IN_PARTS)];
  const made = [
    ['ImageMessage', new AV.File('日落 sunset.png', PIXEL), PIXEL],
    ['AudioMessage', new AV.File('voice.mp3', { base64: sound.toString('base64') }), sound],
    ['FileMessage', new AV.File('read me.txt', [...words]), words],
    ['VideoMessage', new AV.File('film.mp4', Readable.from([film.subarray(0, 5), film.subarray(5)], { objectMode: false })), film],
    ['FileMessage', new AV.File('large.bin', large), large],
  ];
  for (const [, file] of made) await file.save({ keepFileName: file.name() === 'read me.txt' });
  return made;
}

async function reaches(message, file, content) {
  const found = message.getFile();
  assert.deepEqual([found.id, found.url(), found.name()], [file.id, file.url(), file.name()]);
  const answer = await fetch(found.url());
  assert.equal(answer.status, 200);
  const bytes = Buffer.from(await answer.arrayBuffer());
  assert.equal(bytes.length, content.length);
  assert.deepEqual(digest(bytes), digest(content));
}

const digest = bytes => createHash('sha256').update(bytes).digest('hex');

/** What the SDK asks of a file again, and the URL that it makes for a thumbnail. */
async function known(file, content) {
  const again = AV.File.createWithoutData(file.id);
  await again.fetch();
  assert.deepEqual(
    [again.name(), again.url(), again.get('mime_type'), again.size()],
    [file.name(), file.url(), 'image/png', content.length],
  );
  const small = await fetch(file.thumbnailURL(100, 100));
  assert.deepEqual([small.status, small.headers.get('content-type')], [200, 'image/png']);
}

/** Neither a list of all files, nor the deletion of one, is for everybody who has the app's key. */
async function refused() {
  await assert.rejects(new AV.Query('_File').find(), { code: 403 });
  await assert.rejects(AV.File.createWithoutData('0123456789abcdef01234567').destroy(), { code: 403 });
}

async function elsewhere() {
  const file = AV.File.withURL('logo', 'https://files.example/logo.png');
  await file.save();
  const again = AV.File.createWithoutData(file.id);
  await again.fetch();
  assert.equal(again.url(), 'https://files.example/logo.png');
}
