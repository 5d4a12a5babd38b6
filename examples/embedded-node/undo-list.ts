/** What was made and has to go again, last first. */
export class UndoList {
  readonly #steps: { readonly what: string; undo(): unknown }[] = [];

  /**
   * Called before something is made, so that what was made by half goes too: undoing must not mind what is not there.
   *
   * @param what - for people, should it stay
   * @param undo - may be async
   */
  add(what: string, undo: () => unknown): void {
    this.#steps.push({ what, undo });
  }

  /**
   * Undoes everything; a step that fails does not keep those before it from being undone.
   *
   * @returns what is left, and why
   */
  async run(): Promise<string[]> {
    const left: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        left.push(`${step.what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return left;
  }
}
