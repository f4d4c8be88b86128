/** `npm run cells`: the summary over all cells, behind the door before them. */
import { option, readCommandLine } from '../settings/command-line.ts';
import { httpUrl, portNumber, someText } from '../settings/grammar.ts';
import { serveCells } from './server.ts';

const { values } = readCommandLine({
  name: 'cells',
  command: 'npm run cells --',
  about: `Answers GET /payments-summary with the sum over all cells, for the door before them (haproxy/cells.cfg).
Where a cell does not answer there is no sum: 503, with the name of the cell.`,
  options: {
    cells: option('all cells', 'URL,URL,…', urls(), undefined),
    host: option('where it listens', 'ADDRESS', someText('an address'), '127.0.0.1'),
    port: option('where it listens', 'PORT', portNumber(0), 9990),
  },
  status: 78,
});
if (values.cells === undefined) {
  console.error('cells: --cells is missing: the addresses of all cells, with commas between');
  process.exit(78);
}
try {
  const { port } = await serveCells(values.cells, values.host, values.port);
  console.log(`cells: the sum over ${values.cells.length} cells is at http://${values.host}:${port}`);
} catch (error) {
  console.error(`cells: --host and --port: cannot listen (${(error as Error).message})`);
  process.exit(78);
}

function urls() {
  return {
    takes: 'addresses as http://10.0.0.1:9999, with commas between, each once',
    read: (text: string): string[] | undefined => {
      const parts = text.split(',');
      const areUrls = parts.every(part => httpUrl.read(part) !== undefined);
      return areUrls && new Set(parts).size === parts.length ? parts : undefined;
    },
  };
}
