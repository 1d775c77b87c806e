import { talk } from './chat.js';

/** Devices that can only send text frames talk to each other and to all others. */
export default async function base64(world) {
  const [tom, spike] = await Promise.all([
    world.device({ noBinary: true }).login(world.id('tom')),
    world.device({ noBinary: true }).login(world.id('spike')),
  ]);
  const jerry = await world.login(world.id('jerry'));
  for (const [from, to] of [
    [tom, jerry],
    [jerry, tom],
    [tom, spike],
  ])
    await talk(from, to);
}
