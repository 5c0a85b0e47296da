#!/usr/bin/env node
/** The command line. What a command needs beyond this is loaded when it runs: `status` should be as fast as Node starts. */
import { Command, CommanderError } from 'commander';

import { asFailure, DaemonError } from '../local/failure.ts';
import type { CommonOptions } from './context.ts';
import { errorText, EXIT, EXIT_HELP, exitCodeOf } from './exit.ts';
import { checkCommand } from './platform.ts';
import { version } from './version.ts';

const interruption = new AbortController();
const { signal } = interruption;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Whoever asks twice does not want to wait.
    if (signal.aborted) process.exit(EXIT.interrupted);
    interruption.abort();
  });
}
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : EXIT.failed));

const asPlugin = process.env['BATON_COMMAND'] === 'kubectl baton';
const program = new Command(asPlugin ? 'kubectl baton' : 'baton')
  .description('A MySQL primary with replicas that keeps itself right.')
  .version(version, '-V, --version', 'print the version')
  .helpCommand('help [command]', 'show what a command does')
  .addHelpText('after', `\n${EXIT_HELP}`)
  .showSuggestionAfterError()
  .exitOverride()
  .hook('preAction', (_, action) => checkCommand(action.name(), process.env))
  .configureOutput({ outputError: (text, write) => write(`baton: ${text.replace(/^error: /, '')}`) });

function command(spec: string, description: string): Command {
  return program
    .command(spec)
    .description(description)
    .option('--name <name>', 'which cluster (default: mysql)')
    .option('--json', 'write JSON')
    .option('--debug', 'with an error, show where it comes from');
}

/** One that works on clusters in a Kubernetes, too. */
function anywhere(spec: string, description: string): Command {
  return command(spec, description)
    .optionsGroup('On Kubernetes:')
    .option('-n, --namespace <namespace>', "the cluster's namespace (default: that of the context)")
    .option('--context <context>', 'which context of the kubeconfig')
    .option('--kubeconfig <file>', 'which kubeconfig (default: KUBECONFIG, or ~/.kube/config)')
    .optionsGroup('Options:');
}

const several = (one: string, all?: string[]): string[] => [...(all ?? []), one];
const operatorNamespace = [
  '--operator-namespace <namespace>',
  "on Kubernetes: the operator's namespace, for its log",
  'baton-system',
] as const;
const timeout = ['--timeout <seconds>', 'how long to wait', '300'] as const;

command('up', 'bring a cluster up, or to what its resource asks for')
  .option('-f, --file <file>', 'the resource (YAML; - for standard input); default: as before, or defaults')
  .option('--replicas <n>', 'members, the primary included')
  .option('--mysql-basedir <dir>', 'use the MySQL in this directory')
  .option(...timeout)
  .action(async (options) => (await import('./up.ts')).up(options, signal));

anywhere('status', 'members, roles, lag, endpoints, what happened last and why')
  .option('-w, --watch', 'stay and show every change')
  .action(async (options) => (await import('./status.ts')).status(options, signal));

anywhere('url', 'the URL of the primary endpoint, password included')
  .option('--read', 'of the read endpoint')
  .option('--forward', 'on Kubernetes: of a port of this machine that leads there, as long as this runs')
  .action(async (options) => (await import('./operate.ts')).url(options, signal));

anywhere('sql', 'run statements through the primary endpoint')
  .option('-e, --execute <sql>', 'what to run; may be given again', several)
  .option('--read', 'through the read endpoint')
  .option('--member <n>', 'at this member')
  .option('--root', 'as root, with --member')
  .option('-D, --database <name>', 'the default database')
  .option('--format <format>', 'table, tsv or json (default: table on a terminal, else tsv)')
  .action(async (options) => (await import('./sql.ts')).sql(options, signal));

anywhere('scale <replicas>', 'change the number of members')
  .option(...timeout)
  .action(async (replicas: string, options) => (await import('./operate.ts')).scale(replicas, options, signal));

anywhere('switchover', 'make another member the primary, without losing a write')
  .option('--to <member>', 'which one (default: the one that is furthest)')
  .action(async (options) => (await import('./operate.ts')).switchover(options, signal));

anywhere('restart [members...]', 'restart members one by one, the primary last and after a switchover')
  .option(...timeout)
  .action(async (members: string[], options) => (await import('./operate.ts')).restart(members, options, signal));

anywhere('drill', 'prove on this cluster that a lost primary loses no acknowledged write')
  .option('--kill', 'kill the primary (the default)')
  .option('--freeze', 'freeze it, as if its machine hung')
  .option('--switchover', 'switch over')
  .option('--times <n>', 'how often, one after the other', '1')
  .option('--yes', 'do not ask')
  .action(async (options) => (await import('./drill.ts')).drill(options, signal));

anywhere('explain', 'what happened, when and why')
  .option('-a, --all', 'every step too')
  .option(...operatorNamespace)
  .option('-f, --follow', 'stay and show what happens')
  .option('-l, --lines <n>', 'how many of the newest', '40')
  .action(async (options) => (await import('./journal.ts')).explain(options, signal));

anywhere('logs [member]', "the daemon's or operator's log, or a member's MySQL error log")
  .option(...operatorNamespace)
  .option('-f, --follow', 'stay and show what is added')
  .option('-l, --lines <n>', 'how many of the newest', '40')
  .action(async (member: string | undefined, options) => (await import('./journal.ts')).logs(member, options, signal));

command('stop', 'stop every member; the data is kept').action(async (options) =>
  (await import('./operate.ts')).stop(options, signal),
);

command('start', 'bring a stopped cluster up as it was')
  .option(...timeout)
  .action(async (options) => (await import('./up.ts')).start(options, signal));

command('down', 'stop every member; the data is kept unless --delete is given')
  .option('--delete', 'delete the data too, for good; asks for the name')
  .option('--yes', 'do not ask')
  .action(async (options) => (await import('./operate.ts')).down(options, signal));

anywhere('list', 'the clusters of this user').action(async (options) =>
  (await import('./status.ts')).list(options, signal),
);

program
  .command('operator')
  .description('look after the clusters of a Kubernetes: what runs in its Pods')
  .option('--watch <namespace>', 'only clusters of this namespace; may be given again', several)
  .option('--port <port>', 'for /metrics, /healthz and /readyz (default: 8080)')
  .option('--context <context>', 'which context of the kubeconfig')
  .option('--kubeconfig <file>', "which kubeconfig (default: KUBECONFIG, the Pod's own account, or ~/.kube/config)")
  .action(async (options) => (await import('./operator.ts')).operator(options, signal));

program
  .command('install')
  .description('print what installs the operator, for kubectl apply --server-side -f -')
  .option('-n, --namespace <namespace>', "the operator's own namespace (default: baton-system)")
  .option('--image <image>', "the operator's image (default: baton:VERSION)")
  .option('--watch <namespace>', 'give it rights in this namespace only; may be given again', several)
  .option('--replicas <n>', 'how many operators; one leads (default: 2)')
  .action(async (options) => (await import('./operator.ts')).install(options));

program
  .command('render')
  .description('print every object that a cluster is made of')
  .requiredOption('-f, --file <file>', 'the resource (YAML; - for standard input)')
  .option('-n, --namespace <namespace>', 'instead of the namespace that the resource names')
  .option('--local-volume <node:path>', 'a directory of a node to be a volume; may be given again', several)
  .option('--operator-namespace <namespace>', 'where the operator runs (default: baton-system)')
  .action(async (options) => (await import('./operator.ts')).render(options));

program
  .command('version')
  .description('the versions of Baton and Node')
  .option('--json', 'write JSON')
  .action(({ json }: CommonOptions) => {
    const versions = { baton: version, node: process.versions.node };
    process.stdout.write(
      json === true ? `${JSON.stringify(versions)}\n` : `baton ${version} (Node ${versions.node})\n`,
    );
  });

async function main(): Promise<number> {
  try {
    await program.parseAsync();
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
  } catch (error) {
    // Commander has said what is wrong; --help and --version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
    // Ctrl-C at a question comes as an error of its own.
    if (signal.aborted || (error as { code?: unknown }).code === 'ABORT_ERR') return EXIT.interrupted;
    const failure = asFailure(error);
    const stack = error instanceof DaemonError ? error.daemonStack : failure.stack;
    const { code, message, hint } = failure;
    const json = process.argv.includes('--json');
    const text = errorText({ ...failure, stack }, process.argv.includes('--debug'));
    process.stderr.write(json ? `${JSON.stringify({ error: { code, message, hint } })}\n` : text);
    return exitCodeOf(error);
  }
}

// Output to a pipe may still be under way, so the process is left to end by itself.
process.exitCode = await main();
