/**
 * Modules that payments never need: loaded when they are first asked for, each from a bundle of its own in production, so that
 * they cost no start-up time and no memory before.
 *
 * What is loaded has its own copy of the modules that it imports. So it is given values and functions, and shares no class
 * with the rest: an `instanceof` across the border would be false.
 */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

interface Modules {
  books: typeof import('./books.ts');
  dashboard: typeof import('./dashboard.ts');
  metrics: typeof import('./metrics.ts');
  reference: typeof import('./reference.ts');
}

/** The module of this name; from source as it is, in production the bundle beside this one. */
export function load<Name extends keyof Modules>(name: Name): Promise<Modules[Name]> {
  return import(new URL(`./${name}.${extension}`, import.meta.url).href);
}
