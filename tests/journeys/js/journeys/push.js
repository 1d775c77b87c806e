import assert from 'node:assert/strict';

/** Who is away is told by its device: what is said there, until it mutes the conversation, and never what is transient. */
export default async function push(world) {
  const tom = await world.login(world.id('tom'));
  const jerryId = world.id('jerry');
  const device = { deviceType: 'android', installationId: `device of ${jerryId}`, registrationId: 'device-one' };
  await register(world, { ...device, channels: [jerryId] });
  const conversation = await tom.start([jerryId]);
  const pushed = alert => ({ pushData: { alert } });

  await tom.say(conversation, 'one', pushed('with its own content'));
  await tom.say(conversation, 'two');
  await tom.say(conversation, 'a whisper', { ...pushed('transient'), transient: true });

  const recalled = await tom.say(conversation, 'three', pushed('of a message that is recalled later'));
  await world.ask('pushed three');
  await conversation.recall(recalled);

  let jerry = await world.login(jerryId);
  await tom.say(conversation, 'four', pushed('to who is here'));
  await (await jerry.open(conversation)).mute();
  await jerry.client.close();
  await tom.say(conversation, 'five', pushed('muted'));

  jerry = await world.login(jerryId);
  await (await jerry.open(conversation)).unmute();
  await jerry.client.close();
  await tom.say(conversation, 'six', pushed('after all'));
  return { tom: tom.id, conversation: conversation.id };
}

async function register(world, installation) {
  const { http, appId, appKey } = world.config;
  const headers = { 'X-LC-Id': appId, 'X-LC-Key': appKey, 'Content-Type': 'application/json' };
  const answer = await fetch(`${http}/1.1/installations`, {
    method: 'POST',
    headers,
    body: JSON.stringify(installation),
  });
  assert.equal(answer.status, 201);
}
