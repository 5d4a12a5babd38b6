/** @throws TypeError naming the argument when it is no string; an empty one is for the call to refuse */
export function checkedText(name: string, value: string): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`Expected ${name} to be a string, got ${typeof value}`);
}
