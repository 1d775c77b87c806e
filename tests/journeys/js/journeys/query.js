import assert from 'node:assert/strict';

import { ids } from '../checks.js';

/** Conversations are found by id, also by strangers, and by member; flags choose how much comes with them. */
export default async function query(world) {
  const tom = await world.login(world.id('tom'));
  const [jerry, spike] = [world.id('jerry'), world.id('spike')];
  const alpha = await tom.start([jerry], { name: 'alpha', color: 'red' });
  const beta = await tom.start([jerry, spike], { name: 'beta' });
  const gamma = await tom.start([], { name: 'gamma' });
  const said = await tom.say(beta, 'the last word');
  const found = { alpha, beta, gamma, said };

  await byId(await world.login(world.id('stranger')), found);
  await byMember(tom, jerry, spike, found);
  await pagesAndOrder(tom, found);
  await flags(world, tom.id, found);
}

async function byId(stranger, { alpha, beta }) {
  const view = await stranger.client.getConversation(alpha.id);
  assert.deepEqual([view.name, view.get('color')], ['alpha', 'red']);
  assert.deepEqual(view.members.sort(), alpha.members.sort());

  const unknown = '65f000000000000000000001';
  assert.equal(await stranger.client.getConversation(unknown), null);
  const several = await stranger.client.getConversations([beta.id, unknown, alpha.id]);
  assert.deepEqual(
    several.map(item => item?.name),
    ['beta', undefined, 'alpha'],
  );
}

async function byMember(tom, jerry, spike, { alpha, beta, gamma }) {
  const query = () => tom.client.getQuery();
  assert.deepEqual(ids(await query().find()).sort(), ids([alpha, beta, gamma]).sort());
  assert.deepEqual(ids(await query().containsMembers([spike]).find()), [beta.id]);
  assert.deepEqual(
    ids(await query().containsMembers([tom.id, jerry]).find()).sort(),
    ids([alpha, beta]).sort(),
  );
  assert.deepEqual(ids(await query().withMembers([jerry], true).find()), [alpha.id]);
  assert.deepEqual(await query().withMembers([jerry, 'nobody']).find(), []);
  assert.deepEqual(ids(await query().equalTo('m', spike).find()), [beta.id]);
}

async function pagesAndOrder(tom, { alpha, beta, gamma }) {
  const byName = () => tom.client.getQuery().containsMembers([tom.id]).ascending('name');
  assert.deepEqual(ids(await byName().find()), ids([alpha, beta, gamma]));
  assert.deepEqual(ids(await byName().limit(2).find()), ids([alpha, beta]));
  assert.deepEqual(ids(await byName().limit(1).skip(1).find()), [beta.id]);
  assert.deepEqual(ids(await byName().descending('name').limit(1).find()), [gamma.id]);
  assert.deepEqual(await byName().limit(0).find(), []);
}

/** Asked by fresh devices: the SDK would mix in what it knows already. */
async function flags(world, id, { alpha, beta, said }) {
  const ask = async choose => {
    const { client } = await world.login(id);
    const [view] = await choose(client.getQuery().equalTo('objectId', beta.id)).find();
    return view;
  };

  const plain = await ask(query => query);
  assert.deepEqual([plain.lastMessage, plain.lastMessageAt], [undefined, said.timestamp]);

  const compact = await ask(query => query.compact());
  assert.deepEqual([compact.name, compact.members], ['beta', []]);

  const full = await ask(query => query.withLastMessagesRefreshed());
  assert.equal(full.members.length, 3);
  const { text, from, timestamp } = full.lastMessage;
  assert.deepEqual(
    [full.lastMessage.id, text, from, timestamp],
    [said.id, 'the last word', id, said.timestamp],
  );

  const { client } = await world.login(id);
  const [silent] = await client.getQuery().equalTo('objectId', alpha.id).withLastMessagesRefreshed().find();
  assert.ok(!silent.lastMessage && !silent.lastMessageAt);
}
