import assert from 'node:assert/strict';

import { storage } from '../storage.js';


/** People sign up and log in with the storage SDK, and their users talk with the realtime SDK. */
export default async function users(world) {
  const AV = storage(world.config);
  const name = world.id('Tom 汤姆');
  const created = new AV.User();
  created.setUsername(name).setPassword('open sesame').set('nick', 'Tommy');
  const signedUp = await created.signUp();
  assert.ok(signedUp.getSessionToken());
  await rejects(new AV.User({ username: name, password: 'x' }).signUp(), 202);

  const tom = await AV.User.logIn(name, 'open sesame');
  assert.equal(tom.id, signedUp.id);
  assert.equal(tom.get('nick'), 'Tommy');
  assert.ok(await tom.isAuthenticated());
  await changing(AV, tom);
  await talking(world, AV, tom);
  await anonymous(world, AV);
  await wrongWays(AV, name, tom);
  await withMasterKey(world, AV, tom);
}

/** The same token logs in to IM: the SDK asks for a signature. */
async function talking(world, AV, tom) {
  const jerryUser = await new AV.User({ username: world.id('jerry'), password: 'cheese' }).signUp();
  const toms = await world.device().login(tom);
  const jerrys = await world.device().login(jerryUser);
  assert.deepEqual([toms.id, jerrys.id], [tom.id, jerryUser.id]);
  const heard = jerrys.listen('message');
  const sent = await toms.say(await toms.start([jerryUser.id]), 'hello');
  const [received] = await heard.next();
  assert.deepEqual([received.id, received.from], [sent.id, tom.id]);
  await toms.reconnect();

  await AV.User.become(tom.getSessionToken());
  const seen = await AV.Object.createWithoutData('_User', jerryUser.id).fetch();
  assert.equal(seen.get('username'), jerryUser.get('username'));
  seen.set('nick', 'a mouse');
  await rejects(seen.save(), 206);
}

async function changing(AV, tom) {
  tom.set('nick', 'Thomas').increment('lives', 9).addUnique('friends', 'spike');
  await tom.save(null, { fetchWhenSave: true });
  assert.deepEqual([tom.get('nick'), tom.get('lives'), tom.get('friends')], ['Thomas', 9, ['spike']]);
  const before = tom.getSessionToken();
  await tom.updatePassword('open sesame', 'open barley');
  assert.notEqual(tom.getSessionToken(), before);
  await rejects(AV.User.become(before), 211);
  await tom.refreshSessionToken();
  const found = await AV.User.become(tom.getSessionToken());
  assert.equal(found.get('nick'), 'Thomas');
  await tom.fetch();
}

async function anonymous(world, AV) {
  const first = await AV.User.loginAnonymously();
  const device = await world.device().login(first);
  assert.equal(device.id, first.id);
  const { id } = first.get('authData').anonymous;
  const again = await AV.User.loginWithAuthData({ id }, 'anonymous');
  assert.equal(again.id, first.id);
  await rejects(AV.User.loginWithAuthData({ openid: 'x', access_token: 'y' }, 'weixin'), 251);
}

async function wrongWays(AV, name, tom) {
  await rejects(AV.User.logIn(name, 'open sesame'), 210);
  await rejects(AV.User.logIn(`${name}!`, 'open sesame'), 211);
  await rejects(AV.User.become('no such token'), 211);
  await rejects(new AV.Query('_User').find(), 403);
  await rejects(AV.User.requestPasswordReset('tom@example.com'), 1);
  await AV.User.become(tom.getSessionToken());
}

async function withMasterKey(world, AV, tom) {
  AV._config.useMasterKey = true;
  const query = new AV.Query('_User').equalTo('nick', 'Thomas').equalTo('objectId', tom.id);
  assert.deepEqual((await query.find()).map(user => user.id), [tom.id]);
  assert.equal(await query.count(), 1);
  const long = AV.Query.or(query, ...Array.from({ length: 40 }, (_, i) => new AV.Query('_User').equalTo('nick', `${i}`.padEnd(60, 'x'))));
  assert.deepEqual((await long.find()).map(user => user.id), [tom.id], 'a long query comes as a batch');
  await AV.Object.fetchAll([AV.Object.createWithoutData('_User', tom.id)]);
  const device = new AV.Installation({ deviceType: 'android', installationId: world.id('device-of-somebody') });
  device.add('channels', tom.id);
  await device.save();
  assert.deepEqual((await new AV.Query('_Installation').get(device.id)).get('channels'), [tom.id]);
  await device.destroy();
  await tom.destroy();
  AV._config.useMasterKey = false;
  await rejects(AV.Object.createWithoutData('_User', tom.id).fetch(), 211);
}

async function rejects(promise, code) {
  await assert.rejects(promise, error => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}
