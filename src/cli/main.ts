#!/usr/bin/env node
/** The command line. What a command needs beyond this is loaded when it runs: `status` should be as fast as Node starts. */
import { Command, CommanderError } from 'commander';

import { asFailure, DaemonError } from '../local/failure.ts';
import type { CommonOptions } from './context.ts';
import { errorText, EXIT, EXIT_HELP, exitCodeOf } from './exit.ts';

declare const BATON_VERSION: string | undefined;
const version = typeof BATON_VERSION === 'string' ? BATON_VERSION : 'from source';

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

const program = new Command('baton')
  .description('A MySQL primary with replicas that keeps itself right.')
  .version(version, '-V, --version', 'print the version')
  .helpCommand('help [command]', 'show what a command does')
  .addHelpText('after', `\n${EXIT_HELP}`)
  .showSuggestionAfterError()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(`baton: ${text.replace(/^error: /, '')}`) });

function command(spec: string, description: string): Command {
  return program
    .command(spec)
    .description(description)
    .option('--name <name>', 'which cluster (default: mysql)')
    .option('--json', 'write JSON')
    .option('--debug', 'with an error, show where it comes from');
}

const timeout = ['--timeout <seconds>', 'how long to wait', '300'] as const;

command('up', 'bring a cluster up, or to what its resource asks for')
  .option('-f, --file <file>', 'the resource (YAML; - for standard input); default: as before, or defaults')
  .option('--replicas <n>', 'members, the primary included')
  .option('--mysql-basedir <dir>', 'use the MySQL in this directory')
  .option(...timeout)
  .action(async (options) => (await import('./up.ts')).up(options, signal));

command('status', 'members, roles, lag, endpoints, what happened last and why')
  .option('-w, --watch', 'stay and show every change')
  .action(async (options) => (await import('./status.ts')).status(options, signal));

command('url', 'the URL of the primary endpoint, password included')
  .option('--read', 'of the read endpoint')
  .action(async (options) => (await import('./operate.ts')).url(options, signal));

command('sql', 'run statements through the primary endpoint')
  .option('-e, --execute <sql>', 'what to run; may be given again', (one, all?: string[]) => [...(all ?? []), one])
  .option('--read', 'through the read endpoint')
  .option('--member <n>', 'at this member')
  .option('--root', 'as root, with --member')
  .option('-D, --database <name>', 'the default database')
  .option('--format <format>', 'table, tsv or json (default: table on a terminal, else tsv)')
  .action(async (options) => (await import('./sql.ts')).sql(options, signal));

command('scale <replicas>', 'change the number of members')
  .option(...timeout)
  .action(async (replicas: string, options) => (await import('./operate.ts')).scale(replicas, options, signal));

command('switchover', 'make another member the primary, without losing a write')
  .option('--to <member>', 'which one (default: the one that is furthest)')
  .action(async (options) => (await import('./operate.ts')).switchover(options, signal));

command('restart [members...]', 'restart members one by one, the primary last and after a switchover')
  .option(...timeout)
  .action(async (members: string[], options) => (await import('./operate.ts')).restart(members, options, signal));

command('drill', 'prove on this cluster that a lost primary loses no acknowledged write')
  .option('--kill', 'kill the primary (the default)')
  .option('--freeze', 'freeze it, as if its machine hung')
  .option('--switchover', 'switch over')
  .option('--times <n>', 'how often, one after the other', '1')
  .option('--yes', 'do not ask')
  .action(async (options) => (await import('./drill.ts')).drill(options, signal));

command('explain', 'what happened, when and why')
  .option('-a, --all', 'every step too')
  .option('-f, --follow', 'stay and show what happens')
  .option('-l, --lines <n>', 'how many of the newest', '40')
  .action(async (options) => (await import('./journal.ts')).explain(options, signal));

command('logs [member]', "the daemon's log, or a member's MySQL error log")
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

command('list', 'the clusters of this user').action(async (options) =>
  (await import('./status.ts')).list(options, signal),
);

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
