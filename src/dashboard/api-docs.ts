/** What those look up who use soquete: loaded when they do. */
import type { Page } from '../http/routes.ts';
import { OPENAPI } from './openapi.ts';

export { showProblem, showProblems } from './problem-pages.ts';

/** The API's description. Anybody's tool may read it. */
export const showOpenApi = (): Page => ({
  status: 200,
  contentType: 'application/json',
  body: JSON.stringify(OPENAPI),
  fields: 'Access-Control-Allow-Origin: *\r\n',
});
