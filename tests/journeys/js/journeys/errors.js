import assert from 'node:assert/strict';

import { refused } from '../checks.js';

const UNKNOWN = '65f000000000000000000001';

/** What cannot be done is refused with the documented code and name, and the connection goes on. */
export default async function errors(world) {
  const [tom, stranger] = await world.people('tom', 'stranger');
  const conversation = await tom.start([world.id('jerry')]);
  await tom.say(conversation, 'private');

  await logins(world);
  await unknownConversation(tom);
  await foreignConversation(stranger, conversation, tom);
  await tooLong(tom, conversation);

  assert.deepEqual(await tom.client.ping([tom.id, stranger.id]), [tom.id, stranger.id]);
}

async function logins(world) {
  const { server, gateway } = world.config;
  await refused(world.device().login('x'.repeat(65)), 4103, 'INVALID_LOGIN');
  await refused(
    world.device({ appId: 'no-such-app', server, RTMServers: gateway }).login(world.id('tom')),
    4100,
    'APP_NOT_AVAILABLE',
  );
  await assert.rejects(world.device({ appId: 'no-such-app-either' }).login(world.id('tom')), error => {
    assert.ok([400, 404].includes(error.response.status));
    return true;
  });
}

async function unknownConversation(tom) {
  const nowhere = await tom.client.parseConversation({ id: UNKNOWN, members: [tom.id] });
  const message = tom.text('anybody?');
  await refused(nowhere.send(message), 4401, 'INVALID_MESSAGING_TARGET');
  assert.equal(message.status, tom.sdk.MessageStatus.FAILED);
  await refused(nowhere.join(), 4303, 'CONVERSATION_NOT_FOUND');
  await refused(nowhere.add(['jerry']), 4303, 'CONVERSATION_NOT_FOUND');
  await refused(nowhere.quit(), 4303, 'CONVERSATION_NOT_FOUND');
  await refused(nowhere.queryMessages(), 4303, 'CONVERSATION_NOT_FOUND');
}

async function foreignConversation(stranger, conversation, tom) {
  const view = await stranger.open(conversation);
  await refused(stranger.say(view, 'let me in'), 4401, 'INVALID_MESSAGING_TARGET');
  await refused(view.queryMessages(), 4312, 'CONVERSATION_LOG_REJECTED');
  await refused(view.add(['somebody']), 4317, 'CONVERSATION_MEMBERSHIP_REQUIRED');
  await refused(view.remove([tom.id]), 4317, 'CONVERSATION_MEMBERSHIP_REQUIRED');
}

async function tooLong(tom, conversation) {
  await refused(tom.say(conversation, 'x'.repeat(6000)), 4109, 'FRAME_TOO_LONG');
  await tom.say(conversation, 'x'.repeat(4000));
}
