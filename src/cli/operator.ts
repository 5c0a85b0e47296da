/** `operator`, `install`, `render`: Baton on Kubernetes, from its own side. */
import { installObjects } from '../kubernetes/install.ts';
import { parseLocalVolume, type LocalVolume } from '../kubernetes/objects/persistent-volume.ts';
import { renderObjects, toYaml } from '../kubernetes/render.ts';
import { parseCluster } from '../spec/parse.ts';
import { badInput } from './exit.ts';
import { nameOfFile, readResource } from './resource-file.ts';
import { versionNumber } from './version.ts';

export interface OperatorOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly watch?: readonly string[];
  readonly port?: string;
}

export async function operator(options: OperatorOptions, interrupted: AbortSignal): Promise<void> {
  const { kubeconfig, context, watch = [], port } = options;
  watch.forEach((namespace) => checkNamespace('--watch', namespace));
  // Not loaded by commands that only ask the API server.
  const { runOperator } = await import('../kubernetes/main.ts');
  await runOperator(
    { kubeconfig, context, watch, ...(port === undefined ? {} : { port: numberBelow('--port', port, 65_536) }) },
    interrupted,
  );
}

export interface InstallArguments {
  readonly namespace?: string;
  readonly image?: string;
  readonly watch?: readonly string[];
  readonly replicas?: string;
}

export function install({ namespace, image, watch = [], replicas }: InstallArguments): void {
  if (namespace !== undefined) checkNamespace('--namespace', namespace);
  watch.forEach((watched) => checkNamespace('--watch', watched));
  const objects = installObjects({
    image: image ?? defaultImage(),
    watch,
    ...(namespace === undefined ? {} : { namespace }),
    ...(replicas === undefined ? {} : { replicas: numberBelow('--replicas', replicas, 10) }),
  });
  process.stdout.write(toYaml(objects));
}

/** As the Dockerfile is built where nothing else is said. */
export const defaultImage = (): string => `baton:${versionNumber()}`;

export interface RenderArguments {
  readonly file: string;
  readonly namespace?: string;
  readonly operatorNamespace?: string;
  readonly localVolume?: readonly string[];
}

export async function render(options: RenderArguments): Promise<void> {
  const { file, namespace, operatorNamespace, localVolume = [] } = options;
  if (namespace !== undefined) checkNamespace('--namespace', namespace);
  if (operatorNamespace !== undefined) checkNamespace('--operator-namespace', operatorNamespace);
  const localVolumes = localVolume.map(localVolumeOf);
  const { cluster, notes } = parseCluster(await readResource(file), nameOfFile(file), 'kubernetes');
  for (const note of notes) process.stderr.write(`note: ${note}\n`);
  const { metadata } = cluster;
  const placed = namespace === undefined ? cluster : { ...cluster, metadata: { ...metadata, namespace } };
  const objects = renderObjects(placed, {
    localVolumes,
    ...(operatorNamespace === undefined ? {} : { operatorNamespace }),
  });
  process.stdout.write(toYaml(objects));
  process.stderr.write('note: Secrets are left out; the operator makes their passwords when it makes the cluster\n');
}

function localVolumeOf(text: string): LocalVolume {
  const volume = parseLocalVolume(text);
  if (volume !== null) return volume;
  throw badInput(
    `expected --local-volume to be NODE:PATH with an absolute path, found ${JSON.stringify(text.slice(0, 100))}`,
    'Such as: --local-volume node1:/data/mysql',
  );
}

/** A DNS label, as Kubernetes has it. */
export function checkNamespace(option: string, text: string): string {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) return text;
  throw badInput(`expected ${option} to be the name of a namespace, found ${JSON.stringify(text.slice(0, 100))}`);
}

function numberBelow(option: string, text: string, limit: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= 0 && value < limit) return value;
  throw badInput(`expected ${option} to be a number below ${limit}, found ${JSON.stringify(text.slice(0, 60))}`);
}
