import assert from 'node:assert/strict';

import { essence, texts } from '../checks.js';

const EXPIRED = 4323;

/** A few talk for a while; then it is as if they had never. */
export default async function temporary(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const conversation = await announced(tom, jerry);
  await sameMembers(tom, jerry, spike, conversation);
  await talk(tom, jerry, conversation);
  await away(tom, jerry, conversation);
  await foundByItsIdAlone(tom, jerry, spike, conversation);
  await expires(tom, jerry);
}

async function announced(tom, jerry) {
  const invited = jerry.listen('invited');
  const joined = jerry.listen('membersjoined');
  const conversation = await tom.client.createTemporaryConversation({ members: [jerry.id] });
  assert.match(conversation.id, /^_tmp:/);
  assert.equal(conversation.constructor.name, 'TemporaryConversation');
  const day = conversation.expiredAt - Date.now();
  assert.ok(day > 86_000_000 && day <= 86_400_000, `lives ${day} ms`);

  const [invitation, view] = await invited.next();
  assert.deepEqual([invitation.invitedBy, view.id], [tom.id, conversation.id]);
  assert.equal(view.constructor.name, 'TemporaryConversation');
  const [{ members }] = await joined.next();
  assert.deepEqual(members.sort(), [jerry.id, tom.id].sort());
  assert.deepEqual(view.members.sort(), [jerry.id, tom.id].sort());
  const left = view.expiredAt - Date.now();
  assert.ok(left > 86_000_000 && left <= 86_401_000, `lives ${left} ms more`);
  return conversation;
}

async function sameMembers(tom, jerry, spike, conversation) {
  const same = await jerry.client.createTemporaryConversation({ members: [tom.id], ttl: 60 });
  assert.equal(same.id, conversation.id);
  const invited = spike.listen('invited');
  const others = await tom.client.createTemporaryConversation({ members: [jerry.id, spike.id], ttl: 60 });
  assert.notEqual(others.id, conversation.id);
  // Finding the existing one tells nobody.
  const [, view] = await invited.next();
  assert.equal(view.id, others.id);
}

async function talk(tom, jerry, conversation) {
  const heard = jerry.listen('message');
  const sent = await tom.say(conversation, 'hello', { receipt: true });
  const [message, view] = await heard.next();
  assert.deepEqual(essence(message), essence(sent));
  assert.deepEqual([view.id, view.unreadMessagesCount], [conversation.id, 1]);
  const updated = jerry.listen('unreadmessagescountupdate');
  await view.read();
  await updated.until(() => view.unreadMessagesCount === 0);
  assert.deepEqual(texts(await view.queryMessages()), ['hello']);
  await jerry.say(view, 'hello yourself');
  assert.deepEqual(texts(await conversation.queryMessages()), ['hello', 'hello yourself']);
}

async function away(tom, jerry, conversation) {
  const gone = jerry.listen('offline');
  jerry.device.realtime.pause();
  await gone.next();
  await tom.say(conversation, 'missed');
  const updated = jerry.listen('unreadmessagescountupdate');
  const back = jerry.listen('reconnect');
  jerry.device.realtime.resume();
  await back.next();
  const view = await jerry.open(conversation);
  await updated.until(() => view.unreadMessagesCount === 1);
  assert.equal(view.lastMessage.text, 'missed');
}

async function foundByItsIdAlone(tom, jerry, spike, conversation) {
  const rows = await tom.client.getQuery().containsMembers([tom.id]).find();
  assert.deepEqual(
    rows.filter(({ id }) => id.startsWith('_tmp:')),
    [],
  );
  assert.equal(await spike.open(conversation), null);
  const [view] = await jerry.client.getConversations([conversation.id]);
  assert.equal(view.id, conversation.id);
}

/** The end comes while nobody does anything: what is said again and again is refused from then on. */
async function expires(tom, jerry) {
  const conversation = await tom.client.createTemporaryConversation({ members: [tom.id], ttl: 1 });
  const refusal = await untilRefused(() => conversation.queryMessages());
  assert.deepEqual([refusal.code, refusal.name], [EXPIRED, 'TEMPORARY_CONVERSATION_EXPIRED']);
  await assert.rejects(tom.say(conversation, 'too late'), { code: EXPIRED });

  const fresh = await tom.client.createTemporaryConversation({ members: [tom.id], ttl: 60 });
  assert.notEqual(fresh.id, conversation.id);
  assert.equal(await jerry.open(conversation), null);

  // A client that does not know when it ends hears it from the server.
  const stale = await tom.client.createTemporaryConversation({ members: [jerry.id], ttl: 60 });
  stale.id = conversation.id;
  await assert.rejects(stale.queryMessages(), { code: EXPIRED, name: 'TEMPORARY_CONVERSATION_EXPIRED' });
}

async function untilRefused(action) {
  for (;;) {
    try {
      await action();
    } catch (error) {
      return error;
    }
  }
}
