/**
 * JSON text in which a bigint is an exact number token, neither a string nor rounded. Everything else is as
 * with `JSON.stringify`: undefined fields are left out, dates become ISO 8601 texts, `toJSON` is honoured.
 *
 * @param value - what to write
 * @param indent - spaces for each level, at most 100; 0, the default, writes one line
 * @returns the text
 * @throws TypeError for a value that has no JSON form (`undefined`, a function, a symbol), for a cycle, and
 * for an invalid `indent`
 */
export function stringify(value: unknown, indent = 0): string {
  if (!Number.isInteger(indent) || indent < 0 || indent > 100) {
    const got = typeof indent === 'number' ? String(indent) : `a ${typeof indent}`;
    throw new TypeError(`Expected indent to be a whole number from 0 to 100, got ${got}`);
  }
  const text = write(value, '', ' '.repeat(indent), '\n', new Set());
  if (text === undefined) throw new TypeError(`a value of type ${typeof value} has no JSON form`);
  return text;
}

/**
 * `newline` is the line break with the indentation that the value itself stands at; `parents` finds cycles.
 */
function write(
  given: unknown,
  key: string,
  step: string,
  newline: string,
  parents: Set<object>,
): string | undefined {
  // Once: what toJSON gives is written as it is, though it may be the object itself.
  const value = hasToJson(given) ? given.toJSON(key) : given;
  if (typeof value === 'bigint' || value instanceof BigInt) return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (value instanceof Number || value instanceof String || value instanceof Boolean)
    return JSON.stringify(value);
  if (parents.has(value)) throw new TypeError('a value that contains itself has no JSON form');
  parents.add(value);
  const inner = newline + step;
  const text = Array.isArray(value)
    ? enclose(
        '[',
        // Array.from gives what is not there as undefined, as JSON.stringify takes it.
        Array.from(value, (item, index) => write(item, String(index), step, inner, parents) ?? 'null'),
        ']',
      )
    : enclose(
        '{',
        Object.entries(value).flatMap(([name, item]) => {
          const written = write(item, name, step, inner, parents);
          return written === undefined ? [] : [`${JSON.stringify(name)}:${step && ' '}${written}`];
        }),
        '}',
      );
  parents.delete(value);
  return text;

  function enclose(open: string, items: readonly string[], close: string): string {
    if (items.length === 0 || step === '') return open + items.join(',') + close;
    return open + inner + items.join(`,${inner}`) + newline + close;
  }
}

function hasToJson(value: unknown): value is { toJSON(key: string): unknown } {
  return (
    typeof value === 'object' && value !== null && 'toJSON' in value && typeof value.toJSON === 'function'
  );
}
