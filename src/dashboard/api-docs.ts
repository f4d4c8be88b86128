/** The API's documentation as pages, loaded when one is first asked for. */
import type { Page } from '../http/page.ts';
import { OPENAPI } from './openapi.ts';

export { showProblem, showProblems } from './problem-pages.ts';

/** The OpenAPI document, also for pages of other origins. */
export const showOpenApi = (): Page => ({
  status: 200,
  contentType: 'application/json',
  body: JSON.stringify(OPENAPI),
  fields: 'Access-Control-Allow-Origin: *\r\n',
});
