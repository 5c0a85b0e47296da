/** Reading a file of lines while another process appends to it, and moves it aside when it is long. */
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const lookMs = 150;
const chunkBytes = 64 * 1024;

/** Lines appended from now on, until `signal` aborts. One that is not whole yet is waited for. */
export async function* followLines(path: string, signal: AbortSignal): AsyncGenerator<string> {
  let file = await openIfPresent(path);
  let offset = file === null ? 0 : (await file.stat()).size;
  let rest = '';
  try {
    while (!signal.aborted) {
      if (file !== null) {
        for (;;) {
          const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, offset);
          if (bytesRead === 0) break;
          offset += bytesRead;
          const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
          rest = lines.pop() ?? '';
          yield* lines;
        }
      }
      const next = await openIfPresent(path);
      const moved = next !== null && (file === null || (await next.stat()).ino !== (await file.stat()).ino);
      if (moved) {
        await file?.close();
        [file, offset, rest] = [next, 0, ''];
      } else {
        await next?.close();
        await sleep(lookMs, undefined, { signal }).catch(() => {});
      }
    }
  } finally {
    await file?.close();
  }
}

function openIfPresent(path: string): Promise<FileHandle | null> {
  return open(path, 'r').catch(() => null);
}
