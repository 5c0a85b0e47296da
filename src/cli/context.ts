/** What every command knows: which cluster, how to speak, and how to reach it. */
import type { ApiClient } from '../local/api-client.ts';
import { connectDaemon } from '../local/daemon-start.ts';
import { clusterDirectories, type ClusterDirectories } from '../local/directories.ts';
import { knownClusters, storedResource } from '../local/known-cluster.ts';
import type { ClusterClient } from './cluster-client.ts';
import { badInput, CommandError, EXIT } from './exit.ts';
import type { ClusterInKubernetes } from './kubernetes-cluster.ts';
import { kubernetesPlace, type KubernetesPlace, type PlaceOptions } from './platform.ts';
import { coloursFor, Ticker, type Colours } from './terminal.ts';

export interface CommonOptions extends PlaceOptions {
  readonly name?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** As a resource's metadata.name; also what keeps a name from being a path. */
const NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

export function checkName(name: string): string {
  if (NAME.test(name) && name.length <= 40) return name;
  const expected = 'a name of lower-case letters, digits and dashes, a letter first, 40 characters at most';
  throw badInput(`expected ${expected}, found ${JSON.stringify(name.slice(0, 60))}`);
}

export class Context {
  readonly name: string;
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly directories: ClusterDirectories;
  readonly colours: Colours;
  /** Null: this machine. */
  readonly kubernetes: KubernetesPlace | null;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly interrupted: AbortSignal;

  constructor(options: CommonOptions, interrupted: AbortSignal, env: NodeJS.ProcessEnv = process.env) {
    this.name = checkName(options.name ?? 'mysql');
    this.json = options.json === true;
    this.env = env;
    this.kubernetes = kubernetesPlace(options, env);
    this.directories = clusterDirectories(this.name, env);
    this.colours = coloursFor(process.stdout, env);
    this.interrupted = interrupted;
  }

  /** How this program is called, with what names this cluster: for hints that can be pasted. */
  command(rest: string): string {
    const program = this.env['BATON_COMMAND'] ?? 'baton';
    const place = Object.entries(this.kubernetes ?? {}).map(([option, value]) => ` --${option} ${value}`);
    return `${program} ${rest}${this.name === 'mysql' ? '' : ` --name ${this.name}`}${place.join('')}`;
  }

  ticker(): Ticker {
    return new Ticker(process.stderr, this.env);
  }

  print(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  printJson(value: unknown): void {
    this.print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined));
  }

  /** Wherever it is. On this machine it rejects as `daemon` does. */
  async cluster(): Promise<ClusterClient> {
    return (await this.inKubernetes()) ?? this.daemon();
  }

  /** Null if it is on this machine. What is for Kubernetes is loaded only there. */
  async inKubernetes(): Promise<ClusterInKubernetes | null> {
    if (this.kubernetes === null) return null;
    const { ClusterInKubernetes } = await import('./kubernetes-cluster.ts');
    return ClusterInKubernetes.at(this.kubernetes, this.name, (rest) => this.command(rest));
  }

  /** Rejects if the cluster does not exist or its daemon does not run. */
  async daemon(): Promise<ApiClient> {
    const client = await connectDaemon(this.directories);
    if (client !== null) return client;
    await this.mustExist();
    throw new CommandError(
      EXIT.notRunning,
      'NOT_RUNNING',
      `cluster "${this.name}" is not running: it has no daemon`,
      `Start it: ${this.command('start')}`,
    );
  }

  async mustExist(): Promise<string> {
    const stored = await storedResource(this.directories);
    if (stored !== null) return stored;
    const known = await knownClusters(this.env);
    const those = known.length === 0 ? 'there are none so far' : `those that exist: ${known.join(', ')}`;
    throw new CommandError(
      EXIT.notRunning,
      'NO_SUCH_CLUSTER',
      `there is no cluster "${this.name}"; ${those}`,
      known.length === 0 ? `Make it: ${this.command('up')}` : `Name one with --name, or make it: ${this.command('up')}`,
    );
  }
}
