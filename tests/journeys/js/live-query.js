import { createRequire } from 'node:module';

import { Recorder } from './recorder.js';

const require = createRequire(import.meta.url);
const { request } = require('@leancloud/platform-adapters-node');
const OPS = ['create', 'update', 'enter', 'leave', 'delete'];

/** The storage SDK with its own realtime SDK and LiveQuery plugin, as an app that watches conversations has it. */
export function storage({ appId, appKey, server }, options = {}) {
  const AV = require('leancloud-storage/live-query');
  const serverURL = server.includes('://') ? server : `https://${server}`;
  AV.init({ appId, appKey, serverURL, ...options });
  return AV;
}

/** Has the storage SDK subscribe as this client: its session token is what lets it see its conversations. */
export async function subscribeAs(AV, { id, client }) {
  // Neither SDK has a public way to share it.
  const token = await client._sessionManager.getSessionToken();
  const own = { 'X-LC-IM-Session-Token': token };
  AV.setAdapters({
    request: (url, { headers, ...options } = {}) =>
      url.includes('/LiveQuery/')
        ? request(`${url}?client_id=${encodeURIComponent(id)}`, { ...options, headers: { ...headers, ...own } })
        : request(url, { ...options, headers }),
  });
}

/** Hears everything of one live query, in order. */
export class News {
  constructor(liveQuery) {
    this.all = new Recorder(
      { on: (_, hear) => OPS.forEach(op => liveQuery.on(op, (object, keys) => hear(op, object, keys))) },
      'live query',
    );
  }

  /** The next one: what happened, the object, and the keys that changed. */
  next() {
    return this.all.next();
  }
}
