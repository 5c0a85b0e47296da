/** Another brain has taken over: this one must do nothing more. */
export class SupersededError extends Error {
  readonly code = 'SUPERSEDED';
  constructor(mine: number, theirs: number) {
    super(`another controller has taken this cluster over (term ${theirs}, ours is ${mine})`);
  }
}
