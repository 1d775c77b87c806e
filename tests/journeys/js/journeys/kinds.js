import assert from 'node:assert/strict';

import { essence, texts } from '../checks.js';

const CLASSES = {
  group: 'Conversation',
  room: 'ChatRoom',
  account: 'ServiceConversation',
  short: 'TemporaryConversation',
};
const KINDS = Object.keys(CLASSES);
/** Where messages wait for who is away. */
const WAITING = KINDS.filter(kind => kind !== 'room');

/** One client in conversations of all kinds at once: what is said in each arrives there, and waits where it should. */
export default async function kinds(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const stage = await Stage.make(world, tom, jerry);
  const heard = jerry.listen('message');
  const views = await arrives(stage, heard);
  await areRead(world, stage, jerry, views);
  await waits(stage, jerry, heard, views);
  await isBack(stage, jerry, heard, views);
  await elsewhere(world, stage, jerry, views);
}

/** One conversation of each kind, `rows`, in all of which jerry is and tom speaks, or the application for itself. */
class Stage {
  static async make(world, tom, jerry) {
    const { objectId } = await world.rest('POST', '/service-conversations', { name: world.id('news') });
    const rows = {
      group: await tom.start([jerry.id]),
      room: await tom.client.createChatRoom({ name: 'hall' }),
      account: { id: objectId },
      short: await tom.client.createTemporaryConversation({ members: [jerry.id], ttl: 600 }),
    };
    await (await jerry.open(rows.room)).join();
    await (await jerry.open(rows.account)).subscribe();
    return new Stage(world, tom, rows);
  }

  constructor(world, tom, rows) {
    this.world = world;
    this.tom = tom;
    this.rows = rows;
  }

  kindOf({ id }) {
    return KINDS.find(kind => this.rows[kind].id === id);
  }

  async say(kind, words) {
    if (kind !== 'account') return essence(await this.tom.say(this.rows[kind], words));
    const { id } = this.rows.account;
    const message = { _lctype: -1, _lctext: words };
    const sent = await this.world.rest('POST', `/service-conversations/${id}/broadcasts`, {
      from_client: 'editor',
      message,
    });
    return { id: sent['msg-id'], cid: id, from: 'editor', timestamp: sent.timestamp };
  }

  /** Says it in all conversations without waiting for one before the next; answers the messages by kind. */
  async sayEverywhere(words) {
    const said = await Promise.all(KINDS.map(kind => this.say(kind, `${words} ${kind}`)));
    return Object.fromEntries(KINDS.map((kind, index) => [kind, said[index]]));
  }

  /** What was said everywhere is heard once in each, in its conversation; answers the views by kind. */
  async hears(heard, words) {
    const said = await this.sayEverywhere(words);
    const views = {};
    while (Object.keys(views).length < KINDS.length) {
      const [message, view] = await heard.next();
      const kind = this.kindOf(view);
      assert.ok(!(kind in views), `${kind} twice`);
      assert.deepEqual([essence(message), message.text], [said[kind], `${words} ${kind}`]);
      assert.equal(view.constructor.name, CLASSES[kind]);
      assert.equal(view.lastMessage.id, message.id);
      views[kind] = view;
    }
    return views;
  }
}

async function arrives(stage, heard) {
  const views = await stage.hears(heard, 'hello');
  const flags = KINDS.map(kind => [kind, Boolean(views[kind].transient), Boolean(views[kind].system)]);
  assert.deepEqual(flags, [
    ['group', false, false],
    ['room', true, false],
    ['account', false, true],
    ['short', false, false],
  ]);
  return views;
}

/** The tablet of the client shows that it was read; SDKs tell the server of one conversation a second. */
async function areRead(world, stage, jerry, views) {
  const tablet = await world.login(jerry.id);
  const updates = tablet.listen('unreadmessagescountupdate');
  const count = kind => named(updates, stage, kind)?.unreadMessagesCount;
  await updates.until(() => WAITING.every(kind => count(kind) === 1));
  for (const kind of WAITING) await views[kind].read();
  await updates.until(() => WAITING.every(kind => count(kind) === 0));
  await tablet.client.close();
}

/** Twice something is said while the line is cut; all of it is counted but that of the chat room, and none comes late. */
async function waits(stage, jerry, heard, views) {
  const inRoom = views.room.unreadMessagesCount; // SDKs count there what they hear, by themselves
  const gone = jerry.listen('offline');
  jerry.device.realtime.pause();
  await gone.next();
  const said = [];
  for (const words of ['missed', 'missed too']) said.push(await stage.sayEverywhere(words));

  const updates = jerry.listen('unreadmessagescountupdate');
  const back = jerry.listen('reconnect');
  jerry.device.realtime.resume();
  await back.next();
  await updates.until(() => WAITING.every(kind => views[kind].unreadMessagesCount === 2));
  for (const kind of WAITING) assert.equal(views[kind].lastMessage.id, said[1][kind].id);
  assert.equal(named(updates, stage, 'room'), undefined);
  assert.equal(views.room.unreadMessagesCount, inRoom);
  assert.ok(!heard.hasNews);
}

/** It is in its chat room again without asking, and finds there what it missed. */
async function isBack(stage, jerry, heard, views) {
  assert.equal(await stage.rows.room.count(), 2);
  const again = await stage.hears(heard, 'live');
  for (const kind of KINDS) assert.equal(again[kind], views[kind]);
  for (const kind of WAITING) assert.equal(views[kind].unreadMessagesCount, 3);
  const all = kind => ['hello', 'missed', 'missed too', 'live'].map(words => `${words} ${kind}`);
  for (const kind of KINDS) assert.deepEqual(texts(await views[kind].queryMessages()), all(kind));
}

/** Another device of the client learns of all of them by what waits, but for the chat room: there it is not. */
async function elsewhere(world, stage, jerry, views) {
  const phone = await world.login(jerry.id);
  const updates = phone.listen('unreadmessagescountupdate');
  await updates.until(() => WAITING.every(kind => named(updates, stage, kind)));
  for (const kind of WAITING) {
    const view = named(updates, stage, kind);
    assert.deepEqual([view.constructor.name, view.unreadMessagesCount], [CLASSES[kind], 3]);
  }
  const heard = phone.listen('message');
  for (const kind of ['room', ...WAITING]) await stage.say(kind, `for all ${kind}`);
  const where = [];
  while (where.length < WAITING.length) where.push(stage.kindOf((await heard.next())[1]));
  assert.deepEqual(where.sort(), [...WAITING].sort());
  assert.equal(named(updates, stage, 'room'), undefined);

  await views.room.quit();
  assert.equal(await stage.rows.room.count(), 1);
  await (await phone.open(stage.rows.room)).join();
  await stage.hears(heard, 'from now on');
}

/** The conversation of this kind, if updates of the counts have named it. */
function named(updates, stage, kind) {
  return updates.items.flat(2).find(view => stage.kindOf(view) === kind);
}
