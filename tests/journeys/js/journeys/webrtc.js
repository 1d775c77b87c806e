import assert from 'node:assert/strict';

import { pluginOf } from '../plugins.js';
import { Recorder } from '../recorder.js';
import { withCalls } from '../rtc.js';

const PLUGIN = 'leancloud-realtime-plugin-webrtc';
const STREAM = { id: 'a stream' };
const CANDIDATES = 5;

/** The plugin for calls finds the callee, offers, answers, exchanges candidates, refuses and cancels. */
export default async function webrtc(world) {
  const [tom, jerry] = [await caller(world, 'tom'), await caller(world, 'jerry')];
  await nobodyIsThere(world, tom);
  await connects(tom, jerry);
  await isRefused(tom, jerry);
  await isCancelled(tom, jerry);
  await leavesNoTrace(tom, jerry);
  await oneDeviceAtATime(world, tom, jerry);
}

async function caller(world, name, id = world.id(name)) {
  const device = world.device(sdk => {
    const { WebRTCPlugin, isWebRTCSupported } = withCalls(() => pluginOf(sdk, PLUGIN));
    assert.ok(isWebRTCSupported);
    return { plugins: [WebRTCPlugin] };
  });
  return device.realtime.createWebRTCClient(id);
}

async function nobodyIsThere(world, tom) {
  const id = world.id('nobody');
  await assert.rejects(tom.call(id, STREAM), { message: `Call failed as ${id} is not online` });
}

/** Both ends of a call that is being made. */
async function ring(tom, jerry) {
  const ringing = new Recorder(jerry, 'call');
  const outgoing = await tom.call(jerry.id, STREAM);
  const [incoming] = await ringing.next();
  assert.deepEqual([incoming.from, outgoing.to], [tom.id, jerry.id]);
  assert.deepEqual([incoming.state, outgoing.state], ['calling', 'calling']);
  const { localDescription } = outgoing._peerConnection;
  assert.deepEqual(incoming._peerConnection.remoteDescription, localDescription);
  return [outgoing, incoming];
}

async function connects(tom, jerry) {
  const [outgoing, incoming] = await ring(tom, jerry);
  const [here, there] = [outgoing._peerConnection, incoming._peerConnection];
  const connected = [outgoing, incoming].map(call => new Recorder(call, 'connect'));
  await incoming.accept(STREAM);
  const streams = [await connected[0].next(), await connected[1].next()];
  assert.deepEqual(streams, [[`stream of v=${there.number}`], [`stream of v=${here.number}`]]);
  assert.deepEqual(here.remoteDescription, there.localDescription);
  assert.deepEqual([incoming.state, outgoing.state], ['connected', 'connected']);

  await candidates(outgoing, incoming);
  const ended = new Recorder(incoming, 'close');
  await outgoing.close();
  there.lose();
  await ended.next();
  assert.equal(outgoing.state, 'closed');
}

/** Each side gets what the other found, in its order. */
async function candidates(...calls) {
  const heard = calls.map(call => new Recorder(call._conversation, 'message'));
  await Promise.all(calls.map(call => call._peerConnection.gather(CANDIDATES)));
  await Promise.all(heard.map(recorder => recorder.take(CANDIDATES)));
  const [here, there] = calls.map(call => call._peerConnection);
  const found = number => Array.from({ length: CANDIDATES }, (_, index) => `candidate ${number}.${index}`);
  assert.deepEqual([here.added, there.added], [found(there.number), found(here.number)]);
}

async function isRefused(tom, jerry) {
  const [outgoing, incoming] = await ring(tom, jerry);
  const refused = new Recorder(outgoing, 'refuse');
  await incoming.refuse();
  await refused.next();
  assert.deepEqual([incoming.state, outgoing.state], ['refused', 'refused']);
}

async function isCancelled(tom, jerry) {
  const [outgoing, incoming] = await ring(tom, jerry);
  const cancelled = new Recorder(incoming, 'cancel');
  await outgoing.close();
  await cancelled.next();
  assert.deepEqual([incoming.state, outgoing.state], ['canceled', 'canceled']);
}

/** Signals are transient, and all calls of two people are in one conversation. */
async function leavesNoTrace(tom, jerry) {
  const options = { members: [jerry.id], unique: true };
  const conversation = await tom._imClient.createConversation(options);
  assert.deepEqual(await conversation.queryMessages(), []);
  const all = await jerry._imClient.getQuery().containsMembers([tom.id]).find();
  assert.deepEqual(all.map(({ id }) => id), [conversation.id]);
}

async function oneDeviceAtATime(world, tom, jerry) {
  const conflict = new Recorder(jerry, 'conflict');
  const pad = await caller(world, '', jerry.id);
  await conflict.next();
  await ring(tom, pad);
}
