/**
 * One object of each kind that the hot code of a reading relies on. When V8 collects the garbage of an idle
 * process, it throws away the machine code for kinds of objects of which none is alive. A node's readings
 * come seconds apart: without these objects V8 would compile the code for them again and again.
 */
const kept: object[] = [];

/** Keeps one object of a kind for good. It must not hold anything of a caller. */
export function keepOne(object: object): void {
  kept.push(object);
}
