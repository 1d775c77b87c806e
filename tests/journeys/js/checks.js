import assert from 'node:assert/strict';

/** What two people must agree on about one message. */
export function essence({ id, cid, from, timestamp }) {
  return { id, cid, from, timestamp: timestamp.getTime() };
}

export function ids(items) {
  return items.map(item => item.id);
}

export function texts(messages) {
  return messages.map(message => message.text);
}

/** The server must refuse with this code, and its name as the reason: SDKs show it as name and as message. */
export async function refused(promise, code, name) {
  await assert.rejects(promise, error => {
    assert.deepEqual([error.code, error.name, error.message], [code, name, name]);
    return true;
  });
}

export function assertIncreasing(numbers) {
  numbers.slice(1).forEach((number, index) => assert.ok(number > numbers[index]));
}
