import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The storage SDK as an app has it; with the master key too, which it uses when it is told to. */
export function storage({ appId, appKey, masterKey, http }) {
  const AV = require('leancloud-storage');
  AV.init({ appId, appKey, masterKey, serverURL: http });
  return AV;
}
