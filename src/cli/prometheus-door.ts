import type { Option } from 'commander';
import type { PrometheusAuth, PrometheusClient } from '../explain/index.js';
import { textOption, UsageError } from './command.js';

/** Values of {@link PROMETHEUS_OPTIONS}. */
export interface PrometheusValues {
  readonly prometheus?: string;
  readonly prometheusTokenFile?: string;
  readonly prometheusUser?: string;
  readonly prometheusPasswordFile?: string;
  readonly prometheusCa?: string;
  readonly prometheusTenant?: string;
}

/** Where Prometheus is, and who asks. */
export const PROMETHEUS_OPTIONS: readonly Option[] = [
  textOption('--prometheus <URL>', 'also ask Prometheus there, such as http://localhost:9090'),
  textOption('--prometheus-token-file <FILE>', 'show Prometheus this token'),
  textOption('--prometheus-user <NAME>', 'show Prometheus this name, with --prometheus-password-file'),
  textOption('--prometheus-password-file <FILE>', 'the password of --prometheus-user'),
  textOption('--prometheus-ca <FILE>', 'trust what this authority has signed for Prometheus'),
  textOption('--prometheus-tenant <NAME>', 'ask for the data of this tenant (X-Scope-OrgID)'),
];

/**
 * @returns undefined without `--prometheus`
 * @throws UsageError if the options do not go together
 */
export async function prometheusOf(
  values: PrometheusValues,
  timeoutMs: number,
): Promise<PrometheusClient | undefined> {
  const { prometheus: url, prometheusCa: caFile, prometheusTenant: tenant } = values;
  if (url === undefined) return undefined;
  const auth = authOf(values);
  const { PrometheusClient } = await import('../explain/index.js');
  try {
    return new PrometheusClient({ url, auth, caFile, tenant, timeoutMs });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(error.message.replace(/^Expected url/, 'Expected --prometheus'));
  }
}

function authOf({
  prometheusTokenFile: tokenFile,
  prometheusUser: username,
  prometheusPasswordFile: passwordFile,
}: PrometheusValues): PrometheusAuth {
  if (tokenFile !== undefined && username !== undefined) {
    throw new UsageError('expected one of --prometheus-token-file and --prometheus-user, got both');
  }
  if (username !== undefined && passwordFile !== undefined) return { type: 'basic', username, passwordFile };
  if (username !== undefined || passwordFile !== undefined)
    throw new UsageError('--prometheus-user and --prometheus-password-file go together');
  return tokenFile === undefined ? { type: 'none' } : { type: 'bearer', tokenFile };
}
