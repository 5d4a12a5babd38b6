import { errorText, propertyOf } from '../errors.js';
import { escapeControls } from '../escape.js';
import { Deadline } from '../waiting/deadline.js';
import { throwIfAborted } from '../waiting/abort.js';
import { JoinedCall } from '../waiting/joined-call.js';

/** What became of one question. */
export type Answer<T> =
  | { readonly state: 'answered'; readonly value: T }
  /** `problem` is a sentence, `fix` another; `rule` is YAML of a missing right. */
  | {
      readonly state: 'unanswered';
      readonly problem: string;
      readonly fix?: string;
      readonly rule?: string;
      readonly code?: string;
      readonly status?: number;
    }
  /** Nobody was there to ask. */
  | { readonly state: 'not asked'; readonly problem: string };

export function notAsked(problem: string): Answer<never> {
  return { state: 'not asked', problem };
}

/** The value of an answer, if there is one. */
export function valueOf<T>(answer: Answer<T>): T | undefined {
  return answer.state === 'answered' ? answer.value : undefined;
}

/** How long questions may take, and what ends all of them. */
export interface QuestionLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Asks one question, within a limit.
 *
 * @param who - for the sentence that there was no answer
 * @throws the signal's reason alone
 */
export async function answerOf<T>(
  who: string,
  { timeoutMs, signal }: QuestionLimits,
  question: (signal: AbortSignal) => Promise<T>,
): Promise<Answer<T>> {
  throwIfAborted(signal);
  try {
    const deadline = new Deadline(timeoutMs);
    const value = await new JoinedCall(question).join({ signal, deadline, late: () => new Late() });
    return { state: 'answered', value };
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof Late) {
      const problem = `${who} did not answer within ${String(timeoutMs)} ms`;
      const fix = 'Ask again, or give it more time.';
      return { state: 'unanswered', problem, fix, code: 'TIMED_OUT' };
    }
    return unanswered(error);
  }
}

class Late extends Error {}

/** What the error of a client says, its rule apart. */
function unanswered(error: unknown): Answer<never> {
  const [rule, code, status, user, verb] = ['rule', 'code', 'status', 'user', 'verb'].map((name) =>
    propertyOf(error, name),
  );
  const text = errorText(error);
  const known = {
    state: 'unanswered',
    ...(typeof code === 'string' && { code }),
    ...(typeof status === 'number' && { status }),
  } as const;
  if (code === 'KUBELET_FORBIDDEN' && typeof user === 'string' && user.startsWith('system:node:'))
    return { ...known, problem: escapeControls(text), fix: ACCOUNT_FIX, rule: ACCOUNT_RULE };
  const given = typeof rule === 'string' ? rule : '';
  const sentence = text.replace(given, '').trim();
  const problem = escapeControls(sentence.replace(/\s*Add this rule.*$/s, ''));
  if (given === '') return { ...known, problem };
  const [, right] = /resources: \["([^"]*)"\]/.exec(given) ?? [];
  if (right === undefined) return { ...known, problem, rule: given };
  const fix = `Give ${String(user)} the right to ${String(verb)} ${right} (the rule is shown below), and wait 30 s.`;
  return { ...known, problem, fix: escapeControls(fix), rule: given };
}

const ACCOUNT_FIX =
  'Make a service account that may ask the kubelet (the rule is shown below), and give a token of it: kubectl create token -n kube-system kube-volume-metrics.';

/** What a person who has only a node's own credentials needs: an account for all questions to a kubelet. */
const ACCOUNT_RULE = `apiVersion: v1
kind: ServiceAccount
metadata: { name: kube-volume-metrics, namespace: kube-system }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: kube-volume-metrics-kubelet }
rules:
  - { apiGroups: [""], resources: [nodes/pods, nodes/stats, nodes/metrics, nodes/configz], verbs: [get] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: kube-volume-metrics-kubelet }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kube-volume-metrics-kubelet }
subjects:
  - { kind: ServiceAccount, namespace: kube-system, name: kube-volume-metrics }
`;
