import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { watch, watchClient } from './interface.js';
import { Recorder } from './recorder.js';

const require = createRequire(import.meta.url);

/** A fresh copy of the SDK, as on a phone of its own: version 5 allows one Realtime per copy and app. */
function ownCopy(name) {
  delete require.cache[require.resolve(name)];
  return require(name);
}

/** One logged-in client and the device it is on. */
export class Person {
  constructor(device, client) {
    this.device = device;
    this.sdk = device.sdk;
    this.client = client;
  }

  get id() {
    return this.client.id;
  }

  text(words) {
    return new this.sdk.TextMessage(words);
  }

  /** Sends a text message and resolves with it, id and timestamp filled in by the server. */
  say(conversation, words, options) {
    return conversation.send(this.text(words), options);
  }

  /** Sends many text messages without waiting for one before the next. */
  sayAll(conversation, texts) {
    return Promise.all(texts.map(words => this.say(conversation, words)));
  }

  /** A new conversation with `members`, never an existing one. */
  start(members, properties = {}) {
    return this.client.createConversation({ members, unique: false, ...properties });
  }

  /** This person's own view of somebody's conversation. */
  open(conversation) {
    return this.client.getConversation(conversation.id);
  }

  listen(event) {
    return new Recorder(this.client, event);
  }

  /** Cuts the connection and waits until the SDK has logged in again by itself. */
  async reconnect() {
    const back = this.listen('reconnect');
    this.device.realtime.pause();
    this.device.realtime.resume();
    await back.next();
  }
}

/** One installation of the SDK with one connection; `options` may be made from the copy of the SDK. */
export class Device {
  #counted = new WeakMap();

  constructor(config, options) {
    const { sdk, appId, appKey, server } = config;
    this.sdk = ownCopy(`leancloud-realtime-${sdk}`);
    watch(this.sdk);
    const own = typeof options === 'function' ? options(this.sdk) : options;
    const notes = { name: 'notes', onIMClientCreate: client => this.#counted.set(client, counted(client)) };
    this.realtime = new this.sdk.Realtime({ appId, appKey, server, ...own, plugins: [...(own.plugins ?? []), notes] });
    this.isCounting = !own.pushOfflineMessages;
  }

  /**
   * Logs in, and waits until the counts of the login have come: what is said before, they count, and the SDK tells no
   * message of it. It tells the counts only when it has looked up their conversations: who listens now hears of them.
   */
  async login(id, options) {
    const client = await this.realtime.createIMClient(id, options);
    watchClient(client);
    // The SDK drops what comes for a client that the server names, until it is logged in.
    if (id && this.isCounting) await this.#counted.get(client);
    return new Person(this, client);
  }
}

/** Resolves when the first counts have come. The SDK does not tell if there are none. */
function counted(client) {
  return new Promise(resolve => {
    client._dispatchUnreadMessage = command => {
      delete client._dispatchUnreadMessage;
      resolve();
      return client._dispatchUnreadMessage(command);
    };
  });
}

/** What a journey is given: the server's addresses, fresh people, and the hand on the server's switch. */
export class World {
  #answers;

  constructor(config) {
    this.config = config;
  }

  /** A client id that nobody has used before. */
  id(name) {
    return `${name}-${randomUUID().slice(0, 8)}`;
  }

  device(options = {}) {
    return new Device(this.config, options);
  }

  /** Logs in on a device of its own. */
  login(id) {
    return this.device().login(id);
  }

  /** New people, each on a device of their own. */
  people(...names) {
    return Promise.all(names.map(name => this.login(this.id(name))));
  }

  /** A call of the application's own server, with the master key. */
  async rest(method, path, values) {
    const { http, appId, masterKey } = this.config;
    const headers = { 'X-LC-Id': appId, 'X-LC-Key': `${masterKey},master`, 'Content-Type': 'application/json' };
    const body = method === 'GET' ? undefined : JSON.stringify(values);
    const answer = await fetch(`${http}/1.2/rtm${path}`, { method, headers, body });
    const content = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(content)}`);
    return content;
  }

  /** Has the test that runs this journey do something to the server, and waits until it is done. */
  async ask(action) {
    this.#answers ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    process.stdout.write(`${JSON.stringify({ ask: action })}\n`);
    await this.#answers.next();
  }
}
