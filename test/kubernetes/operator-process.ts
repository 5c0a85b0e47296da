/** An operator as a process of its own, which tests can kill. Arguments: the port of its HTTP server, then namespaces. */
import { runOperator } from '../../src/kubernetes/main.ts';

const [, , port = '0', ...watch] = process.argv;
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
await runOperator({ port: Number(port), watch }, stop.signal);
