import assert from 'node:assert/strict';

import { News, storage, subscribeAs } from '../live-query.js';

/** An app that watches conversations with the storage SDK hears of each change, and of nobody else's. */
export default async function liveQuery(world) {
  const [tom, jerry, spike] = await world.people('tom', 'jerry', 'spike');
  const AV = storage(world.config);
  const mine = () => new AV.Query('_Conversation').equalTo('attr.topic', 'food');
  await assert.rejects(mine().subscribe(), { code: 403 });
  await assert.rejects(new AV.Query('Todo').subscribe(), { code: 403 });
  await subscribeAs(AV, jerry);
  await assert.rejects(new AV.Query('Todo').subscribe(), { code: 101 });
  const live = await mine().subscribe();
  const news = new News(live);

  await spike.start([tom.id], { attributes: {}, attr: { topic: 'food' } });
  const conversation = await creates(news, tom, jerry);
  await updates(news, conversation);
  await leavesAndEnters(news, conversation);
  await losesAndRegains(news, conversation, jerry);
  await reconnects(AV, news, conversation);
  await ends(AV, live, news, conversation, mine);
}

async function creates(news, tom, jerry) {
  const conversation = await tom.start([jerry.id], { name: 'lunch', attr: { topic: 'food' } });
  const [op, object, keys] = await news.next();
  assert.deepEqual([op, object.id, object.className, keys], ['create', conversation.id, '_Conversation', undefined]);
  assert.deepEqual([object.get('name'), object.get('attr')], ['lunch', { topic: 'food' }]);
  assert.deepEqual(object.get('m').sort(), [tom.id, jerry.id].sort());
  assert.deepEqual([object.get('c'), object.createdAt], [tom.id, conversation.createdAt]);
  return conversation;
}

async function updates(news, conversation) {
  conversation.name = 'dinner';
  await conversation.save();
  const [op, object, keys] = await news.next();
  assert.deepEqual([op, object.id, object.get('name')], ['update', conversation.id, 'dinner']);
  assert.deepEqual(keys, ['name']);
  await conversation.add(['somebody']);
  const [, { attributes }, changed] = await news.next();
  assert.ok(attributes.m.includes('somebody'));
  assert.deepEqual(changed, ['m']);
}

async function leavesAndEnters(news, conversation) {
  for (const [topic, expected] of [
    ['work', 'leave'],
    ['food', 'enter'],
  ]) {
    conversation.set('attr', { topic });
    await conversation.save();
    const [op, object, keys] = await news.next();
    assert.deepEqual([op, object.id, object.get('attr'), keys], [expected, conversation.id, { topic }, ['attr']]);
  }
}

async function losesAndRegains(news, conversation, jerry) {
  await conversation.remove([jerry.id]);
  const [op, object] = await news.next();
  assert.deepEqual([op, object.id, object.get('name')], ['leave', conversation.id, undefined]);
  conversation.name = 'secret';
  await conversation.save();
  await conversation.add([jerry.id]);
  assert.equal((await news.next())[0], 'enter');
}

async function reconnects(AV, news, conversation) {
  const { realtime } = AV._config;
  const [client] = Object.values(realtime._liveQueryClients);
  const back = new Promise(resolve => client.once('reconnect', resolve));
  AV.LiveQuery.pause();
  AV.LiveQuery.resume();
  await back;
  conversation.name = 'after the break';
  await conversation.save();
  const [op, object] = await news.next();
  assert.deepEqual([op, object.get('name')], ['update', 'after the break']);
}

async function ends(AV, live, news, conversation, query) {
  const second = await query().select('name').subscribe();
  const its = new News(second);
  await live.unsubscribe();
  conversation.name = 'goodbye';
  await conversation.save();
  const [op, object] = await its.next();
  assert.deepEqual([op, object.get('name'), object.get('m')], ['update', 'goodbye', undefined]);
  assert.ok(!news.all.hasNews);
  await second.unsubscribe();
}
