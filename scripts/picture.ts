/**
 * Records `baton status --watch` on a real cluster while its primary is killed, as docs/status.svg: an animated picture
 * for the README. Run it again when the look of the status changes: `node scripts/picture.ts`.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { statusLines } from '../src/cli/status-text.ts';
import { clip, coloursFor } from '../src/cli/terminal.ts';
import { startCluster, type Status } from '../src/sdk/index.ts';

const COLUMNS = 104;
const LINE_PX = 18;
const CHARACTER_PX = 7.8;
const MARGIN_PX = 16;
/** How long each frame is shown: those of a failover last longer than they did, or nobody would see them. */
const SHOWN_S = { healthy: 3, other: 1.4 };

const colours = coloursFor({ isTTY: true }, {});
const ESCAPE = new RegExp(`${String.fromCharCode(27)}\\[(\\d+)m`);
/** Of ANSI's codes for looks; the others end one. */
const CLASSES: Readonly<Record<string, string>> = { 1: 'strong', 2: 'dim', 31: 'red', 32: 'green', 33: 'yellow' };

async function record(): Promise<Status[]> {
  await using cluster = await startCluster({ replicas: 3 });
  const frames: Status[] = [];
  const add = async (): Promise<string> => {
    const status = { ...(await cluster.status()), name: 'mysql' };
    const known = frames.at(-1);
    if (known === undefined || known.state !== status.state || known.primary !== status.primary) frames.push(status);
    return status.state;
  };
  await add();
  await cluster.kill('primary');
  const endMs = performance.now() + 30_000;
  while (performance.now() < endMs) {
    const state = await add();
    if (state === 'healthy' && frames.length > 2) break;
    await sleep(5);
  }
  return frames;
}

/** A line with ANSI's colours as SVG. */
function spans(text: string): string {
  let looks: string[] = [];
  return text
    .split(ESCAPE)
    .map((part, index) => {
      if (index % 2 === 0) return part === '' ? '' : `<tspan class="${looks.join(' ')}">${escaped(part)}</tspan>`;
      const look = CLASSES[part];
      looks = look === undefined ? [] : [...looks, look];
      return '';
    })
    .join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function picture(frames: readonly Status[]): string {
  const texts = frames.map((status) =>
    statusLines({ ...status, lastEvents: status.lastEvents.slice(-6) }, colours).map((line) => clip(line, COLUMNS)),
  );
  const lines = Math.max(...texts.map((text) => text.length)) + 1;
  const width = Math.ceil(COLUMNS * CHARACTER_PX + 2 * MARGIN_PX);
  const height = lines * LINE_PX + 2 * MARGIN_PX;
  const lengths = frames.map(({ state }) => (state === 'healthy' ? SHOWN_S.healthy : SHOWN_S.other));
  const totalS = lengths.reduce((sum, length) => sum + length, 0);
  let atS = 0;
  const drawn = texts.map((text, index) => {
    const from = (100 * atS) / totalS;
    atS += lengths[index] ?? 0;
    const to = (100 * atS) / totalS;
    const rows = ['$ baton status --watch', ...text].map(
      (line, row) =>
        `<text x="${MARGIN_PX}" y="${MARGIN_PX + LINE_PX * (row + 0.8)}" xml:space="preserve">${spans(line)}</text>`,
    );
    const steps =
      `@keyframes f${index}{0%{visibility:${from === 0 ? 'visible' : 'hidden'}}${from.toFixed(2)}%{visibility:visible}` +
      `${to.toFixed(2)}%{visibility:${to >= 100 ? 'visible' : 'hidden'}}100%{visibility:hidden}}`;
    return `<style>${steps}</style><g style="animation:f${index} ${totalS}s step-end infinite">${rows.join('')}</g>`;
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">` +
    `<title>baton status --watch, while the primary is killed</title>` +
    `<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d0d7de}.strong{font-weight:700;fill:#fff}` +
    `.dim{fill:#8b949e}.green{fill:#3fb950}.yellow{fill:#d29922}.red{fill:#ff7b72}</style>` +
    `<rect width="100%" height="100%" rx="8" fill="#0d1117"/>${drawn.join('')}</svg>\n`
  );
}

const frames = await record();
await writeFile(new URL('../docs/status.svg', import.meta.url), picture(frames));
console.log(`docs/status.svg: ${frames.length} frames: ${frames.map(({ state }) => state).join(', ')}`);
