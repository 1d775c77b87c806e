import assert from 'node:assert/strict';

import { ids, refused } from '../checks.js';

/** Conversations are found by id, also by strangers, by member and by any condition; flags choose what comes along. */
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
  await conditions(world);
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
  if (byName().first) assert.equal((await byName().first()).id, alpha.id); // not in SDK 4
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

/** Every condition and order that the SDK can express, over conversations of one's own. */
async function conditions(world) {
  const [ann, bob] = await world.people('ann', 'bob');
  const due = new Date(1_800_000_000_000);
  const red = await ann.start([bob.id], {
    name: 'Red.Room',
    attr: { color: { name: 'red' }, size: 3 },
    tags: ['a', 'b'],
    rank: 2,
    place: 1,
    due,
  });
  const blue = await ann.start([bob.id], {
    name: 'blue\\Eroom (2)',
    attr: { color: { name: 'blue' }, size: 10 },
    tags: ['b', 'c', 'd'],
    rank: 2,
    place: 2,
    due: new Date(due.getTime() + 1),
  });
  const green = await ann.start([], { name: '绿 room', rank: 1, place: 3, pinned: true });
  const names = new Map([
    [red.id, 'red'],
    [blue.id, 'blue'],
    [green.id, 'green'],
  ]);

  const mine = client => client.getQuery().containedIn('objectId', [...names.keys()]);
  const answer = async query => ids(await query.find()).map(id => names.get(id));
  /** Whom a condition meets, in the order of their places; anybody may ask. */
  const meets = async (condition, ...expected) => {
    assert.deepEqual(await answer(condition(mine(bob.client)).ascending('place')), expected, `${condition}`);
  };

  await meets(query => query.equalTo('rank', 2), 'red', 'blue');
  await meets(query => query.equalTo('rank', '2'));
  await meets(query => query.equalTo('pinned', true), 'green');
  await meets(query => query.equalTo('due', due), 'red');
  await meets(query => query.equalTo('tags', 'b'), 'red', 'blue');
  await meets(query => query.equalTo('attr.color.name', 'red'), 'red');
  await meets(query => query.equalTo('attr.color', { name: 'blue' }), 'blue');
  await meets(query => query.equalTo('c', ann.id), 'red', 'blue', 'green');
  await meets(query => query.notEqualTo('pinned', true), 'red', 'blue');
  await meets(query => query.notEqualTo('name', 'Red.Room'), 'blue', 'green');
  await meets(query => query.lessThan('attr.size', 10), 'red');
  await meets(query => query.lessThanOrEqualTo('attr.size', 10), 'red', 'blue');
  await meets(query => query.greaterThan('attr.size', 3), 'blue');
  await meets(query => query.greaterThanOrEqualTo('attr.size', 3).lessThan('attr.size', 10), 'red');
  await meets(query => query.greaterThan('due', due), 'blue');
  await meets(query => query.lessThanOrEqualTo('createdAt', green.createdAt), 'red', 'blue', 'green');
  await meets(query => query.greaterThan('updatedAt', green.updatedAt));
  await meets(query => query.exists('tags'), 'red', 'blue');
  await meets(query => query.exists('lm'));
  await meets(query => query.doesNotExist('attr.color'), 'green');
  await meets(query => query.containedIn('name', ['Red.Room', '绿 room']), 'red', 'green');
  await meets(query => query.containedIn('tags', ['c', 'x']), 'blue');
  await meets(query => query.notContainsIn('rank', [1, 3]), 'red', 'blue');
  await meets(query => query.containsAll('tags', ['b', 'a']), 'red');
  await meets(query => query.sizeEqualTo('tags', 3), 'blue');
  await meets(query => query.containsMembers([bob.id]), 'red', 'blue');
  await meets(query => query.withMembers([ann.id], true), 'red', 'blue');
  await meets(query => query.withMembers([ann.id]), 'green');
  await meets(query => query.contains('name', 'd.R'), 'red');
  await meets(query => query.contains('name', 'dxR'));
  await meets(query => query.contains('name', 'e\\Er'), 'blue');
  await meets(query => query.startsWith('name', 'Red.'), 'red');
  await meets(query => query.startsWith('name', 'ed'));
  await meets(query => query.endsWith('name', '(2)'), 'blue');
  await meets(query => query.endsWith('name', 'room'), 'green');
  await meets(query => query.matches('name', /^\u7eff\s\w+$/), 'green');
  await meets(query => query.matches('name', /ROOM$/i), 'red', 'green');
  await meets(query => query.matches('name', /^(red|BLUE)/im), 'red', 'blue');
  await meets(query => query.equalTo('m', bob.id).equalTo('unique', true));
  await meets(query => query.equalTo('tr', true));
  await meets(query => query.equalTo('nowhere', null), 'red', 'blue', 'green');

  const ordered = order => answer(order(mine(ann.client)));
  assert.deepEqual(await ordered(query => query.ascending('rank').addDescending('place')), ['green', 'blue', 'red']);
  assert.deepEqual(await ordered(query => query.descending('rank').addAscending('attr.size')), ['red', 'blue', 'green']);
  assert.deepEqual(await ordered(query => query.addDescending('attr.color.name')), ['red', 'blue', 'green']);
  assert.deepEqual(await ordered(query => query.addAscending('name').skip(1).limit(1)), ['blue']);

  await combined(bob, mine(bob.client), answer);
  assert.deepEqual(await bob.client.getChatRoomQuery().equalTo('c', ann.id).find(), []);
  assert.deepEqual(await bob.client.getServiceConversationQuery().equalTo('c', ann.id).find(), []);
  await refused(mine(bob.client).matches('name', /(?=r)/).find(), 4310, 'CONVERSATION_QUERY_FAILED');
}

/** Only SDK 5 combines queries. */
async function combined(bob, mine, answer) {
  const { and, or } = mine.constructor;
  if (!and) return;
  const query = () => bob.client.getQuery();
  const either = or.call(mine.constructor, query().equalTo('attr.size', 3), query().equalTo('pinned', true));
  const both = and.call(mine.constructor, mine, either, query().notEqualTo('rank', 1));
  assert.deepEqual(await answer(and.call(mine.constructor, mine, either).ascending('place')), ['red', 'green']);
  assert.deepEqual(await answer(both), ['red']);
}
