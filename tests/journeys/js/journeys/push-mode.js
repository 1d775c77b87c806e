import { talk } from './chat.js';

/** Devices that want offline messages instead of counts speak another subprotocol, with the same talk in it. */
export default async function pushMode(world) {
  const jerry = await world.login(world.id('jerry'));
  for (const noBinary of [false, true]) {
    const tom = await world.device({ pushOfflineMessages: true, noBinary }).login(world.id('tom'));
    await talk(tom, jerry);
    await talk(jerry, tom);
  }
}
