/*
 * node hooks-engine.js PORT
 *
 * An app's engine with LeanCloud's runtime for Node, as published: every hook, with the rules of `py/hooks.py`.
 * Prints its port, then what each hook is given, a line of JSON each.
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const AV = createRequire(import.meta.url)('leanengine');

function hook(define, name, rule = () => undefined) {
  AV.Cloud[define](async ({ params }) => {
    console.log(JSON.stringify({ hook: name, params }));
    return rule(params);
  });
}

const reject = (code, detail) => ({ reject: true, code, detail });

hook('onIMMessageReceived', '_messageReceived', ({ content }) => {
  if (content.includes('drop')) return { drop: true, code: 7, detail: 'dropped' };
  if (content.includes('change')) return { content: content.replace('change', 'changed'), code: 8, detail: 'why' };
  if (content.includes('hide')) return { toPeers: [] };
  if (content.includes('crash')) throw new Error('crash');
  return undefined;
});
hook('onIMMessageUpdate', '_messageUpdate', ({ recall, content }) =>
  recall || content.includes('drop') ? { drop: true, code: 9, detail: 'stays' } : {},
);
hook('onIMConversationStart', '_conversationStart', ({ attr }) =>
  attr.name === 'forbidden' ? reject(5, 'forbidden name') : {},
);
hook('onIMConversationAdd', '_conversationAdd', ({ members }) =>
  members.some(member => member.startsWith('enemy')) ? reject(6, 'an enemy') : {},
);
hook('onIMConversationRemove', '_conversationRemove', ({ members }) =>
  members.some(member => member.startsWith('friend')) ? reject(4, 'a friend') : {},
);
hook('onIMConversationUpdate', '_conversationUpdate', ({ attr }) => {
  if (attr?.name === 'forbidden') return reject(3, 'forbidden name');
  return attr ? { attr: { name: attr.name.toUpperCase() } } : {};
});
hook('onIMClientSign', '_rtmClientSign', ({ username }) =>
  username.startsWith('banned') ? { result: false, error: 'banned' } : { result: true },
);
hook('onIMReceiversOffline', '_receiversOffline', ({ offlinePeers }) => ({
  offlinePeers: offlinePeers.slice(0, 1),
  pushMessage: JSON.stringify({ alert: 'hi' }),
  force: true,
}));
hook('onIMMessageSent', '_messageSent');
hook('onIMConversationStarted', '_conversationStarted');
hook('onIMConversationAdded', '_conversationAdded');
hook('onIMConversationRemoved', '_conversationRemoved');
hook('onIMClientOnline', '_clientOnline');
hook('onIMClientOffline', '_clientOffline');

const handle = AV.express();
const server = createServer((request, response) =>
  handle(request, response, () => response.writeHead(404).end('no such page')),
);
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log(server.address().port));
