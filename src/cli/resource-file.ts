/** The text of a resource, from where a person says it is. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { text } from 'node:stream/consumers';

import { badInput } from './exit.ts';

/** `-` is standard input. */
export async function readResource(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const path = isAbsolute(file) ? file : resolve(file);
    if (code === 'ENOENT')
      throw badInput(`there is no file ${path}`, 'Name a resource with -f, or leave -f out for the defaults.');
    if (code === 'EISDIR') throw badInput(`expected a file, found a directory: ${path}`);
    throw badInput(`can't read ${path}: ${(error as Error).message}`);
  }
}

/** What messages call it. */
export const nameOfFile = (file: string): string => (file === '-' ? 'standard input' : file);
