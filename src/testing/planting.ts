/**
 * Plants bugs in the real code: a module is loaded once more with a part of its text replaced, and so is
 * everything that imports it. So the code that ships has no hook for it and pays nothing.
 */
import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';

/** A bug: in `file`, below `src/`, the text `from` becomes `to`. */
export interface Planted {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const SOURCES = new URL('../', import.meta.url).href;
const planted = new Map<string, readonly Planted[]>();

registerHooks({
  // What a planted module imports is planted as well, but for the observer, who knows what is right.
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const parent = new URL(context.parentURL ?? SOURCES);
    const plant = parent.searchParams.get('plant');
    const isOurs = resolved.url.startsWith(SOURCES) && !resolved.url.includes('?');
    const isPlanted = plant !== null && isOurs && !parent.pathname.endsWith('/log-observer.ts');
    return isPlanted ? { ...resolved, url: `${resolved.url}?plant=${plant}` } : resolved;
  },
  load(url, context, nextLoad) {
    const { searchParams, pathname } = new URL(url);
    const bugs = planted.get(searchParams.get('plant') ?? '');
    const loaded = nextLoad(url, context);
    const here = bugs?.filter(({ file }) => new URL(file, SOURCES).pathname === pathname) ?? [];
    if (here.length === 0) return loaded;
    let source = String(loaded.source);
    for (const { file, from, to } of here) {
      assert.equal(source.split(from).length, 2, `${file} has this once: ${from}`);
      source = source.replace(from, () => to);
    }
    return { ...loaded, source };
  },
});

/** The world, made of code that has these bugs. */
export async function worldWith(bugs: readonly Planted[]): Promise<typeof import('../simulation/world.ts')> {
  const plant = String(planted.size + 1);
  planted.set(plant, bugs);
  return import(`../simulation/world.ts?plant=${plant}`);
}
