/** An operator's hand on the payment whose story is open: asked for once more before it acts. */
import type { PaymentLine } from '../api.ts';
import { fill, make } from './dom.ts';

type Act = 'retry' | 'settle' | 'close';

const QUESTIONS: Readonly<Record<Act, string>> = {
  retry: 'Try this payment again now?',
  settle: 'Book this payment as settled? The processors are asked first.',
  close: 'Close this payment? It will never be settled.',
};

const WHO = 'soquete-operator';
/** The form keeps what was typed while the story around it is drawn anew. */
let drawn: { readonly id: string; readonly form: HTMLElement } | undefined;

/** The form for a payment. */
export function handOn({ correlationId, state }: PaymentLine): HTMLElement {
  if (drawn?.id !== correlationId) drawn = { id: correlationId, form: form(correlationId, state) };
  return drawn.form;
}

function form(correlationId: string, state: PaymentLine['state']): HTMLElement {
  const who = field('Your name', 'hand-who', 64);
  const reason = field('Why', 'hand-reason', 500);
  who.input.value = localStorage.getItem(WHO) ?? '';
  const on = make('select', { id: 'hand-on', 'aria-label': 'Settled on' }) as HTMLSelectElement;
  fill(on, make('option', {}, 'default'), make('option', {}, 'fallback'));
  const anyway = make('input', { type: 'checkbox', id: 'hand-anyway' }) as HTMLInputElement;
  const said = make('p', { role: 'status' });
  const act = async (kind: Act): Promise<void> => {
    if (!confirm(QUESTIONS[kind])) return;
    localStorage.setItem(WHO, who.input.value);
    said.textContent = 'Asking…';
    const order = {
      ...{ correlationId, act: kind, who: who.input.value, anyway: anyway.checked },
      ...(kind === 'settle' ? { on: on.value } : {}),
      ...(reason.input.value === '' ? {} : { reason: reason.input.value }),
    };
    try {
      const answer = await fetch('dashboard/acts', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(order),
      });
      const { detail } = await answer.json();
      said.textContent = `${answer.ok ? 'Done' : 'Not done'}: ${detail}`;
    } catch {
      said.textContent = 'soquete does not answer: look at the story before you try again.';
    }
  };
  const press = (words: string, kind: Act): HTMLElement => {
    const button = make('button', { type: 'button' }, words);
    button.addEventListener('click', () => void act(kind));
    return button;
  };
  const isSettled = state === 'settled';
  return make(
    'fieldset',
    { class: 'control hand' },
    make('legend', {}, 'By hand'),
    who.label,
    reason.label,
    make(
      'div',
      { class: 'row' },
      press(isSettled ? 'Send once more' : 'Retry', 'retry'),
      !isSettled && press('Settle on', 'settle'),
      !isSettled && on,
      !isSettled && press('Close', 'close'),
      !isSettled && make('label', { for: 'hand-anyway' }, anyway, ' whatever the processors say'),
    ),
    said,
  );
}

function field(
  words: string,
  id: string,
  lengthMax: number,
): { label: HTMLElement; input: HTMLInputElement } {
  const input = make('input', { id, maxlength: String(lengthMax), autocomplete: 'off' }) as HTMLInputElement;
  return { label: make('label', { for: id }, words, ' ', input), input };
}
