import { createHmac, randomUUID } from 'node:crypto';

/** What the SDKs call the operations, and the words that are signed. */
const WORDS = { add: 'invite', invite: 'invite', remove: 'kick', kick: 'kick' };

/** The signature factories of an app's own server, which signs whatever it is asked to. */
export function factories({ sdk, appId, masterKey }) {
  const sign = (...parts) => {
    const timestamp = Date.now();
    const nonce = randomUUID();
    const [before, action] = parts;
    const text = [appId, ...before, timestamp, nonce, ...(action ? [action] : [])].join(':');
    return { signature: createHmac('sha1', masterKey).update(text).digest('hex'), timestamp, nonce };
  };
  return {
    signatureFactory: clientId => sign([clientId, '']),
    conversationSignatureFactory: (conversationId, clientId, members, action) =>
      action === 'create'
        ? sign([clientId, ...members])
        : sign([clientId, conversationId, ...members], WORDS[action]),
    // SDK 4 names the client first, SDK 5 the conversation.
    blacklistSignatureFactory: (first, second, members, action) =>
      sign([...(sdk === '4' ? [first, second] : [second, first]), ...members], action),
  };
}

/** Factories that sign with another key. */
export function forgers(config) {
  return factories({ ...config, masterKey: 'not the master key' });
}
