import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vite';

const SDK = 'leancloud-realtime';
const BUNDLE = `${SDK}/dist/im-browser.min.js`;

/** Emits the licences of the SDK and of the libraries inside its published bundle, as their authors ask. */
function thirdPartyLicenses() {
  const packages = () => {
    const { sources } = JSON.parse(readFileSync(`node_modules/${BUNDLE}.map`, 'utf8'));
    const names = sources.map((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1]);
    return [...new Set([SDK, ...names.filter(Boolean)])].sort();
  };
  const license = (name) => {
    const file = readdirSync(`node_modules/${name}`).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`The package ${name} has no licence file.`);
    return `${name}\n\n${readFileSync(`node_modules/${name}/${file}`, 'utf8').trim()}\n`;
  };
  return {
    name: 'third-party-licenses',
    apply: 'build',
    generateBundle() {
      const source = packages().map(license).join(`\n${'-'.repeat(72)}\n\n`);
      this.emitFile({ type: 'asset', fileName: 'assets/licenses.txt', source });
    },
  };
}

export default defineConfig({
  resolve: { alias: { [SDK]: BUNDLE } },
  plugins: [thirdPartyLicenses()],
  build: {
    outDir: '../src/hongyan/web_dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
  },
  // `npm run dev` beside a server started with `make serve`.
  server: { proxy: { '/chat': 'http://127.0.0.1:8000', '/v1': 'http://127.0.0.1:8000' } },
});
