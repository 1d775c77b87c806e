import assert from 'node:assert/strict';

/** Every way to tell the SDK where the server is leads to the same app. */
export default async function addresses(world) {
  const { server, gateway } = world.config;
  const ways = [
    { server },
    { server, ssl: false },
    { server: { RTMRouter: server, api: server } },
    { server, RTMServers: gateway },
    { server, RTMServers: [gateway, `${gateway}/any/path`] },
  ];
  const people = await Promise.all(ways.map(way => world.device(way).login(world.id('tom'))));
  const everybody = people.map(person => person.id);
  for (const person of people) {
    assert.deepEqual(await person.client.ping(everybody), everybody);
  }
}
