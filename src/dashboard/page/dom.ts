/** The few things that the page does to its document. */

export type Content = Node | string | number | false | null | undefined;

/** The element with this id, which has to be there. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no #${id}`);
  return element as unknown as T;
}

/** A new element. What is false, null or undefined among the children is left out. */
export function make(
  tag: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Content[]
): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...kept(children));
  return element;
}

/** Sets the text of an element, if it is another one: what stays the same is not touched. */
export function setText(element: Element | string, text: string): void {
  const target = typeof element === 'string' ? byId(element) : element;
  if (target.textContent !== text) target.textContent = text;
}

/** Puts these children in place of those that were there. */
export function fill(element: Element, ...children: Content[]): void {
  element.replaceChildren(...kept(children));
}

function kept(children: readonly Content[]): (Node | string)[] {
  return children
    .filter(child => child !== false && child !== null && child !== undefined)
    .map(child => (typeof child === 'number' ? String(child) : (child as Node | string)));
}
