import { Recorder } from '../recorder.js';

/** A device that goes offline and comes back says so, and is logged in again by itself. */
export default async function network(world) {
  const [tom, jerry] = await world.people('tom', 'jerry');
  const { realtime } = tom.device;
  const [offline, online] = ['offline', 'online'].map(event => new Recorder(realtime, event));
  const [gone, back] = ['offline', 'reconnect'].map(event => tom.listen(event));
  realtime.pause();
  await Promise.all([offline.next(), gone.next()]);
  realtime.resume();
  await Promise.all([online.next(), back.next()]);

  const heard = tom.listen('message');
  const conversation = await jerry.start([tom.id]);
  await jerry.say(conversation, 'are you there?', { transient: true });
  await heard.next(); // what else is said before may be told as a count of what was missed
  const message = await jerry.say(conversation, 'welcome back');
  await heard.find(({ id }) => id === message.id);
}
