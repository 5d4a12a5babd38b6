const refuse = (): never => {
  throw new Error('not to be read');
};

/** An Error whose message cannot be read. */
export class WithoutMessage extends Error {
  override get message(): string {
    return refuse();
  }
}

const revoked = Proxy.revocable({}, {});
revoked.revoke();

/** What foreign code may throw, and no reader may fail over. */
export const unreadable: readonly (readonly [what: string, value: unknown])[] = [
  ['an error whose message throws', new WithoutMessage()],
  [
    'an object whose code throws',
    {
      get code(): never {
        return refuse();
      },
    },
  ],
  [
    'a proxy whose traps throw',
    new Proxy({}, { get: refuse, has: refuse, getPrototypeOf: refuse, ownKeys: refuse }),
  ],
  ['a proxy that was revoked', revoked.proxy],
  ['a function without a text', Object.assign(() => undefined, { toString: refuse })],
];
