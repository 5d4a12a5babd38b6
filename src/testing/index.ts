// For authors of providers: the contract as a test suite.
export { metricsProviderTests } from './metrics-provider-tests.js';
export type {
  MetricsProviderTestsOptions,
  ProviderReports,
  ProviderUnderTest,
} from './metrics-provider-tests.js';
export type { MetricsField } from './contract-checks.js';

// For tests of code that uses providers.
export { FakeMetrics } from './fake-metrics.js';
export type { FakeFailure, FakeMetricsOptions, FakeReading, FakeStep } from './fake-metrics.js';
export { FakeStatsProvider } from './fake-stats-provider.js';
export type { FakeListing, FakePod, FakeVolume } from './fake-stats-provider.js';
