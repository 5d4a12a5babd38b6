// Commands print names as bytes, which need not be UTF-8. Until a name is shown to somebody it is kept as a
// string with one character for each byte.

/** The bytes of a path of ours, one character each. */
export function toBytes(path: string): string {
  return Buffer.from(path).toString('latin1');
}

/** The path as text. What is not UTF-8 in it becomes U+FFFD, as everywhere in Node. */
export function fromBytes(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}
