import { describe, expect, test } from 'vitest';
import { scrapeErrorMeaning } from '../../src/explain/scrape-errors.js';

describe('what the error of a scrape means', () => {
  test.each([
    ['server returned HTTP status 401 Unauthorized', /token/],
    ['server returned HTTP status 403 Forbidden', /nodes\/metrics/],
    [
      "x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs",
      /insecureSkipVerify/,
    ],
    ['x509: certificate signed by unknown authority', /insecureSkipVerify/],
    ['sample limit exceeded', /sampleLimit/],
    ['Get "https://10.0.0.1:10250/metrics": context deadline exceeded', /scrapeTimeout/],
    ['Get "http://10.0.0.1:10255/metrics": dial tcp 10.0.0.1:10255: connect: connection refused', /10250/],
    ['dial tcp 10.0.0.1:10250: connect: connection refused', /kubelet runs/],
    ['dial tcp: lookup node1: no such host', /Endpoints/],
    ['something else', /Status > Targets/],
  ])('%s', (lastError, fix) => {
    expect(scrapeErrorMeaning(lastError).fix).toMatch(fix);
  });
});
