/** The dashboard in a real browser, over the whole stack, with HAProxy and (`PROXY=none`) without it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { findProgram } from '../../stack/settings.ts';
import { type RunningStack, startStack } from '../../testing/stack.ts';
import { until } from '../../testing/until.ts';

const browserFile = ['chromium', 'chromium-browser', 'google-chrome']
  .map(name => findProgram(name, process.env['PATH']))
  .find(file => file !== undefined);
const skip = browserFile === undefined && 'Chromium is not installed (Debian: apt-get install chromium)';
const PATIENCE = { timeout: 90_000 };
const BROWSER_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-sync',
  '--disable-background-networking',
];

describe('the dashboard', { skip }, () => {
  const complaints: string[] = [];
  const sent: string[] = [];
  const asked = new Set<string>();
  let stack: RunningStack;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let sender: NodeJS.Timeout;

  before(async () => {
    stack = await startStack();
    sender = setInterval(() => void send(19.9), 50);
    browser = await chromium.launch({ executablePath: browserFile!, args: BROWSER_ARGUMENTS });
    context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    context.on('console', message => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    context.on('weberror', error => complaints.push(error.error().message));
    context.on('request', request => asked.add(new URL(request.url()).origin));
    page = await context.newPage();
    await page.goto(stack.url);
  });

  after(async () => {
    clearInterval(sender);
    await browser?.close();
    await stack?.[Symbol.asyncDispose]();
  });

  async function send(amount: number): Promise<void> {
    const correlationId = randomUUID();
    const body = JSON.stringify({ correlationId, amount });
    const answer = await fetch(`${stack.url}/payments`, { method: 'POST', body }).catch(() => undefined);
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
    // In all backends, also those that have nothing to send: by the health report.
    await node('default')
      .getByText(/circuit open(?! in)/)
      .waitFor(PATIENCE);
    await page.locator('#verdict-text', { hasText: 'default fails.' }).waitFor(PATIENCE);
    await controls.getByRole('button', { name: 'Restore' }).click();
    await node('default').getByText('circuit closed').waitFor(PATIENCE);
    await node('queue')
      .getByText(/^disk \d+\sMB, \d+\sMB free/)
      .waitFor(PATIENCE);
  });

  test('shows the story of a payment that is searched for, by keyboard', async () => {
    await page.locator('body').press('/');
    await page.keyboard.type(sent[0]!);
    await page.keyboard.press('Enter');
    const story = page.locator('#story');
    await story.getByText(/^accepted; owned by backend-\d$/).waitFor(PATIENCE);
    await story.getByText(/^settled by default with attempt \d/).waitFor(PATIENCE);
    await page.locator('#wanted').fill(randomUUID());
    await page.keyboard.press('Enter');
    await story.getByText('No payment with this correlationId').waitFor(PATIENCE);
  });

  test('asks again and again, and nothing while it is paused', async () => {
    // A context of its own: its pages share a clock that stands still until it is advanced.
    await using own = await browser.newContext();
    const watched = await own.newPage();
    await watched.addInitScript(() => {
      const { fetch } = window;
      let count = 0;
      window.fetch = (...parts) => {
        if (String(parts[0]).startsWith('dashboard.json')) count += 1;
        return fetch(...parts);
      };
      Object.defineProperty(window, 'questions', { get: () => count });
    });
    const questions = (): Promise<number> => watched.evaluate(() => Reflect.get(window, 'questions'));
    const advanceUntilItAsks = async (): Promise<void> => {
      const before = await questions();
      for (let second = 0; (await questions()) === before; second++) {
        assert.ok(second < 10_000, 'it asks no more');
        await watched.clock.runFor(1000);
      }
    };
    await watched.clock.install();
    await watched.goto(stack.url);
    await watched.locator('#freshness', { hasText: /\d/ }).waitFor(PATIENCE);
    await watched.clock.pauseAt(Date.now() + 60_000);
    await advanceUntilItAsks();
    await advanceUntilItAsks();
    await watched.getByRole('button', { name: 'Pause' }).click();
    const asked = await questions();
    await watched.clock.runFor(10_000);
    assert.equal(await questions(), asked);
    await watched.locator('body').press('p');
    await advanceUntilItAsks();
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

  test('fits a phone: nothing sticks out of the page or of its panel', async () => {
    // The largest amount there is, in the list and in the sums.
    clearInterval(sender);
    await send(9_999_999_999.99);
    const phone = await context.newPage();
    await phone.setViewportSize({ width: 390, height: 844 });
    await phone.goto(stack.url);
    await phone.locator('#latest').getByText('9,999,999,999.99').waitFor(PATIENCE);
    await phone
      .locator('#books')
      .getByRole('row', { name: /together.*\d,\d{3},\d{3},\d{3}/ })
      .waitFor(PATIENCE);
    await phone.locator('#control-default button').first().waitFor(PATIENCE);
    const outside = await phone.evaluate(() =>
      [...document.querySelectorAll('body, .panel, .tiles, .node')].flatMap(box => {
        const { right } = box.getBoundingClientRect();
        return [...box.querySelectorAll<HTMLElement>('*')]
          .filter(it => it instanceof HTMLElement && it.getBoundingClientRect().right > right + 0.5)
          .map(it => it.outerHTML.slice(0, 120));
      }),
    );
    assert.deepEqual(outside, []);
    const width = await phone.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 390, `the page is ${width} wide`);
  });

  test('asks no other server, and logs no complaint', () => {
    // What was looked for and is not known is a 404, which a browser writes to its console.
    assert.deepEqual(
      complaints.filter(text => !text.includes('status of 404')),
      [],
    );
    assert.deepEqual([...asked], [new URL(stack.url).origin]);
  });

  test('another site can break nothing', async () => {
    const body = JSON.stringify({ processor: 'default', set: 'failure', to: { failure: true } });
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json', origin: 'http://elsewhere.example' },
    ]) {
      const answer = await fetch(`${stack.url}/dashboard/processors`, { method: 'POST', headers, body });
      assert.equal(answer.status, 403);
    }
  });
});

describe('the dashboard behind a token', { skip }, () => {
  const password = 'a-token-of-operations';

  test('the browser asks for it once, and what the page does goes on with it', async () => {
    await using stack = await startStack({ env: { OPS_TOKEN: password } });
    await using browser = await chromium.launch({ executablePath: browserFile!, args: BROWSER_ARGUMENTS });
    assert.equal((await fetch(stack.url)).status, 401);
    const refused: string[] = [];
    await using context = await browser.newContext({ httpCredentials: { username: 'anybody', password } });
    const page = await context.newPage();
    page.on('response', answer => {
      if (answer.status() >= 400) refused.push(`${answer.status()} ${answer.url()}`);
    });
    await page.goto(stack.url);
    const controls = page.locator('#control-default');
    await controls.getByRole('button', { name: 'Fails every payment' }).click(PATIENCE);
    await controls.locator('[aria-pressed="true"]', { hasText: 'Fails every payment' }).waitFor(PATIENCE);
    await page.locator('#freshness', { hasText: 'from backend' }).waitFor(PATIENCE);
    assert.deepEqual(refused, []);

    const byFallback = page.locator('#control-fallback');
    await byFallback.getByRole('button', { name: 'Fails every payment' }).click(PATIENCE);
    await byFallback.locator('[aria-pressed="true"]', { hasText: 'Fails every payment' }).waitFor(PATIENCE);
    const correlationId = randomUUID();
    await fetch(`${stack.url}/payments`, {
      method: 'POST',
      body: JSON.stringify({ correlationId, amount: 1 }),
    });
    await page.locator('#wanted').fill(correlationId);
    await page.keyboard.press('Enter');
    const hand = page.locator('#story .hand');
    await hand.getByLabel('Your name').fill('ana', PATIENCE);
    await hand.getByLabel('Why').fill('the client went away');
    const questions: string[] = [];
    let isSure = false;
    page.on('dialog', dialog => {
      questions.push(dialog.message());
      void (isSure ? dialog.accept() : dialog.dismiss());
    });
    const close = hand.getByRole('button', { name: 'Close' });
    await close.click();
    assert.equal(await hand.getByRole('status').textContent(), '');
    isSure = true;
    const story = page.locator('#story');
    // An attempt may be on its way at that moment; and with the payment closed, the button goes.
    await until(async () => {
      if (await close.isVisible()) await close.click({ timeout: 5000 }).catch(() => {});
      return ((await story.textContent()) ?? '').includes('closed by ana: the client went away');
    }, 'the payment to be closed');
    assert.ok(questions.length >= 2 && questions.every(text => text.includes('never be settled')));

    const body = JSON.stringify({ processor: 'default', set: 'failure', to: { failure: false } });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${stack.url}/dashboard/processors`, { method: 'POST', headers, body });
    assert.equal(answer.status, 401);
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
