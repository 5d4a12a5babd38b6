import type { Facts } from '../facts.js';
import { CHECK_PROMETHEUS, Judge, NO_PROMETHEUS, type Finding } from '../finding.js';
import { isExported, shown, type VolumeFacts } from '../volume-facts.js';
import { isSelected, selectorText } from '../dashboard-queries.js';

const judge = new Judge('dashboard');

/** Whether the dashboard's own expression has a value for the claim. */
export function dashboardStage(volume: VolumeFacts, facts: Facts): Finding {
  const { prometheus } = facts;
  const { claimName, namespace, series } = volume;
  if (prometheus === undefined) return judge.skipped(NO_PROMETHEUS);
  if (claimName === undefined) return judge.skipped('dashboards show only claims');
  const { dashboard, dashboardLabels } = prometheus;
  if (dashboard.state === 'unanswered' && dashboard.code === 'PROMETHEUS_QUERY') {
    const isDuplicate = /duplicate series|many-to-many/.test(dashboard.problem);
    return judge.cause(
      `the query of the dashboard fails: ${dashboard.problem}`,
      isDuplicate
        ? 'The same series come from two jobs or targets: keep the one with job="kubelet", and drop the others by relabelling.'
        : 'Correct what the error names.',
    );
  }
  if (dashboard.state !== 'answered') return judge.unanswered(dashboard, CHECK_PROMETHEUS);
  const found = dashboard.value.find(
    ({ labels }) => labels['namespace'] === namespace && labels['persistentvolumeclaim'] === claimName,
  );
  const selector = selectorText(dashboardLabels);
  if (found !== undefined) {
    const { value } = found;
    if (isExported(volume, facts) === false) {
      return judge.skipped(
        `Prometheus still has the value ${String(value)}, which the kubelet does not export any more: it is up to five minutes old, or of another cluster`,
        { value },
      );
    }
    const text = `the expression for used space has the value ${String(value)} (${shown(selector)})`;
    if (Number.isFinite(value)) return judge.ok(text, { value });
    return judge.unknown(`${text}, which panels do not show`, 'Look at the series in Prometheus.', { value });
  }
  if (!series.some(({ labels }) => isSelected(labels, namespace, dashboardLabels))) {
    const why =
      isExported(volume, facts) === false
        ? 'and the kubelet exports none'
        : 'and Prometheus has no such series';
    return judge.skipped(`the dashboard has no value for it, ${why} (${shown(selector)})`);
  }
  return judge.cause(
    'Prometheus has the capacity of the claim, and the expression for used space has no value: the available bytes are missing, or have other labels than the capacity',
    'Check that relabelling treats all kubelet_volume_stats_* alike.',
  );
}
