/**
 * How a payment travels, as a picture: the entrance, the backends, the queue, the processors, and what moves
 * between them.
 */
import type { Sample } from '../../telemetry/snapshot.ts';
import type { DashboardView, DiskView, InstanceLine, ProcessorState } from '../api.ts';
import { attemptsFail, circuitOfAll, isDown } from './circuits.ts';
import { byId, fill, make } from './dom.ts';
import { bytes, duration, grouped, plural, rate } from './format.ts';
import { svgElement } from './plot.ts';

/** Outcomes in words, in the order in which they are shown. */
const OUTCOME_WORDS: Readonly<Record<string, string>> = {
  processed: 'processed',
  already_processed: 'processed before',
  failed: 'failed',
  timed_out: 'timed out',
  reset: 'connection lost',
  not_connected: 'not connected',
  overloaded: 'overloaded',
  unavailable: 'unavailable',
  gateway: 'gateway error',
  garbage: 'unreadable',
  rejected: 'rejected',
};

/** Draws the picture of `view`; `sample` says how much moves. */
export function drawFlow(view: DashboardView, sample: Sample | undefined): void {
  const { instances, processors } = view;
  const alive = instances.filter(instance => instance.alive);
  const connections = alive.reduce((sum, instance) => sum + instance.connections, 0);
  fill(byId('lane-door'), doorNode(view, connections, sample));
  fill(byId('lane-backends'), ...instances.map(instance => backendNode(instance)));
  fill(byId('lane-queue'), queueNode(instances, view.disk));
  fill(byId('lane-processors'), ...processors.map(processor => processorNode(processor, view.nowMs)));
  drawWires(view, sample);
}

function doorNode(view: DashboardView, connections: number, sample: Sample | undefined): HTMLElement {
  return node(
    'door',
    'ok',
    view.door,
    location.host,
    line(make('b', { class: 'big' }, rate(sample?.accepted ?? 0)), ' a second'),
    line(make('b', {}, grouped(connections)), ` connection${connections === 1 ? '' : 's'}`),
  );
}

function backendNode(instance: InstanceLine): HTMLElement {
  const { name, alive, reasons, queue, ageMs, isChecker, unsettled } = instance;
  const isLate = alive && ageMs > 2000;
  const state = !alive ? 'bad' : reasons.length > 0 || isLate ? 'warn' : 'ok';
  const note = !alive ? 'gone' : isLate ? `silent for ${duration(ageMs)}` : isChecker ? 'checks health' : '';
  if (!alive) {
    const left = unsettled > 0 ? `the others take over its ${plural(unsettled, 'payment')}` : '';
    const gone = node(name, state, name, note, line(left || 'the others have taken over its payments'));
    gone.classList.add('gone');
    return gone;
  }
  const facts: [string, string][] = [
    ['connections', grouped(instance.connections)],
    ['queue', grouped(queue?.length ?? 0)],
    ['at work', grouped(queue?.atWork ?? 0)],
    ['busy', `${Math.round(instance.busy * 100)} %`],
    ['memory', bytes(instance.residentBytes)],
  ];
  return node(
    name,
    state,
    name,
    note,
    make('p', { class: 'chips' }, ...facts.map(([what, value]) => fact(what, value))),
    reasons.length > 0 && line(reasons.join('; ')),
  );
}

/** What the store takes of its disk, and how long that goes on. */
function diskLine({ usedBytes, freeBytes, daysLeft, retentionDays }: DiskView): HTMLElement {
  const left =
    daysLeft === null
      ? ''
      : `, ${daysLeft > 3650 ? 'ten years or more' : `${daysLeft.toFixed(1)} days`} left at this rate`;
  const kept =
    retentionDays === null ? '' : `; payments are kept for ${Number(retentionDays.toFixed(4))} days`;
  return line('disk ', make('b', {}, bytes(usedBytes)), `, ${bytes(freeBytes)} free${left}${kept}`);
}

function queueNode(instances: readonly InstanceLine[], disk: DiskView | null): HTMLElement {
  const queues = instances.flatMap(({ queue }) => queue ?? []);
  const sum = (pick: (queue: (typeof queues)[number]) => number): number =>
    queues.reduce((so, queue) => so + pick(queue), 0);
  const oldestMs = queues.reduce((so, queue) => Math.max(so, queue.oldestMs), 0);
  const waiting = instances.reduce((so, { unsettled }) => so + unsettled, 0);
  const pinned = sum(queue => queue.pinned);
  return node(
    'queue',
    waiting > 0 && oldestMs > 5000 ? 'warn' : 'ok',
    'Queue and store',
    '',
    line(make('b', { class: 'big' }, grouped(waiting)), ' waiting'),
    make(
      'p',
      { class: 'chips' },
      fact('oldest', oldestMs === 0 ? 'none' : duration(oldestMs)),
      fact('pinned', grouped(pinned)),
      fact('room in memory', grouped(sum(({ capacity, length }) => capacity - length))),
    ),
    ...(disk === null ? [] : [diskLine(disk)]),
  );
}

function processorNode(processor: ProcessorState, nowMs: number): HTMLElement {
  const { name, failing, attempts, healthAgeMs, minResponseMs } = processor;
  const whole = circuitOfAll(processor);
  const state = whole === 'open' ? 'bad' : failing || whole === 'partly open' ? 'warn' : 'ok';
  const [circuit, more] = circuitWords(processor, nowMs);
  const health =
    healthAgeMs === null
      ? [make('b', {}, 'not known yet')]
      : [
          make('b', {}, failing ? 'failing' : 'good'),
          minResponseMs > 0 ? `, answers take ${duration(minResponseMs)} or more` : '',
          `, reported ${duration(healthAgeMs)} ago`,
        ];
  const outcomes = Object.entries(OUTCOME_WORDS)
    .filter(([outcome]) => (attempts[outcome] ?? 0) > 0)
    .map(([outcome, words]) =>
      fact(words, grouped(attempts[outcome]!), outcome.includes('processed') ? 'ok' : 'bad'),
    );
  return node(
    name,
    state,
    name,
    processor.url,
    line('circuit ', make('b', {}, circuit), more),
    line('health ', ...health),
    make('p', { class: 'chips' }, ...(outcomes.length > 0 ? outcomes : ['no attempts yet'])),
  );
}

/** The circuit of all instances in a word or two, and what to add. */
function circuitWords(processor: ProcessorState, nowMs: number): [circuit: string, more: string] {
  const { circuits } = processor;
  const whole = circuitOfAll(processor);
  const share = (count: number): string => `${count} of ${circuits.length}`;
  switch (whole) {
    case 'unknown':
      return [whole, ''];
    case 'open': {
      const probes = circuits.map(({ probeAtMs }) => probeAtMs).filter(at => at > 0);
      if (circuits.some(({ probing }) => probing)) return [whole, ', a probe is on its way'];
      return [whole, probes.length === 0 ? '' : `, next probe ${inTime(Math.min(...probes) - nowMs)}`];
    }
    case 'partly open':
      return [`open in ${share(circuits.filter(attemptsFail).length)}`, ''];
    case 'closed': {
      const unproven = circuits.filter(({ circuit }) => circuit === 'half-open').length;
      return [whole, unproven === 0 ? '' : `, half-open in ${share(unproven)}: nothing sent since`];
    }
    case 'half-open':
      return [whole, ': the next payment tries it'];
  }
}

const inTime = (ms: number): string => (ms <= 50 ? 'now' : `in ${duration(ms)}`);

function fact(what: string, value: string, look = ''): HTMLElement {
  return make('span', { class: look }, `${what} `, make('b', {}, value));
}

const line = (...children: (Node | string)[]): HTMLElement => make('p', {}, ...children);

function node(
  key: string,
  state: string,
  title: string,
  note: string,
  ...rest: (Node | string | false)[]
): HTMLElement {
  const words = { ok: 'working', warn: 'needs attention', bad: 'not working' }[state] ?? state;
  return make(
    'div',
    { class: 'node', 'data-node': key },
    make(
      'h3',
      {},
      make('span', { class: `dot ${state}`, role: 'img', 'aria-label': words }),
      title,
      note !== '' && make('small', {}, note),
    ),
    ...rest,
  );
}

/** Lines from each node to those that come after it, moving where payments move. */
function drawWires({ instances, processors }: DashboardView, sample: Sample | undefined): void {
  const wires = byId<SVGSVGElement>('wires');
  const frame = byId('flow').getBoundingClientRect();
  const box = (key: string): DOMRect | undefined =>
    byId('flow').querySelector(`[data-node="${key}"]`)?.getBoundingClientRect();
  const parts: SVGElement[] = [];
  const wire = (from: string, to: string, look: string): void => {
    const [start, end] = [box(from), box(to)];
    if (start === undefined || end === undefined) return;
    parts.push(svgElement('path', { class: `wire ${look}`, d: curve(start, end, frame) }));
  };
  const moves = (amount: number | undefined): string => ((amount ?? 0) > 0 ? 'moves' : '');
  for (const { name, alive } of instances) {
    wire('door', name, alive ? moves(sample?.accepted) : 'broken');
    wire(name, 'queue', alive ? moves(sample?.accepted) : 'broken');
  }
  for (const processor of processors) {
    const { name } = processor;
    const amount = name === 'default' ? sample?.default : sample?.fallback;
    wire('queue', name, `${name} ${(amount ?? 0) > 0 ? 'moves' : isDown(processor) ? 'broken' : ''}`);
  }
  wires.replaceChildren(...parts);
}

/** Side by side from edge to edge; one below the other from foot to head. */
function curve(start: DOMRect, end: DOMRect, frame: DOMRect): string {
  const at = (x: number, y: number): string => `${(x - frame.left).toFixed(1)},${(y - frame.top).toFixed(1)}`;
  if (end.left > start.right) {
    const [y1, y2] = [start.top + start.height / 2, end.top + end.height / 2];
    const middle = (start.right + end.left) / 2;
    return `M${at(start.right, y1)}C${at(middle, y1)} ${at(middle, y2)} ${at(end.left, y2)}`;
  }
  const [x1, x2] = [start.left + start.width / 2, end.left + end.width / 2];
  const middle = (start.bottom + end.top) / 2;
  return `M${at(x1, start.bottom)}C${at(x1, middle)} ${at(x2, middle)} ${at(x2, end.top)}`;
}
