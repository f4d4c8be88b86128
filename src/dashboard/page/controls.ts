/** Buttons that break the simulated processors and restore them. */
import { byId, fill, make } from './dom.ts';
import { duration } from './format.ts';

/** The settings of a simulated processor, as it reports them. */
interface Setting {
  readonly delay: number;
  readonly failure: boolean;
  readonly faults: Readonly<Record<string, number>>;
}

const NAMES = ['default', 'fallback'] as const;
const DELAYS = [0, 100, 1000, 5000, 12_000];

/** Faults in a visitor's words: what to set, and the field that shows that it is set. */
const FAULTS: readonly {
  words: string;
  title: string;
  set: Readonly<Record<string, number>>;
  name: string;
}[] = [
  {
    words: 'Loses answers',
    name: 'answerLost',
    set: { answerLost: 0.3 },
    title: 'Records the payment, then closes the connection: 3 of 10',
  },
  {
    words: 'Records late',
    name: 'lateRecord',
    set: { lateRecord: 0.2, lateMs: 3000 },
    title: 'Closes at once and records 3 s later: 2 of 10',
  },
  {
    words: 'Hangs',
    name: 'hangRecorded',
    set: { hangRecorded: 0.1 },
    title: 'Records the payment and never answers: 1 of 10',
  },
  {
    words: 'Sends garbage',
    name: 'garbageRecorded',
    set: { garbageRecorded: 0.3 },
    title: 'Records the payment and answers with bytes that are not HTTP: 3 of 10',
  },
  {
    words: 'Gateway errors',
    name: 'gatewayRecorded',
    set: { gatewayRecorded: 0.3 },
    title: 'Records the payment and answers 502, 504 or 408: 3 of 10',
  },
  {
    words: 'Refuses some',
    name: 'refusesPayments',
    set: { refusesPayments: 0.1 },
    title:
      'Answers 400 to one of ten payments, always the same ones: refused by both processors they are held',
  },
  {
    words: 'Lying sidecar',
    name: 'unavailableRecorded',
    set: { unavailableRecorded: 0.3 },
    title: 'Records the payment and answers 503: 3 of 10',
  },
  {
    words: 'Fails half',
    name: 'failRate',
    set: { failRate: 0.5 },
    title: 'Answers 500 to every other payment',
  },
  { words: 'Too busy', name: 'tooMany', set: { tooMany: 0.5 }, title: 'Answers 429 to every other payment' },
  {
    words: 'Lies about health',
    name: 'healthLies',
    set: { healthLies: 1 },
    title: 'Reports failing when it works, and the other way round',
  },
];
const REFUSE_MS = 8000;

let settings: (Setting | null)[] = [null, null];
const drawn = ['', ''];

/** Shows the controls, as the processors are set now. */
export async function refreshControls(): Promise<void> {
  byId('controls').hidden = false;
  try {
    settings = await (await fetch('dashboard/processors.json')).json();
  } catch {
    return;
  }
  const body = byId('controls-body');
  if (body.childElementCount === 0)
    fill(body, ...NAMES.map(name => make('fieldset', { class: 'control', id: `control-${name}` })));
  for (const index of NAMES.keys()) draw(index);
}

function draw(index: number): void {
  const setting = settings[index] ?? null;
  const text = JSON.stringify(setting);
  // A button that is replaced loses its focus, so only changes are drawn.
  if (drawn[index] === text) return;
  drawn[index] = text;
  const name = NAMES[index]!;
  const box = byId(`control-${name}`);
  const focused = box.contains(document.activeElement) ? document.activeElement?.textContent : undefined;
  if (setting === null) {
    fill(box, legend(name, 'does not answer'));
    return;
  }
  const { delay, failure, faults } = setting;
  const broken = FAULTS.filter(fault => (faults[fault.name] ?? 0) > 0);
  const isWell = delay === 0 && !failure && broken.length === 0;
  const row = (...children: HTMLElement[]): HTMLElement => make('div', { class: 'row' }, ...children);
  fill(
    box,
    legend(name, isWell ? 'works normally' : 'is broken'),
    row(
      press('Fails every payment', failure, 'Answers 500 to everything', () =>
        set(index, 'failure', { failure: !failure }),
      ),
      press('Refuses connections', false, `Takes no connection for ${duration(REFUSE_MS)}`, () =>
        set(index, 'faults', { ...setOf(broken), refuseMs: REFUSE_MS }),
      ),
      ...FAULTS.map(fault => {
        const isOn = broken.includes(fault);
        const next = isOn ? broken.filter(other => other !== fault) : [...broken, fault];
        return press(fault.words, isOn, fault.title, () => set(index, 'faults', setOf(next)));
      }),
    ),
    row(
      ...DELAYS.map(ms =>
        press(ms === 0 ? 'At once' : `After ${duration(ms)}`, delay === ms, 'How long an answer takes', () =>
          set(index, 'delay', { delay: ms }),
        ),
      ),
      press('Restore', false, 'Turns all faults and delays off', async () => {
        await set(index, 'delay', { delay: 0 });
        await set(index, 'failure', { failure: false });
        await set(index, 'faults', {});
      }),
    ),
  );
  for (const button of box.querySelectorAll('button')) if (button.textContent === focused) button.focus();
}

const legend = (name: string, state: string): HTMLElement =>
  make('legend', {}, name, make('small', {}, state));

/** The settings of these faults together; their probabilities may add up to 1 at most. */
function setOf(faults: readonly (typeof FAULTS)[number][]): Record<string, number> {
  const sum: Record<string, number> = Object.assign({}, ...faults.map(fault => fault.set));
  const chances = Object.entries(sum).filter(([name]) => !name.endsWith('Ms') && name !== 'healthLies');
  const total = chances.reduce((so, [, chance]) => so + chance, 0);
  if (total > 1) for (const [name, chance] of chances) sum[name] = Math.floor((chance / total) * 1000) / 1000;
  return sum;
}

function press(words: string, isOn: boolean, title: string, act: () => Promise<void>): HTMLElement {
  const button = make('button', { type: 'button', title, 'aria-pressed': String(isOn) }, words);
  button.addEventListener('click', () => void act());
  return button;
}

async function set(index: number, control: string, to: unknown): Promise<void> {
  try {
    await fetch('dashboard/processors', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ processor: NAMES[index], set: control, to }),
    });
  } catch {
    // The next answer shows what is set.
  }
  await refreshControls();
}
