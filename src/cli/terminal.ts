/** What is written to a terminal, and how it looks where there is none. */

const paint = (open: number, close: number) => (text: string) =>
  text === '' ? '' : `\u001B[${open}m${text}\u001B[${close}m`;
const plain = (text: string): string => text;

export interface Colours {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

/** NO_COLOR (no-color.org) and anything but a terminal get none. */
export function coloursFor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Colours {
  const on = stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  if (!on) return { bold: plain, dim: plain, red: plain, green: plain, yellow: plain };
  return { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), green: paint(32, 39), yellow: paint(33, 39) };
}

// oxlint-disable-next-line no-control-regex -- colours are control sequences
const ESCAPES = /\u001B\[[0-9;?]*[A-Za-z]/g;

/** Characters that a text takes on the screen, escape sequences aside; wide ones count two. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text.replace(ESCAPES, '')) {
    if (/\p{Mark}/u.test(character)) continue;
    width +=
      /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1FAFF}]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}

/** At most `width` wide, the rest cut with an ellipsis; colours are lost if it is cut. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let clipped = '';
  for (const character of text.replace(ESCAPES, '')) {
    if (widthOf(clipped) + widthOf(character) >= width) break;
    clipped += character;
  }
  return `${clipped}…`;
}

/** Rows below each other, columns two spaces apart; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, widthOf(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, at) => (at === row.length - 1 ? cell : cell + ' '.repeat((widths[at] ?? 0) - widthOf(cell) + 2)))
      .join('')
      .trimEnd(),
  );
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const frameMs = 100;
/** Between two lines where nothing can be redrawn. */
const lineMs = 700;

/** What a command is waiting for: a line that is redrawn on a terminal; elsewhere a line whenever it changes. */
export class Ticker {
  readonly #stream: NodeJS.WriteStream;
  readonly #live: boolean;
  readonly #sinceMs = performance.now();
  #text = '';
  #key = '';
  #wrote = false;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv) {
    this.#stream = stream;
    this.#live = stream.isTTY && env['TERM'] !== 'dumb';
  }

  /** @param key tells lines apart where each is written once: a percentage, say, is not in it. */
  show(text: string, key = text): void {
    if (this.#live) {
      this.#text = text;
      this.#timer ??= setInterval(() => this.#draw(), frameMs).unref();
      this.#draw();
    } else if (key !== this.#key) {
      this.#key = key;
      this.#text = text;
      this.#timer ??= setTimeout(() => this.#write(), this.#wrote ? lineMs : 0).unref();
    }
  }

  /** A line that stays. */
  note(text: string): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#erase();
  }

  /** What changed several times in a moment is told once. */
  #write(): void {
    this.#timer = undefined;
    this.#wrote = true;
    this.#stream.write(`${this.#text}\n`);
  }

  #draw(): void {
    const seconds = ((performance.now() - this.#sinceMs) / 1000).toFixed(1);
    const line = clip(`${FRAMES[this.#frame++ % FRAMES.length]} ${this.#text}`, (this.#stream.columns || 80) - 10);
    this.#stream.write(`\r\u001B[2K${line} (${seconds} s)`);
  }

  #erase(): void {
    if (this.#live) this.#stream.write('\r\u001B[2K');
  }
}

/** A block of lines that is redrawn where it stands. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #lines = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  draw(lines: readonly string[]): void {
    // What does not fit would scroll away and could not be redrawn.
    const fitting = lines.slice(0, Math.max(1, (this.#stream.rows || 24) - 1));
    const width = this.#stream.columns || 80;
    const up = this.#lines > 0 ? `\u001B[${this.#lines}A` : '';
    const body = fitting.map((line) => `${clip(line, width)}\u001B[K\n`).join('');
    this.#stream.write(`\u001B[?2026h\u001B[?25l${up}\r${body}\u001B[J\u001B[?2026l`);
    this.#lines = fitting.length;
  }

  end(): void {
    this.#stream.write('\u001B[?25h');
  }
}
