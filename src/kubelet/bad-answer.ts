import { UnexpectedJson } from './json-list.js';
import { KubeletError } from './kubelet-error.js';
import { excerpt } from './excerpt.js';

/** The error for an answer that cannot be read; anything else as it is. */
export function badAnswer(
  error: unknown,
  prefix: 'KUBELET' | 'API',
  what: string,
  contentType: string,
  body: Buffer,
): unknown {
  if (!(error instanceof UnexpectedJson || error instanceof SyntaxError)) return error;
  const start = body.toString('utf8', 0, 200);
  const isHtml = /html/i.test(contentType) || /^\s*</.test(start);
  const found = isHtml
    ? 'HTML, not JSON: a proxy or a login page is in between'
    : `something else than it should: ${excerpt(error.message)}. It begins with ${excerpt(start.slice(0, 60))}`;
  return new KubeletError(`${prefix}_BAD_ANSWER`, `${what} with ${found}`, { status: 200, cause: error });
}
