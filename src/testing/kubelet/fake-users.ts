import { checkedFlag, checkedObject, checkedText } from '../../options.js';
import { clientCertificateOf, type FakeHttpRequest } from './fake-server.js';

/** A caller, as RBAC knows them. */
export interface FakeUser {
  /** Such as `system:serviceaccount:default:metrics-only`. */
  readonly name: string;
  readonly groups?: readonly string[] | undefined;
}

/** What a user or a group may do. */
export interface FakeRule {
  /** A user's or a group's name. */
  readonly subject: string;
  /** Such as `nodes/pods`, `pods` or `persistentvolumeclaims`; `*` is all of them. */
  readonly resources: readonly string[];
  /** @defaultValue get and list */
  readonly verbs?: readonly string[] | undefined;
}

/** How a server finds out who asks. */
export interface FakeAuthentication {
  /** Whether a caller without credentials is let in as `system:anonymous`. @defaultValue `false` */
  readonly anonymous?: boolean | undefined;
  /** Whether tokens are looked at; otherwise a token counts as none. @defaultValue `true` */
  readonly webhook?: boolean | undefined;
}

/** Tokens, rules and the two ways to find out who asks. Changes count from the next request on. */
export class FakeUsers {
  /** Whose token it is. A token of another audience is left out: it is of nobody. */
  readonly tokens = new Map<string, FakeUser>();
  rules: readonly FakeRule[] = [];
  readonly #anonymous: boolean;
  readonly #webhook: boolean;

  constructor({ anonymous, webhook = true }: FakeAuthentication) {
    this.#anonymous = checkedFlag('anonymous', anonymous);
    this.#webhook = checkedFlag('webhook', webhook);
  }

  /**
   * Who asks, as Kubernetes finds out: by a certificate, else by a token, else anonymous unless one of these
   * was shown and is not valid.
   */
  userOf(request: FakeHttpRequest): FakeUser | undefined {
    const shown = clientCertificateOf(request);
    if (shown?.isTrusted === true) {
      const { CN, O } = shown.subject as { readonly CN?: string; readonly O?: string | readonly string[] };
      return { name: CN ?? '', groups: O === undefined ? [] : [O].flat() };
    }
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const isTokenRead = this.#webhook && token !== undefined;
    const user = isTokenRead ? this.tokens.get(token) : undefined;
    if (user !== undefined || shown !== undefined || isTokenRead || !this.#anonymous) return user;
    return { name: 'system:anonymous', groups: ['system:unauthenticated'] };
  }

  /** Whether a rule lets them; members of system:masters may do everything. */
  allows({ name, groups = [] }: FakeUser, verb: string, resource: string): boolean {
    if (groups.includes('system:masters')) return true;
    return this.rules.some(
      ({ subject, resources, verbs = ['get', 'list'] }) =>
        (subject === name || groups.includes(subject)) &&
        (resources.includes(resource) || resources.includes('*')) &&
        verbs.includes(verb),
    );
  }
}

/** What the options of a fake say of its users. */
interface UsersOptions extends FakeAuthentication {
  readonly tokens?: Readonly<Record<string, FakeUser>> | undefined;
  readonly rules?: readonly FakeRule[] | undefined;
}

/** @throws TypeError for an option that is invalid */
export function usersOf(options: UsersOptions): FakeUsers {
  const { tokens = {}, rules = [] } = options;
  const users = new FakeUsers(options);
  users.rules = rules;
  for (const [token, user] of Object.entries(checkedObject('tokens', tokens))) {
    checkedText(
      `the name of the user of token ${JSON.stringify(token)}`,
      checkedObject('the user of a token', user).name,
    );
    users.tokens.set(token, user);
  }
  return users;
}
