/** `baton operator`: one of the operators of a Kubernetes cluster, until it is told to stop. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { hostname } from 'node:os';
import { findAccess } from './api/access.ts';
import { ApiClient } from './api/client.ts';
import { OPERATOR_HTTP_PORT, OPERATOR_NAMESPACE } from './install.ts';
import { Leader } from './lease.ts';
import { metricsText } from './metrics.ts';
import { Operator } from './operator.ts';

export interface OperatorArguments {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** The namespaces whose clusters it looks after. Default, and if empty: all. */
  readonly watch?: readonly string[];
  /** For /healthz, /readyz and /metrics. Default: 8080; 0: a free one. */
  readonly port?: number;
}

/** Resolves when `signal` aborts and all is let go. Rejects only at the beginning: with AccessError, or if the port is taken. */
export async function runOperator(args: OperatorArguments, signal: AbortSignal): Promise<void> {
  const client = new ApiClient(findAccess(args));
  const operatorNamespace = process.env['POD_NAMESPACE'] ?? OPERATOR_NAMESPACE;
  const log = (event: Record<string, unknown>): void =>
    console.log(JSON.stringify({ at: new Date().toISOString(), ...event }));
  const operator = new Operator({ client, namespaces: args.watch ?? [], operatorNamespace, log });
  const leader = new Leader({
    client,
    namespace: operatorNamespace,
    name: 'baton',
    identity: `${process.env['POD_NAME'] ?? hostname()}_${randomUUID().slice(0, 8)}`,
    log,
  });
  let informed = false;
  void operator.informed().then(() => (informed = true));
  const server = createServer((request, answer) => {
    const ok = request.url === '/metrics' || request.url === '/healthz' || (request.url === '/readyz' && informed);
    answer.writeHead(ok ? 200 : request.url === '/readyz' ? 503 : 404, { 'content-type': 'text/plain; version=0.0.4' });
    answer.end(request.url === '/metrics' ? metricsText(operator.cared, leader.leading) : ok ? 'ok\n' : 'no\n');
  });
  await listen(server, args.port ?? OPERATOR_HTTP_PORT);
  const over = new AbortController();
  const informing = operator.inform(over.signal);
  await leader.run(signal, (leading) => operator.lead(leading));
  over.abort();
  await informing;
  server.close();
  client.close();
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port);
  await once(server, 'listening');
}
