/*
 * node run.js JOURNEY CONFIG
 *
 * Walks one journey, journeys/JOURNEY.js, with CONFIG as JSON: {sdk, appId, appKey, masterKey, server, gateway, word}.
 * Prints one JSON line when it ends, with what it used of the SDK's interface, and exits with 0 or 1. Before, a journey may print {"ask": ACTION};
 * it then waits for a line in return.
 */
import { usedNames } from './interface.js';
import { World } from './world.js';

const DEADLINE_SECONDS = 100;

const [name, config] = process.argv.slice(2);

function finish(result) {
  process.stdout.write(`${JSON.stringify({ journey: name, used: usedNames(), ...result })}\n`);
  process.exit(result.ok ? 0 : 1);
}

setTimeout(
  () => finish({ ok: false, error: `not over after ${DEADLINE_SECONDS} s` }),
  DEADLINE_SECONDS * 1000,
);

try {
  const { default: journey } = await import(`./journeys/${name}.js`);
  const answer = await journey(new World(JSON.parse(config)));
  finish({ ok: true, answer });
} catch (error) {
  finish({ ok: false, error: error.stack });
}
