/**
 * The stack as `docker compose up` runs it, within the challenge's 1.5 CPUs and 350 MB, as a project of its
 * own: it and what it stored are gone afterwards.
 *
 * Its parts are addressed by their containers' own addresses: Docker's proxy for published ports would take
 * part of a core that no limit counts.
 */
import { spawnSync } from 'node:child_process';
import { PROJECT_FOLDER } from '../../src/stack/project.ts';
import { until } from '../../src/testing/until.ts';
import type { Endpoints } from './auditor.ts';

const READY_PATIENCE_MS = 60_000;
const POLL_MS = 100;

export interface Containers extends AsyncDisposable {
  readonly places: Endpoints;
  /** What each container uses at present, a line each. */
  readonly usage: () => string[];
}

/** Builds the images and starts everything. Throws with Docker's own words where that fails. */
export async function startContainers(): Promise<Containers> {
  const compose = composeCommand();
  const stack = new Project('soquete-bench', [...compose, '-p', 'soquete-bench']);
  const name = 'soquete-bench-processors';
  const processors = new Project(name, [...compose, '-p', name, '-f', 'docker-compose.processors.yml']);
  // The network is the processors', so they come first and go last.
  const down = (): void => {
    stack.down();
    processors.down();
  };
  try {
    processors.up();
    stack.up();
    const url = `http://${stack.address('haproxy')}:9999`;
    await until(() => isReady(`${url}/health`), `200 from ${url}/health`, READY_PATIENCE_MS, POLL_MS);
    return {
      places: {
        url,
        processors: {
          default: `http://${processors.address('payment-processor-default')}:8080`,
          fallback: `http://${processors.address('payment-processor-fallback')}:8080`,
        },
      },
      usage: () => stack.usage(),
      [Symbol.asyncDispose]: async () => down(),
    };
  } catch (error) {
    down();
    throw error;
  }
}

class Project {
  readonly #name: string;
  readonly #compose: readonly string[];

  constructor(name: string, compose: readonly string[]) {
    this.#name = name;
    this.#compose = compose;
  }

  up(): void {
    run([...this.#compose, 'up', '-d', '--build']);
  }

  down(): void {
    run([...this.#compose, 'down', '-v']);
  }

  /** The address of a service's container in its first network. */
  address(service: string): string {
    const id = run([...this.#compose, 'ps', '-q', service]);
    const addresses = run([
      'docker',
      'inspect',
      '-f',
      '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}',
      id,
    ]);
    return addresses.split(' ')[0]!;
  }

  usage(): string[] {
    const ids = run(['docker', 'ps', '-q', '--filter', `label=com.docker.compose.project=${this.#name}`]);
    const format = '{{.Name}}  {{.MemUsage}}';
    return run(['docker', 'stats', '--no-stream', '--format', format, ...ids.split('\n')])
      .split('\n')
      .sort();
  }
}

/** Compose as Docker's own command, or as the older one beside it. */
function composeCommand(): string[] {
  const isBuiltIn = spawnSync('docker', ['compose', 'version']).status === 0;
  return isBuiltIn ? ['docker', 'compose'] : ['docker-compose'];
}

/** What a command says. Throws with what it complained of. */
function run([command, ...args]: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command!, args, {
    cwd: PROJECT_FOLDER,
    encoding: 'utf8',
  });
  if (status === 0) return stdout.trim();
  throw new Error(
    `${command} ${args.join(' ')}: ${error?.message ?? stderr.trim().split('\n').slice(-3).join('; ')}`,
  );
}

const isReady = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ status }) => status === 200,
    () => false,
  );
