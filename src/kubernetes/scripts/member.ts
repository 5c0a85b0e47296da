/** member.sh as text. Its own file is what tests run and shellcheck reads; a bundle carries it along. */
import { readFileSync } from 'node:fs';

/** Put in by scripts/build.mjs. */
declare const BATON_MEMBER_SCRIPT: string | undefined;

let script: string | undefined;

export function memberScript(): string {
  script ??=
    typeof BATON_MEMBER_SCRIPT === 'string'
      ? BATON_MEMBER_SCRIPT
      : readFileSync(new URL('./member.sh', import.meta.url), 'utf8');
  return script;
}
