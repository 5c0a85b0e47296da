/** What a member's server is started with: the file that the product writes for it, read as mysqld would. */
import { configFile } from '../../src/mysql/config-file.ts';

export type Settings = ReadonlyMap<string, string>;

export interface SettingsOptions {
  readonly ordinal: number;
  readonly serverId: number;
  readonly powerLoss: boolean;
  readonly netTimeoutMs: number;
}

/** What differs from member to member, nothing here depends on. */
const known = new Map<string, Settings>();

export function startSettings(options: SettingsOptions): Settings {
  const key = `${options.powerLoss} ${options.netTimeoutMs}`;
  let settings = known.get(key);
  if (settings === undefined) known.set(key, (settings = read(options)));
  return settings;
}

function read({ ordinal, serverId, powerLoss, netTimeoutMs }: SettingsOptions): Settings {
  const text = configFile({
    ordinal,
    serverId,
    bindAddress: `member-${ordinal}`,
    port: 3306,
    adminPort: 33062,
    dataDir: '/data',
    socket: '/run/mysqld.sock',
    tmpDir: null,
    powerLoss,
    replicaNetTimeoutSeconds: netTimeoutMs / 1000,
    settings: [],
  });
  return new Map(
    text
      .split('\n')
      .filter((line) => line.includes(' = '))
      .map((line) => line.split(' = ', 2) as [string, string]),
  );
}
