// Installs what is missing and bundles the entry points into dist/. Runs on any Node.js from 20 on, with nothing installed:
// it is what brings the Node.js that everything else runs on (the npm package `node`).
//
//   node build.mjs                  install what is missing, then bundle
//   node build.mjs --install-only   install what is missing
//   node build.mjs --bundle-only    bundle with what is there
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, 'dist');

/** Bundle: source. */
const entries = {
  main: 'src/main.ts',
  stack: 'src/stack/launcher.ts',
  processors: 'src/processor-simulator/main.ts',
};

/** What the start of a backend waits for: as CommonJS, which Node.js has running sooner than an ES module. */
const commonEntries = {
  'index-thread': 'src/storage/embedded/index/thread.ts',
};

/** Whether node_modules holds what package-lock.json asks for, by what npm wrote down when it installed. */
function installed() {
  if (!existsSync(join(root, 'node_modules/.bin/node'))) return false;
  try {
    const wanted = packages('package-lock.json');
    const present = packages('node_modules/.package-lock.json');
    return Object.entries(wanted).every(
      // An optional package may be one for another platform.
      ([path, { version, optional }]) => path === '' || optional || present[path]?.version === version,
    );
  } catch {
    return false;
  }
}

function packages(lockFile) {
  return JSON.parse(readFileSync(join(root, lockFile), 'utf8')).packages;
}

function install() {
  console.log('soquete: installing what package-lock.json names (npm ci), once');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status, error } = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (error !== undefined) fail(`npm cannot be run (${error.message}); install it and try again`);
  if (status !== 0) fail(`npm ci failed with status ${status}: see above, then try again`);
  if (!installed())
    fail('npm ci left node_modules incomplete; is `ignore-scripts` set? `npm config get ignore-scripts`');
}

async function bundle() {
  const { build } = await import('esbuild');
  const all = {
    absWorkingDir: root,
    outdir: 'dist',
    bundle: true,
    platform: 'node',
    target: 'node26',
    sourcemap: 'linked',
    logLevel: 'warning',
    plugins: [poolOnly],
    // A quarter of what each start has to read is comments and blanks. Names stay, for whoever reads a stack trace.
    minifyWhitespace: true,
    lineLimit: 160,
  };
  try {
    const { metafile } = await build({
      ...all,
      metafile: true,
      entryPoints: entries,
      format: 'esm',
      // What a backend loads when it is first asked for it is a file of its own: see src/dashboard/pages.ts.
      splitting: true,
      chunkNames: 'part-[hash]',
      // What comes as CommonJS calls `require`, which an ES module does not have.
      banner: {
        js: "import { createRequire as soqueteRequire } from 'node:module';\nconst require = soqueteRequire(import.meta.url);",
      },
    });
    // Parts are named by what is in them, so those of earlier builds would stay.
    const parts = Object.keys(metafile.outputs).map(path => basename(path));
    for (const name of readdirSync(dist)) {
      if (name.startsWith('part-') && !parts.includes(name)) rmSync(join(dist, name));
    }
    await build({
      ...all,
      entryPoints: commonEntries,
      format: 'cjs',
      outExtension: { '.js': '.cjs' },
      // And the other way round: ES modules know their address.
      define: { 'import.meta.url': 'soqueteUrl' },
      banner: { js: "const soqueteUrl = require('node:url').pathToFileURL(__filename).href;" },
    });
    const { buildPage } = await import('./src/dashboard/page/build.mjs');
    writeFileSync(join(dist, 'page.json'), JSON.stringify(await buildPage()));
  } catch (error) {
    fail(`the build failed: ${error.message}`);
  }
}

/**
 * Of undici the backends use the pool alone, over HTTP/1.1. Its index brings fetch, WebSocket, caches and mocks as well,
 * and HTTP/2, which undici does without where Node.js lacks it: 14 MB more in each process and 50 ms more at each start.
 */
const poolOnly = {
  name: 'undici-pool-only',
  setup({ onResolve, onLoad }) {
    const modules = {
      undici: "export { default as Pool } from 'undici/lib/dispatcher/pool.js';",
      'node:http2': "throw new Error('HTTP/2 is left out');",
    };
    onResolve({ filter: /^(undici|node:http2)$/ }, ({ path }) => ({ path, namespace: 'pool-only' }));
    onLoad({ filter: /.*/, namespace: 'pool-only' }, ({ path }) => ({
      contents: modules[path],
      resolveDir: root,
    }));
  },
};

function fail(reason) {
  console.error(`soquete: ${reason}`);
  process.exit(1);
}

if (!process.argv.includes('--bundle-only') && !installed()) install();
if (!process.argv.includes('--install-only')) await bundle();
