/** Set variables while the server runs. Those of my.cnf hold again after a restart; so nothing is persisted here. */
import { StatementError, type Session } from '../session.ts';
import { ProcedureRefusedError } from './refused.ts';

type Setting = string | number | boolean;

/** ER_UNKNOWN_SYSTEM_VARIABLE: what `loose_` forgives. */
const UNKNOWN_VARIABLE = 1193;

/** Sets `settings`, and back to their defaults those of `former` that are no longer among them. All are tried. */
export async function configure(
  session: Session,
  settings: Readonly<Record<string, Setting>>,
  former: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const refusals: string[] = [];
  const statements = [
    ...former.filter((name) => !(name in settings)).map((name) => ({ name, value: 'DEFAULT' })),
    ...Object.entries(settings).map(([name, value]) => ({ name, value: literal(value) })),
  ];
  for (const { name, value } of statements) {
    try {
      await session.query(`SET GLOBAL ${bare(name)} = ${value}`, [], signal);
    } catch (error) {
      if (!(error instanceof StatementError)) throw error;
      if (error.errno !== UNKNOWN_VARIABLE || !isLoose(name)) refusals.push(error.message);
    }
  }
  if (refusals.length > 0)
    throw new ProcedureRefusedError(`MySQL refuses a setting of the resource: ${refusals.join('; ')}`);
}

function isLoose(name: string): boolean {
  return name.startsWith('loose_');
}

function bare(name: string): string {
  const plain = name.replace(/^loose_/, '');
  // A component's variable has its name in front.
  return plain
    .split('.')
    .map((part) => `\`${part.replaceAll('`', '``')}\``)
    .join('.');
}

const UNITS = { K: 10n, M: 20n, G: 30n, T: 40n, P: 50n, E: 60n };

/** Suffixes such as 64M are for option files; SET wants the number. */
function literal(value: Setting): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'ON' : 'OFF';
  const [, digits, unit] = /^(\d+)([KMGTPE])?$/i.exec(value) ?? [];
  if (digits !== undefined) {
    return unit === undefined ? digits : String(BigInt(digits) << UNITS[unit.toUpperCase() as keyof typeof UNITS]);
  }
  if (/^-?\d+(\.\d+)?$/.test(value)) return value;
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
