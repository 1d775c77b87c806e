import assert from 'node:assert/strict';

import { refused } from '../checks.js';
import { factories, forgers } from '../signing.js';

const LOGIN = [4102, 'SIGNATURE_FAILED'];
const CONVERSATION = [4302, 'CONVERSATION_SIGNATURE_FAILED'];
const [BLOCK, UNBLOCK] = ['conversation-block-clients', 'conversation-unblock-clients'];
const BLACKLIST = [4546, 'BLACKLIST_SIGNATURE_FAILED'];

/** In an app that wants signatures, what its own server has signed is done, and nothing else. */
export default async function signatures(world) {
  const good = factories(world.config);
  const wrong = forgers(world.config);
  const { signatureFactory } = good;
  const id = world.id('tom');

  await refused(world.device().login(id), ...LOGIN);
  await refused(world.device().login(id, wrong), ...LOGIN);
  await refused(world.device().login(id, { signatureFactory: () => signatureFactory(world.id('jerry')) }), ...LOGIN);
  const tom = await world.device().login(id, good);
  const jerry = await world.device().login(world.id('jerry'), good);

  const conversation = await members(tom, jerry);
  await withoutRight(world, { signatureFactory }, conversation);
  await withoutRight(world, { ...wrong, signatureFactory }, conversation);
  await blocking(world, tom, jerry, good, wrong);
  await reconnecting(tom, conversation);
}

async function members(tom, jerry) {
  const conversation = await tom.start(['spike', 'Butch', '鸿雁']);
  await conversation.add([jerry.id, 'tyke']);
  await conversation.remove([jerry.id, 'spike']);
  const joined = await (await jerry.open(conversation)).join();
  assert.ok(joined.members.includes(jerry.id));
  await joined.quit();
  assert.ok(await tom.client.createConversation({ members: ['spike'] }), 'the one of these members');
  return conversation;
}

async function withoutRight(world, options, conversation) {
  const eve = await world.device().login(world.id('eve'), options);
  await refused(eve.start(['spike']), ...CONVERSATION);
  const view = await eve.open(conversation);
  await refused(view.join(), ...CONVERSATION);
  await refused(view.add(['spike']), ...CONVERSATION);
  await refused(view.remove(['spike']), ...CONVERSATION);
}

/** The right to change conversations is none to block, not even for an owner. */
async function blocking(world, tom, jerry, good, wrong) {
  const conversation = await tom.start([jerry.id, 'spike']);
  const { blacklistSignatureFactory, ...others } = good;
  const ofTheOther = (first, second, members, action) =>
    blacklistSignatureFactory(first, second, members, action === BLOCK ? UNBLOCK : BLOCK);
  const ofOthers = (first, second, members, action) => blacklistSignatureFactory(first, second, ['spike'], action);
  for (const factory of [undefined, wrong.blacklistSignatureFactory, ofTheOther, ofOthers]) {
    const toms = await world.device().login(tom.id, { ...others, blacklistSignatureFactory: factory });
    const view = await toms.open(conversation);
    await refused(view.blockMembers([jerry.id]), ...BLACKLIST);
    await refused(view.unblockMembers([jerry.id]), ...BLACKLIST);
  }
  assert.deepEqual((await conversation.queryBlockedMembers()).results, [], 'what was refused has done nothing');

  const blocked = jerry.listen('blocked');
  const both = [jerry.id, '鸿雁'].sort();
  const { successfulClientIds } = await conversation.blockMembers(['鸿雁', jerry.id]);
  assert.deepEqual(successfulClientIds.sort(), both);
  assert.equal((await blocked.next())[0].blockedBy, tom.id);
  assert.deepEqual((await conversation.queryBlockedMembers()).results.sort(), both);
  await refused((await jerry.open(conversation)).join(), 4548, 'BLOCKED_BY_CONV');
  const unblocked = jerry.listen('unblocked');
  await conversation.unblockMembers([jerry.id]);
  assert.equal((await unblocked.next())[0].unblockedBy, tom.id);
  await (await jerry.open(conversation)).join();
}

/** The session token takes the signature's place; without either the SDK must be logged in anew. */
async function reconnecting(tom, conversation) {
  await tom.reconnect();
  await tom.say(conversation, 'back');
  tom.client._sessionManager.setSessionToken('not a token', 3600);
  const failed = tom.listen('reconnecterror');
  tom.device.realtime.pause();
  tom.device.realtime.resume();
  const [error] = await failed.next();
  assert.deepEqual([error.code, error.name], LOGIN);
}
