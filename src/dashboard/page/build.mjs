// Builds the dashboard: one HTML text that contains its style and its script, and the policy that allows
// nothing else. Called by the build; when run from source, by a backend at the first request for the page.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const folder = import.meta.dirname ?? new URL('.', import.meta.url).pathname;

/** @returns {Promise<{ html: string, policy: string }>} */
export async function buildPage() {
  const { build } = await import('esbuild');
  const bundled = async entry => {
    const { outputFiles } = await build({
      entryPoints: [join(folder, entry)],
      bundle: true,
      minify: true,
      write: false,
      format: 'iife',
      target: ['chrome111', 'firefox115', 'safari16.4'],
      logLevel: 'warning',
    });
    return outputFiles[0].text.trim();
  };
  const [skeleton, style, script] = await Promise.all([
    readFile(join(folder, 'index.html'), 'utf8'),
    bundled('style.css'),
    bundled('main.ts'),
  ]);
  // As functions: `$&` in a script is not to mean anything.
  const html = skeleton
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script></script>', () => `<script>${script}</script>`);
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { html, policy };
}

const hashOf = text => `sha256-${createHash('sha256').update(text).digest('base64')}`;
