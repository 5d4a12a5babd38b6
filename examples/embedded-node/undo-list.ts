const ATTEMPTS = 3;

/** What was made and has to go again, last first. */
export class UndoList {
  readonly #steps: { readonly what: string; readonly undo: () => unknown }[] = [];

  /**
   * Called before something is made, so that what was made by half goes too: undoing must not mind what is
   * not there.
   *
   * @param what - for people, should it stay
   * @param undo - may be async
   */
  add(what: string, undo: () => unknown): void {
    this.#steps.push({ what, undo });
  }

  /**
   * Undoes everything. A step that fails is tried again, since Ctrl-C may have ended a command of it; in the
   * end it does not keep those before it from being undone.
   *
   * @returns what is left, and why
   */
  async run(): Promise<string[]> {
    const left: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const failure = await failureOf(step.undo);
      if (failure !== undefined) left.push(`${step.what}: ${failure}`);
    }
    return left;
  }
}

/** Why a step cannot be done; undefined when it is. */
async function failureOf(step: () => unknown, attempts = ATTEMPTS): Promise<string | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    if (attempts > 1) return await failureOf(step, attempts - 1);
    return error instanceof Error ? error.message : String(error);
  }
}
