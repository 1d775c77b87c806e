import assert from 'node:assert/strict';

import { offeredNames } from '../interface.js';

/** What the SDK offers, for the test that compares it with what all journeys use. */
export default async function offered(world) {
  const { sdk, client } = await world.login(world.id('tom'));
  const names = offeredNames(sdk, client);
  assert.ok(names.includes('Conversation.send') && names.includes('event:message'));
  return names;
}
