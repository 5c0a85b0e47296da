/** Which Baton this is. */
import { readFileSync } from 'node:fs';

/** Put in by scripts/build.mjs. */
declare const BATON_VERSION: string | undefined;

const bundled = typeof BATON_VERSION === 'string' ? BATON_VERSION : null;

/** For people. */
export const version = bundled ?? 'from source';

/** A number, such as 0.1.0, whether bundled or not. */
export function versionNumber(): string {
  if (bundled !== null) return bundled;
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
