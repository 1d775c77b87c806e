import { forgers } from '../signing.js';

/** In an app that wants no signatures wrong ones do no harm. */
export default async function ignoredSignatures(world) {
  const tom = await world.device().login(world.id('tom'), forgers(world.config));
  const jerry = await world.device().login(world.id('jerry'), forgers(world.config));
  const conversation = await tom.start(['spike']);
  await conversation.add([jerry.id]);
  await conversation.remove(['spike']);
  await (await jerry.open(conversation)).quit();
  await tom.reconnect();
  await tom.say(conversation, 'unsigned');
}
