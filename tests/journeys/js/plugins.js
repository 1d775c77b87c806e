import Module, { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** A fresh copy of a plugin as published, which gets this copy of the SDK where it requires `leancloud-realtime`. */
export function pluginOf(sdk, name) {
  const load = Module._load;
  Module._load = (request, ...rest) => (request === 'leancloud-realtime' ? sdk : load(request, ...rest));
  try {
    delete require.cache[require.resolve(name)];
    return require(name);
  } finally {
    Module._load = load;
  }
}
