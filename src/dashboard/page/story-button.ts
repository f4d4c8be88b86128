import { make } from './dom.ts';

/** The beginning of a correlationId, which opens its payment's story. */
export function storyButton(correlationId: string, open: (id: string) => void): HTMLElement {
  const id = make(
    'button',
    { type: 'button', class: 'id', 'aria-label': `Story of ${correlationId}`, title: correlationId },
    `${correlationId.slice(0, 8)}…`,
  );
  id.addEventListener('click', () => open(correlationId));
  return id;
}
