/** A node of its own, and three processes under OpenTelemetry's auto-instrumentation that call each other and send to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = new URL('../../', import.meta.url).pathname;
const PEERS = join(ROOT, 'tests/peers');
/** A request to the shop this often, in milliseconds. */
const EVERY = 150;

/** What is missing to run it; null where nothing is. */
export function missing(): string | null {
  const lacks = ['ORRERY_BINARY', 'ORRERY_PEERS_PYTHON'].filter((name) => !process.env[name]);
  return lacks.length > 0 ? `${lacks.join(' and ')} not set` : null;
}

function firstLine(child: ChildProcess, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    if (!child.stdout) throw new Error('the output of the process is not read');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = wanted.exec(line)?.[1];
      if (found) resolve(found);
    });
    child.on('exit', (code) => {
      reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`));
    });
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const at = server.address();
      server.close(() => {
        resolve(typeof at === 'object' && at ? at.port : 0);
      });
    });
  });
}

function service(otlp: string, name: string, below?: string): ChildProcess {
  const bin = process.env.ORRERY_PEERS_PYTHON ?? '';
  const args = [join(bin, 'python'), join(PEERS, 'shop.py'), name, ...(below ? [below] : [])];
  return spawn(join(bin, 'opentelemetry-instrument'), args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      ...process.env,
      OTEL_SERVICE_NAME: name,
      OTEL_RESOURCE_ATTRIBUTES: `k8s.namespace.name=shop,k8s.pod.name=${name}-0`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_ENDPOINT: otlp,
      OTEL_EXPORTER_OTLP_INSECURE: 'true',
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_LOGS_EXPORTER: 'otlp',
      OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED: 'true',
      OTEL_METRIC_EXPORT_INTERVAL: '2000',
      OTEL_BSP_SCHEDULE_DELAY: '500',
      OTEL_BLRP_SCHEDULE_DELAY: '500',
    },
  });
}

export class Shop {
  private constructor(
    readonly url: string,
    private readonly children: ChildProcess[],
    private readonly home: string,
    private readonly asking: NodeJS.Timeout,
  ) {}

  /** Starts all of it; requests go on until it is closed. */
  static async open(): Promise<Shop> {
    const home = mkdtempSync(join(tmpdir(), 'orrery-shop-'));
    const children: ChildProcess[] = [];
    try {
      const grpc = await freePort();
      const config = {
        cluster: 'shop-01',
        data_dir: join(home, 'data'),
        listen: { http: '127.0.0.1:0', otlp_grpc: `127.0.0.1:${grpc}`, otlp_http: 'off' },
        otlp: { promote_resource_attributes: ['k8s.pod.name'] },
      };
      writeFileSync(join(home, 'orrery.yaml'), JSON.stringify(config));
      const node = spawn(process.env.ORRERY_BINARY ?? '', ['run', '--config', join(home, 'orrery.yaml')], {
        stdio: ['ignore', 'pipe', 'ignore'],
        // Unoptimised builds read the pages from the tree.
        cwd: ROOT,
      });
      children.push(node);
      const url = await firstLine(node, /ready: (http\S*?)\/?$/);
      let below: string | undefined;
      for (const name of ['stock', 'orders', 'web']) {
        const child = service(`http://127.0.0.1:${grpc}`, name, below);
        children.push(child);
        below = `http://127.0.0.1:${await firstLine(child, /^(\d+)$/)}`;
      }
      let article = 0;
      const asking = setInterval(() => {
        article += 1;
        fetch(`${below}/articles/${article}`).catch(() => undefined);
      }, EVERY);
      return new Shop(url, children, home, asking);
    } catch (e) {
      children.forEach((child) => child.kill('SIGKILL'));
      rmSync(home, { recursive: true, force: true });
      throw e;
    }
  }

  /** How many answers of a query there are now. */
  async count(promql: string): Promise<number> {
    const answer = await fetch(`${this.url}/api/v1/query?query=${encodeURIComponent(promql)}`);
    const body = (await answer.json()) as { data: { result: unknown[] } };
    return body.data.result.length;
  }

  async close(): Promise<void> {
    clearInterval(this.asking);
    const ended = this.children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    this.children.forEach((child) => child.kill('SIGKILL'));
    await Promise.all(ended);
    rmSync(this.home, { recursive: true, force: true });
  }
}
