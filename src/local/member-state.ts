/** What one machine's platform keeps about a member across its own death: one small file, replaced as a whole. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

import { writeFileDurably } from './durable-file.ts';
import { MemberError } from './member-error.ts';

const setAside = z.object({ serverUuid: z.string(), rows: z.string() });

const memberState = z.object({
  ordinal: z.int().min(0),
  /** Counts the data directories that this ordinal has had. */
  generation: z.int().min(0),
  port: z.int().min(1).max(65_535),
  adminPort: z.int().min(1).max(65_535),
  /** Whether its process is to run. */
  wanted: z.boolean(),
  /** Of the data directory made last; null before the first. */
  serverUuid: z.string().nullable(),
  /** Its server has answered once: accounts are in, and the copied files have reached the disk. */
  born: z.boolean(),
  /** The machine's boot during which the data directory was made: a power cut may have torn one that was not born. */
  madeInBoot: z.string(),
  /** The process started last, dead or alive. */
  process: z.object({ pid: z.int().min(1), startTime: z.string(), bootId: z.string() }).nullable(),
  /** Old data kept beside, oldest first. */
  asides: z.array(setAside),
  /** A rebuild that was begun and must be finished before anything else. */
  rebuilding: z.object({ discard: z.string(), rows: z.string(), errant: z.string(), saveAs: z.string() }).nullable(),
  /** Its directory was deleted; what is left is the generation, so that no server_id is used twice. */
  removed: z.boolean(),
});

export type MemberState = Readonly<z.infer<typeof memberState>>;

/** Another one for every data directory: MySQL remembers acknowledgements by server_id, not by server_uuid. */
export function serverIdOf(state: Pick<MemberState, 'ordinal' | 'generation'>): number {
  return 100 * (state.generation + 1) + state.ordinal;
}

/** Null if there is none. */
export async function readMemberState(path: string): Promise<MemberState | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return memberState.parse(JSON.parse(text));
  } catch (error) {
    throw new MemberError(
      'MEMBER_FILE_UNREADABLE',
      `expected what is known about a member in ${path}, found something else`,
      `If its data is of no use any more, delete ${path} and the directory beside it: the member is made anew.`,
      { cause: error },
    );
  }
}

export async function writeMemberState(path: string, state: MemberState): Promise<void> {
  await writeFileDurably(path, `${JSON.stringify(state, null, 2)}\n`);
}
