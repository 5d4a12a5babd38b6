import { PrometheusProcess } from '../../support/prometheus-process.js';

/** A configuration of Prometheus with these scrapes; JSON is YAML too. */
export function scrapeConfiguration(scrapeConfigs: readonly object[]): string {
  return JSON.stringify({
    global: { scrape_interval: '200ms', scrape_timeout: '200ms' },
    scrape_configs: scrapeConfigs,
  });
}

/** A Prometheus server with these scrapes. */
export async function scrapingPrometheus(
  scrapeConfigs: readonly object[],
  prefix = '',
): Promise<PrometheusProcess> {
  // Series of a job that is gone stay that long.
  return await PrometheusProcess.start(
    scrapeConfiguration(scrapeConfigs),
    prefix,
    '--query.lookback-delta=3s',
  );
}
