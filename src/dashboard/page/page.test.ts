/** The dashboard in a real browser, over the whole stack. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium, type Page } from 'playwright-core';
import { Children, program } from '../../../bench/tools/children.ts';
import { startLauncher } from '../../../bench/tools/soquete.ts';

const browserFile = program('chromium') ?? program('chromium-browser') ?? program('google-chrome');
const skip = browserFile === undefined && 'no Chromium is installed (Debian: apt-get install chromium)';
const PATIENCE = { timeout: 15_000 };

describe('the dashboard', { skip, timeout: 120_000 }, () => {
  const complaints: string[] = [];
  const sent: string[] = [];
  const asked = new Set<string>();
  let children: Children;
  let browser: Browser;
  let page: Page;
  let url: string;
  let sender: NodeJS.Timeout;

  before(async () => {
    children = new Children();
    ({ url } = await startLauncher(children));
    sender = setInterval(() => void send(), 50);
    browser = await chromium.launch({
      executablePath: browserFile!,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
    });
    page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', error => complaints.push(error.message));
    page.on('request', request => asked.add(new URL(request.url()).origin));
    await page.goto(url);
  });

  after(async () => {
    clearInterval(sender);
    await browser?.close();
    await children?.[Symbol.asyncDispose]();
  });

  async function send(): Promise<void> {
    const correlationId = randomUUID();
    const body = JSON.stringify({ correlationId, amount: 19.9 });
    const answer = await fetch(`${url}/payments`, { method: 'POST', body }).catch(() => undefined);
    if (answer?.status === 202) sent.push(correlationId);
  }

  const node = (name: string) => page.locator(`[data-node="${name}"]`);

  test('shows what flows, while it flows', async () => {
    await page.waitForFunction(
      () => Number(document.querySelector('#now-settled')?.textContent) > 0,
      undefined,
      PATIENCE,
    );
    for (const name of ['backend-1', 'backend-2', 'backend-3', 'queue', 'default', 'fallback']) {
      assert.equal(await node(name).count(), 1, name);
    }
    assert.match((await node('default').textContent()) ?? '', /circuit closed/);
    await page.waitForFunction(() => document.querySelectorAll('#latest tr').length > 3, undefined, PATIENCE);
    assert.ok((await page.locator('#plot-rates path').count()) > 0, 'a plot has lines');
  });

  test('compares the books', async () => {
    const books = page.locator('#books');
    await books.getByRole('row', { name: /together/ }).waitFor(PATIENCE);
    assert.match((await books.getByRole('row', { name: /default/ }).textContent()) ?? '', /0\.00$/);
  });

  test('a processor that is failed from the page opens the circuit on the page', async () => {
    const controls = page.locator('#control-default');
    await controls.getByRole('button', { name: 'Fails every payment' }).click(PATIENCE);
    await controls.locator('[aria-pressed="true"]', { hasText: 'Fails every payment' }).waitFor(PATIENCE);
    await node('default').getByText('circuit open').waitFor(PATIENCE);
    await page.locator('#verdict-text', { hasText: 'default fails' }).waitFor(PATIENCE);
    await controls.getByRole('button', { name: 'Mend it' }).click();
    await node('default').getByText('circuit closed').waitFor(PATIENCE);
  });

  test('tells the story of a payment that is looked for, from the keyboard', async () => {
    await page.locator('body').press('/');
    await page.keyboard.type(sent[0]!);
    await page.keyboard.press('Enter');
    const story = page.locator('#story');
    await story.getByText(/^accepted; backend-\d has it in hand$/).waitFor(PATIENCE);
    await story.getByText(/^settled by default with attempt \d/).waitFor(PATIENCE);
    await page.locator('#wanted').fill(randomUUID());
    await page.keyboard.press('Enter');
    await story.getByText('No payment with this correlationId').waitFor(PATIENCE);
  });

  test('stands still while it is paused', async () => {
    await page.getByRole('button', { name: 'Pause' }).click();
    await sleep(300);
    const then = await page.locator('#freshness').textContent();
    await sleep(2500);
    assert.equal(await page.locator('#freshness').textContent(), then);
    await page.locator('body').press('p');
    await page.waitForFunction(
      earlier => document.querySelector('#freshness')?.textContent !== earlier,
      then,
      PATIENCE,
    );
  });

  test('every control has a name, and every text enough contrast, light and dark', async () => {
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, input')]
        .filter(
          it =>
            !it.getAttribute('aria-label') &&
            !it.textContent &&
            !document.querySelector(`label[for="${it.id}"]`)?.textContent,
        )
        .map(it => it.outerHTML),
    );
    assert.deepEqual(nameless, []);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      const colours: Record<string, string> = await page.evaluate(() =>
        Object.fromEntries(
          ['ground', 'surface', 'sunken', 'ink', 'muted', 'accent', 'default', 'trouble', 'pinned'].map(
            name => [name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()],
          ),
        ),
      );
      for (const below of ['ground', 'surface', 'sunken']) {
        for (const text of ['ink', 'muted', 'accent', 'default', 'trouble']) {
          const ratio = contrast(colours[text]!, colours[below]!);
          assert.ok(ratio >= 4.5, `${colorScheme}: ${text} on ${below} is ${ratio.toFixed(2)}`);
        }
      }
    }
  });

  test('fits a phone', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await sleep(1500);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 390, `the page is ${width} wide`);
  });

  test('asked nobody else, and had nothing to complain of', () => {
    // What was looked for and is not known is a 404, which a browser writes to its console.
    assert.deepEqual(
      complaints.filter(text => !text.includes('status of 404')),
      [],
    );
    assert.deepEqual([...asked], [new URL(url).origin]);
  });

  test('another site can break nothing', async () => {
    const body = JSON.stringify({ processor: 'default', set: 'failure', to: { failure: true } });
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json', origin: 'http://elsewhere.example' },
    ]) {
      const answer = await fetch(`${url}/dashboard/processors`, { method: 'POST', headers, body });
      assert.equal(answer.status, 403);
    }
  });
});

/** The contrast of two colours as #rrggbb, by WCAG 2. */
function contrast(one: string, other: string): number {
  const [lighter, darker] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(colour: string): number {
  const full = colour.length === 4 ? colour.replace(/[0-9a-f]/gi, '$&$&') : colour;
  const [red, green, blue] = [1, 3, 5].map(at => {
    const share = Number.parseInt(full.slice(at, at + 2), 16) / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
