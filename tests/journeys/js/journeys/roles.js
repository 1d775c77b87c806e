import assert from 'node:assert/strict';

import { refused } from '../checks.js';

/** The owner makes a manager, everybody is told and can look it up, and nobody rises by itself. */
export default async function roles(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const { OWNER, MANAGER, MEMBER } = tom.sdk.ConversationMemberRole;
  const news = [jerry, spike].map(person => person.listen('memberinfoupdated'));
  const announced = [jerry, spike].map(person => person.listen('membersjoined'));
  const own = await tom.start([jerry.id, spike.id]);
  await Promise.all(announced.map(each => each.next()));
  const [jerrys, spikes] = await Promise.all([jerry, spike].map(person => person.open(own)));
  const found = async (view, options) =>
    Object.fromEntries((await view.getAllMemberInfo(options)).map(info => [info.memberId, info.role]));

  assert.deepEqual(await found(own), { [tom.id]: OWNER, [jerry.id]: MEMBER, [spike.id]: MEMBER });
  await refused(spikes.updateMemberRole(spike.id, MANAGER), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
  await assert.rejects(own.updateMemberRole(jerry.id, OWNER), { code: 5130 });

  assert.equal(await own.updateMemberRole(jerry.id, MANAGER), own);
  for (const each of news) {
    const [{ member, memberInfo, updatedBy }, view] = await each.next();
    assert.deepEqual([member, memberInfo.role, updatedBy, view.id], [jerry.id, MANAGER, tom.id, own.id]);
  }
  const given = { [tom.id]: OWNER, [jerry.id]: MANAGER, [spike.id]: MEMBER };
  for (const view of [own, jerrys, spikes]) assert.deepEqual(await found(view, { noCache: true }), given);
  const info = await spikes.getMemberInfo(tom.id);
  assert.deepEqual([info.conversationId, info.isOwner], [own.id, true]);

  await refused(jerrys.updateMemberRole(jerry.id, MEMBER), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
  await refused(spikes.remove(jerry.id), 4320, 'CONVERSATION_OPERATION_UNAUTHORIZED');
  await refused(own.quit(), 4324, 'CONVERSATION_NEED_OWNER');
  const { successfulClientIds, failures } = await jerrys.remove([tom.id, spike.id]);
  assert.deepEqual(successfulClientIds, [spike.id]);
  assert.deepEqual(
    failures.map(({ code, name, clientIds }) => [code, name, clientIds]),
    [[4324, 'CONVERSATION_NEED_OWNER', [tom.id]]],
  );
}
