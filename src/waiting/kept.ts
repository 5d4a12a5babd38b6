/**
 * One object of each kind that a reading makes and leaves behind. V8 keeps what it knows of a kind of object,
 * and the machine code that relies on it, only while one of them is alive when it collects the garbage of an
 * idle process. A node's readings come seconds apart: without these objects V8 would compile the code for
 * them again and again.
 */
const kept: object[] = [];

/** Keeps one object of a kind for good: see above. It must not hold anything of a caller. */
export function keepOne(object: object): void {
  kept.push(object);
}
