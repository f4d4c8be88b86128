/** JSON between the dashboard and its backend. */
import type { Page } from '../http/page.ts';

export const JSON_TYPE = 'application/json';
export const NO_STORE = 'Cache-Control: no-store\r\n';

export const jsonPage = (status: number, value: unknown): Page => ({
  status,
  contentType: JSON_TYPE,
  body: JSON.stringify(value),
  fields: NO_STORE,
});

/**
 * Whether a body says that it is JSON. A page of another site cannot send that without a preflight, which is
 * never granted.
 */
export const isJson = (contentType: string | undefined): boolean =>
  contentType?.toLowerCase().startsWith(JSON_TYPE) === true;
