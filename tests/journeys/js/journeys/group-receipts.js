import assert from 'node:assert/strict';

import { ids } from '../checks.js';

const READ = -101;

/** What the plugin for receipts in groups does: who has read tells the others, who comes later asks for all marks. */
export default async function groupReceipts(world) {
  const people = await world.people('tom', 'jerry', 'spike');
  const [tom, jerry, spike] = people;
  people.forEach(readMessages);
  const conversation = await tom.start([jerry.id, spike.id]);
  const message = await tom.say(conversation, 'to all of you');
  await marks(conversation, {});

  const heard = [tom, spike].map(person => person.listen('message'));
  await reads(world, jerry, message);
  for (const recorder of heard) {
    const [told] = await recorder.find(({ type }) => type === READ);
    assert.deepEqual([told.from, new Date(told.until)], [jerry.id, message.timestamp]);
  }
  await marks(conversation, { [jerry.id]: message.timestamp });
  await reads(world, spike, message);
  await heard[0].find(({ type, from }) => type === READ && from === spike.id);
  await marks(conversation, { [jerry.id]: message.timestamp, [spike.id]: message.timestamp });

  const kept = await conversation.queryMessages();
  assert.deepEqual(ids(kept), [message.id]);
}

/** Registers the message that says up to which time somebody has read. */
function readMessages(person) {
  const { TypedMessage, messageType } = person.sdk;
  class ReadMessage extends TypedMessage {
    constructor(until) {
      super();
      this.until = until;
    }

    getPayload() {
      return { ...super.getPayload(), timestamp: this.until };
    }

    static parse(json, message = new ReadMessage(json.timestamp)) {
      return TypedMessage.parse(json, message);
    }
  }
  messageType(READ)(ReadMessage);
  person.device.realtime.register(ReadMessage);
  person.ReadMessage = ReadMessage;
}

/** Another device hears when it is kept that this one has read. */
async function reads(world, person, { cid, timestamp }) {
  const counts = (await world.login(person.id)).listen('unreadmessagescountupdate');
  await counts.find(([view]) => view.unreadMessagesCount === 1);
  const view = await person.open({ id: cid });
  await view.read();
  await counts.find(([view]) => view.unreadMessagesCount === 0);
  await view.send(new person.ReadMessage(timestamp), { transient: true });
}

/** Who has read up to when, but for the one who asks. */
async function marks(conversation, expected) {
  const found = await conversation._fetchAllReceiptTimestamps();
  const read = found.filter(({ lastReadAt }) => lastReadAt);
  assert.deepEqual(Object.fromEntries(read.map(({ pid, lastReadAt }) => [pid, lastReadAt])), expected);
}
