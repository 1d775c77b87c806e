import assert from 'node:assert/strict';

import { assertIncreasing, essence, texts } from '../checks.js';
import { Recorder } from '../recorder.js';

/** The server goes away, killed or in good order, and comes back: the SDKs carry on, nothing is lost. */
export default async function restart(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const spikeId = world.id('spike');
  const conversation = await tom.start([jerry.id, spikeId]);
  const view = await jerry.open(conversation);
  jerry.device.realtime.pause();

  const message = tom.text('acknowledged before');
  const token = message.id;
  const sent = await conversation.send(message);
  const burst = Array.from({ length: 20 }, (_, index) => tom.text(`on the way ${index}`));
  // Some of these may never be answered; they are sent again below.
  burst.forEach(item => conversation.send(item).catch(() => {}));
  await away(world, tom);

  const repeated = tom.text('acknowledged before');
  repeated.id = token;
  await conversation.send(repeated);
  assert.deepEqual(essence(repeated), essence(sent));
  const unanswered = burst.filter(item => item.status !== tom.sdk.MessageStatus.SENT);
  await Promise.all(unanswered.map(item => conversation.send(item)));
  const after = await tom.say(conversation, 'said after');
  const all = [sent, ...burst, after];

  await jerryIsBack(jerry, view, all, tom);
  await spikeComes(world, spikeId, all);
}

/** Takes the server away and back, and waits until the SDK has noticed both. */
export async function away(world, tom) {
  const { realtime } = tom.device;
  const lost = tom.listen('disconnect');
  const scheduled = new Recorder(realtime, 'schedule');
  const tried = new Recorder(realtime, 'retry');
  const back = tom.listen('reconnect');
  await world.ask('end');
  await lost.next();
  while (!(await scheduled.next(), retries(realtime)));
  await tried.next();
  await world.ask('start');
  await back.next();
}

/** Whether the SDK could be told to try now: while it does by itself it refuses, and schedules the next time later. */
function retries(realtime) {
  try {
    realtime.retry();
    return true;
  } catch (error) {
    assert.match(error.message, /retrying not allowed/);
    return false;
  }
}

async function jerryIsBack(jerry, view, all, tom) {
  const updates = jerry.listen('unreadmessagescountupdate');
  jerry.device.realtime.resume();
  await updates.until(() => view.unreadMessagesCount === all.length);

  const history = await view.queryMessages({ limit: 100 });
  assertIncreasing(history.map(item => item.timestamp.getTime()));
  assert.deepEqual(texts(history).sort(), texts(all).sort());
  assert.deepEqual(byId(history), byId(all));

  const heard = tom.listen('message');
  await jerry.say(view, 'are you there?', { transient: true });
  await heard.next(); // what else is said before may be told as a count of what was missed
  const answer = await jerry.say(view, 'what happened?');
  await heard.find(({ id }) => id === answer.id);
}

async function spikeComes(world, id, all) {
  const spike = await world.login(id);
  const [[view]] = await spike.listen('unreadmessagescountupdate').next();
  assert.equal(view.unreadMessagesCount, all.length + 1);
}

function byId(messages) {
  return Object.fromEntries(messages.map(message => [message.id, essence(message)]));
}
