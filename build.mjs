// Installs what is missing and bundles the entry points into dist/. Runs on any Node.js from 20 on, with nothing installed:
// it is what brings the Node.js that everything else runs on (the npm packages `node-linux-*`, one for each processor, whose
// checksums stand in package-lock.json).
//
//   node build.mjs                  install what is missing, then bundle what has changed
//   node build.mjs --install-only   install what is missing
//   node build.mjs --bundle-only    bundle with what is there
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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

/** The Node.js that runs the bundles, at least; on a machine without a package of ours it may be the machine's own. */
const NODE_MAJOR = 26;
const ownNode = join(root, 'node_modules/.bin/node');

/** What runs the product needs no more; what checks and tests it does. */
const withTools = process.env.npm_lifecycle_event !== 'prestart';

/** Whether node_modules holds what package-lock.json asks for, by what npm wrote down when it installed. */
function installed() {
  if (!existsSync(ownNode) && Number(process.versions.node.split('.')[0]) < NODE_MAJOR) return false;
  try {
    const wanted = packages('package-lock.json');
    const present = packages('node_modules/.package-lock.json');
    return Object.entries(wanted).every(([path, { version, optional, dev }]) => {
      if (path === '' || (dev && !withTools)) return true;
      // An optional package may be one for another platform.
      return optional && present[path] === undefined ? true : present[path]?.version === version;
    });
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
  // Whatever the environment leaves out (NODE_ENV=production, npm_config_omit): Node.js is among the optional packages.
  const included = ['--include=optional', ...(withTools ? ['--include=dev'] : [])];
  const { status, error } = spawnSync(
    npm,
    ['ci', ...included, '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    },
  );
  if (error !== undefined) fail(`npm cannot be run (${error.message}); install it and try again`);
  if (status !== 0) fail(`npm ci failed with status ${status}: see above, then try again`);
  if (!existsSync(ownNode) && !installed()) {
    fail(
      `there is no Node.js for ${process.platform} on ${process.arch} among the packages: install Node.js ${NODE_MAJOR} and try again`,
    );
  }
  if (!installed()) fail('npm ci left node_modules incomplete: remove node_modules and try again');
}

/** Says in one line of what source the bundles are. */
const stamp = join(dist, 'source.sha256');

/** Bundles, unless the bundles are of this source; where they cannot be written, those that are there have to do. */
async function bundleChanges() {
  const source = sourceHash();
  const isThere = existsSync(join(dist, 'main.js'));
  try {
    if (isThere && readFileSync(stamp, 'utf8') === source) return;
  } catch {
    // Not built yet, or by somebody else.
  }
  try {
    mkdirSync(dist, { recursive: true });
    accessSync(dist, constants.W_OK);
    rmSync(stamp, { force: true });
  } catch ({ code }) {
    if (!isThere)
      fail(`dist/ cannot be written (${code}): build where it can (npm run build), then start here`);
    console.error(
      `soquete: dist/ cannot be written (${code}), so what was built before runs, though the source has changed`,
    );
    return;
  }
  await bundle();
  writeFileSync(stamp, source);
}

/** Of all that a bundle is made of. */
function sourceHash() {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, 'src'), { recursive: true }).map(name => join('src', name));
  for (const file of ['build.mjs', 'package-lock.json', 'package.json', ...files.sort()]) {
    if (/\.test\.|\.md$/.test(file) || !/\.\w+$/.test(file)) continue;
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  }
  return hash.digest('hex');
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
if (!process.argv.includes('--install-only')) await bundleChanges();
