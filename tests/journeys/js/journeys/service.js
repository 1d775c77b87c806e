import assert from 'node:assert/strict';

import { ids, texts } from '../checks.js';

/** A service account: clients subscribe, hear broadcasts and what is for them alone, answer, and leave. */
export default async function service(world) {
  const name = world.id('news');
  const account = await Account.make(world, name);
  const [tom, jerry] = await world.people('tom', 'jerry');

  const view = await found(tom, account, name);
  await subscribes(tom, jerry, account, view);
  const sent = await hears(tom, jerry, account, view);
  await answers(tom, jerry, account, view, sent);
  await isEdited(tom, account, view);
  await mutes(tom, view);
  await isAwayAndLeaves(world, tom, account);
}

/** What the application does, by REST. */
class Account {
  static async make(world, name) {
    const { objectId } = await world.rest('POST', '/service-conversations', { name });
    return new Account(world, objectId);
  }

  constructor(world, id) {
    this.world = world;
    this.id = id;
  }

  call(method, path, body) {
    return this.world.rest(method, `/service-conversations/${this.id}${path}`, { from_client: 'editor', ...body });
  }

  broadcast(text) {
    return this.call('POST', '/broadcasts', { message: body(text) });
  }

  tell(client, text) {
    return this.call('POST', '/messages', { message: body(text), to_clients: [client] });
  }
}

function body(text) {
  return { _lctype: -1, _lctext: text };
}

async function found(tom, account, name) {
  const query = tom.client.getServiceConversationQuery().equalTo('name', name);
  const [view, ...others] = await query.find();
  assert.deepEqual([others, view.id, view.constructor.name], [[], account.id, 'ServiceConversation']);
  assert.deepEqual([view.name, view.system, view.get('joined')], [name, true, false]);
  assert.deepEqual(ids(await tom.client.getQuery().equalTo('name', name).find()), [account.id]);
  assert.deepEqual(await tom.client.getQuery().containsMembers([tom.id]).equalTo('name', name).find(), []);
  return view;
}

async function subscribes(tom, jerry, account, view) {
  const told = jerry.listen('membersjoined');
  const invited = tom.listen('invited');
  await view.subscribe();
  const [by] = await invited.next();
  assert.equal(by.invitedBy, tom.id);
  await (await jerry.open(account)).subscribe();
  const fresh = await tom.client.getConversation(account.id, true);
  assert.deepEqual([fresh.get('joined'), fresh.muted, await view.count()], [true, false, 2]);
  assert.ok(!told.hasNews);
}

async function hears(tom, jerry, account, view) {
  const heard = [tom, jerry].map(person => person.listen('message'));
  const sent = await account.broadcast('for all');
  for (const recorder of heard) {
    const [message, conversation] = await recorder.next();
    assert.deepEqual(
      [conversation.id, message.id, message.text, message.from, message.timestamp.getTime()],
      [account.id, sent['msg-id'], 'for all', 'editor', sent.timestamp],
    );
  }
  await account.tell(tom.id, 'for tom');
  const [message] = await heard[0].next();
  assert.deepEqual([message.text, message.cid], ['for tom', account.id]);
  await account.broadcast('for all again');
  assert.equal((await heard[1].next())[0].text, 'for all again');
  await heard[0].next();
  assert.equal(view.lastMessage.text, 'for all again');
  return ['for all', 'for tom', 'for all again'];
}

async function answers(tom, jerry, account, view, sent) {
  const heard = jerry.listen('message');
  const answer = await tom.say(view, 'thanks');
  assert.ok(answer.id && answer.timestamp);
  const whole = await view.queryMessages();
  assert.deepEqual(texts(whole), [...sent, 'thanks']);
  const pages = view.createMessagesIterator({ limit: 3 });
  assert.deepEqual(texts((await pages.next()).value), [...sent.slice(1), 'thanks']);
  assert.deepEqual(texts((await pages.next()).value), sent.slice(0, 1));

  const jerrys = await (await jerry.open(account)).queryMessages();
  assert.deepEqual(texts(jerrys), ['for all', 'for all again']);
  const [newest] = await account.world.rest(
    'GET',
    `/service-conversations/${account.id}/subscribers/${tom.id}/messages?limit=1`,
  );
  assert.deepEqual([newest['msg-id'], newest.from], [answer.id, tom.id]);
  assert.ok(!heard.hasNews);
}

async function isEdited(tom, account, view) {
  const [updated, recalled] = ['messageupdate', 'messagerecall'].map(event => tom.listen(event));
  const heard = tom.listen('message');
  const all = await account.broadcast('a mistake');
  await account.call('PUT', `/messages/${all['msg-id']}`, { timestamp: all.timestamp, message: body('corrected') });
  const [message] = await updated.next();
  assert.deepEqual([message.id, message.text], [all['msg-id'], 'corrected']);

  const own = await account.tell(tom.id, 'another');
  const which = { timestamp: own.timestamp, to_clients: [tom.id] };
  await account.call('PUT', `/messages/${own['msg-id']}/recall`, which);
  const [gone] = await recalled.next();
  assert.deepEqual([gone.id, gone.cid, gone.type], [own['msg-id'], account.id, -127]);
  await heard.take(2);
  const kept = (await view.queryMessages()).slice(-2);
  assert.deepEqual([kept[0].text, kept[1].type], ['corrected', -127]);
}

async function mutes(tom, view) {
  await view.mute();
  assert.equal((await tom.client.getConversation(view.id, true)).muted, true);
  await view.unmute();
  assert.equal((await tom.client.getConversation(view.id, true)).muted, false);
}

async function isAwayAndLeaves(world, tom, account) {
  await (await tom.open(account)).read();
  await tom.client.close();
  await account.broadcast('missed by all');
  await account.tell(tom.id, 'missed by tom');
  const phone = await world.login(tom.id);
  const updates = phone.listen('unreadmessagescountupdate');
  const [views] = await updates.find(conversations => conversations.some(({ id }) => id === account.id));
  const view = views.find(({ id }) => id === account.id);
  assert.deepEqual([view.unreadMessagesCount, view.lastMessage.text], [2, 'missed by tom']);
  await view.read();
  await updates.until(() => view.unreadMessagesCount === 0);

  const left = phone.listen('kicked');
  const heard = phone.listen('message');
  await view.unsubscribe();
  await left.next();
  await account.broadcast('not for tom');
  await account.tell(tom.id, 'still for tom');
  assert.equal((await heard.next())[0].text, 'still for tom');
  assert.equal((await phone.client.getConversation(account.id, true)).get('joined'), false);
  await phone.client.close();
}
