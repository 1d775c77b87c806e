/*
 * Which parts of an SDK's public interface a journey uses: wraps the methods and accessors of its classes, and
 * looks at the events that are emitted. What an SDK offers is read from the SDK itself, so that nothing is forgotten.
 */

const used = new Set();
const wrapped = new WeakSet();

/** Classes whose instances only a logged-in client shows. */
const UNEXPORTED = { IMClient: client => client, ConversationQuery: client => client.getQuery() };
const EXPORTED = [
  'Realtime',
  'Conversation',
  'Message',
  'BinaryMessage',
  'TypedMessage',
  'TextMessage',
  'RecalledMessage',
  'MessageParser',
];
/** What every class inherits from outside the SDK. */
const FOREIGN = new Set(['EventEmitter', 'Object', '']);

/** What the journeys of this process have used so far. */
export function usedNames() {
  return [...used].sort();
}

/** Records from now on what is used of the SDK. */
export function watch(sdk) {
  for (const [name, prototype] of exportedPrototypes(sdk)) wrap(name, prototype);
  watchEvents(sdk.EventEmitter.prototype, new Set(Object.values(sdk.Event)));
}

/** Records from now on what is used of the classes that only a client shows. */
export function watchClient(client) {
  for (const [name, prototype] of clientPrototypes(client)) wrap(name, prototype);
}

/** Everything the SDK offers: `Conversation.send` for methods and accessors, `event:message` for events. */
export function offeredNames(sdk, client) {
  const prototypes = [...exportedPrototypes(sdk), ...clientPrototypes(client)];
  const members = prototypes.flatMap(([name, prototype]) => ownNames(prototype).map(own => `${name}.${own}`));
  return [...new Set([...members, ...Object.values(sdk.Event).map(event => `event:${event}`)])].sort();
}

function exportedPrototypes(sdk) {
  return EXPORTED.filter(name => sdk[name]).flatMap(name => chain(name, sdk[name].prototype));
}

function clientPrototypes(client) {
  return Object.entries(UNEXPORTED).flatMap(([name, find]) => chain(name, Object.getPrototypeOf(find(client))));
}

/** A class's own prototype and those it inherits from: a conversation's come from several, a message's have names. */
function chain(name, prototype) {
  const found = [];
  for (let next = prototype; next && !FOREIGN.has(next.constructor.name); next = Object.getPrototypeOf(next)) {
    const owner = EXPORTED.includes(next.constructor.name) ? next.constructor.name : name;
    found.push([owner, next]);
  }
  return found;
}

function ownNames(prototype) {
  return Object.getOwnPropertyNames(prototype).filter(name => name !== 'constructor' && !name.startsWith('_'));
}

function wrap(owner, prototype) {
  if (wrapped.has(prototype)) return;
  wrapped.add(prototype);
  for (const name of ownNames(prototype)) {
    const property = Object.getOwnPropertyDescriptor(prototype, name);
    if (!property.configurable) continue;
    for (const part of ['value', 'get', 'set']) {
      if (typeof property[part] === 'function') property[part] = noting(`${owner}.${name}`, property[part]);
    }
    Object.defineProperty(prototype, name, property);
  }
}

function noting(name, original) {
  const noted = function (...args) {
    used.add(name);
    return original.apply(this, args);
  };
  return Object.assign(noted, original);
}

function watchEvents(emitter, events) {
  if (wrapped.has(emitter)) return;
  wrapped.add(emitter);
  const { emit } = emitter;
  emitter.emit = function (event, ...args) {
    if (events.has(event) && this.listenerCount(event)) used.add(`event:${event}`);
    return emit.call(this, event, ...args);
  };
}
