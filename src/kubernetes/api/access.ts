/** Where the API server is and who we are to it: from a kubeconfig, or from inside a Pod. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';

export interface Access {
  /** Without a slash at its end. */
  readonly server: string;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** The name that the server's certificate is for, if not that of `server`. */
  readonly serverName: string | undefined;
  readonly verify: boolean;
  /** Read anew for every request: a Pod's token is replaced in place. */
  readonly token: () => string | undefined;
  /** The namespace of the context, or of the Pod. */
  readonly namespace: string;
}

export interface AccessOptions {
  /** Path of a kubeconfig. Default: KUBECONFIG, then the Pod's own account, then ~/.kube/config. */
  readonly kubeconfig?: string | undefined;
  /** A context of the kubeconfig. Default: its current one. */
  readonly context?: string | undefined;
}

/** There is no way to an API server, or what a kubeconfig says makes none. */
export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly code = 'KUBERNETES_ACCESS';
  readonly hint: string;

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}

const POD_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** @throws {AccessError} */
export function findAccess({ kubeconfig, context }: AccessOptions = {}, env = process.env): Access {
  const named = kubeconfig ?? (env['KUBECONFIG'] ?? '').split(delimiter).find((path) => path !== '');
  if (named !== undefined) return fromKubeconfig(named, context);
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host !== undefined && context === undefined) return fromPod(host, port);
  return fromKubeconfig(join(homedir(), '.kube', 'config'), context);
}

function fromPod(host: string, port: string): Access {
  const read = (name: string): string => readFileSync(join(POD_ACCOUNT, name), 'utf8').trim();
  try {
    return {
      server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      ca: read('ca.crt'),
      cert: undefined,
      key: undefined,
      serverName: undefined,
      verify: true,
      token: () => read('token'),
      namespace: read('namespace'),
    };
  } catch (error) {
    throw new AccessError(
      `expected the account of this Pod in ${POD_ACCOUNT}, found none: ${(error as Error).message}`,
      'Give the Pod a service account whose token is mounted.',
      { cause: error },
    );
  }
}

const text = z.string().optional();
const Kubeconfig = z.object({
  'current-context': text,
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: text, namespace: text }) }))
    .default([]),
  clusters: z
    .array(
      z.object({
        name: z.string(),
        cluster: z.object({
          server: z.string(),
          'certificate-authority': text,
          'certificate-authority-data': text,
          'tls-server-name': text,
          'insecure-skip-tls-verify': z.boolean().optional(),
        }),
      }),
    )
    .default([]),
  users: z
    .array(
      z.object({
        name: z.string(),
        user: z.object({
          'client-certificate': text,
          'client-certificate-data': text,
          'client-key': text,
          'client-key-data': text,
          token: text,
          tokenFile: text,
          exec: z.unknown().optional(),
        }),
      }),
    )
    .default([]),
});

function fromKubeconfig(path: string, wanted: string | undefined): Access {
  const config = readKubeconfig(path);
  const name = wanted ?? config['current-context'];
  const found = config.contexts.find((one) => one.name === name)?.context;
  const cluster = config.clusters.find((one) => one.name === found?.cluster)?.cluster;
  if (found === undefined || cluster === undefined) {
    const names = config.contexts.map((one) => one.name).join(', ') || 'none';
    throw new AccessError(
      `expected ${name === undefined ? 'a current context' : `the context "${name}" with its cluster`} in ${path}, found ${names}`,
      'Choose one with --context.',
    );
  }
  const user = config.users.find((one) => one.name === found.user)?.user ?? {};
  if (user.exec !== undefined && user.token === undefined && user['client-certificate-data'] === undefined) {
    throw new AccessError(
      `expected a certificate or a token of user "${found.user}" in ${path}, found a command that makes one`,
      'Use a kubeconfig with a token: kubectl create token.',
    );
  }
  const near = (file: string): string => resolve(dirname(path), file);
  const pem = (file: string | undefined, data: string | undefined): string | undefined => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    return file === undefined ? undefined : readFileSync(near(file), 'utf8');
  };
  const { tokenFile } = user;
  return {
    server: cluster.server.replace(/\/+$/, ''),
    ca: pem(cluster['certificate-authority'], cluster['certificate-authority-data']),
    cert: pem(user['client-certificate'], user['client-certificate-data']),
    key: pem(user['client-key'], user['client-key-data']),
    serverName: cluster['tls-server-name'],
    verify: cluster['insecure-skip-tls-verify'] !== true,
    token: () => (tokenFile === undefined ? user.token : readFileSync(near(tokenFile), 'utf8').trim()),
    namespace: found.namespace ?? 'default',
  };
}

function readKubeconfig(path: string): z.output<typeof Kubeconfig> {
  try {
    return Kubeconfig.parse(parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new AccessError(
      `expected a kubeconfig in ${path}, found none: ${error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message}`,
      'Name one with --kubeconfig, or set KUBECONFIG.',
      { cause: error },
    );
  }
}
