/** What Prometheus' `lastError` of a target means. */
interface ScrapeError {
  readonly pattern: RegExp;
  readonly meaning: string;
  readonly fix: string;
}

/** The usual ones, the most specific first. */
const SCRAPE_ERRORS: readonly ScrapeError[] = [
  {
    pattern: /status 401/,
    meaning: 'the kubelet does not know who scrapes it',
    fix: "Give the scrape a token (bearerTokenFile), check the token's audience, and turn on authentication.webhook.enabled in the kubelet.",
  },
  {
    pattern: /status 403/,
    meaning: 'Prometheus lacks the right to read nodes/metrics',
    fix: "Give Prometheus' service account a ClusterRole with the verb get on nodes/metrics, and wait 30 s.",
  },
  {
    pattern: /status 404/,
    meaning: 'the path does not exist there',
    fix: 'Scrape /metrics on port 10250 of the kubelet.',
  },
  {
    pattern: /doesn't contain any IP SANs|certificate is valid for|x509: certificate is not valid for/,
    meaning: "the kubelet's certificate does not have the address that is scraped",
    fix: 'Set insecureSkipVerify in the tlsConfig of the scrape, or serverTLSBootstrap in the kubelet, whose requests someone must approve.',
  },
  {
    pattern: /x509|certificate/,
    meaning: "Prometheus does not trust the kubelet's certificate, which the kubelet signs itself by default",
    fix: 'Set insecureSkipVerify in the tlsConfig of the scrape, or serverTLSBootstrap in the kubelet and its CA in the scrape.',
  },
  {
    pattern: /sample limit exceeded|sample_limit/,
    meaning: 'the answer has more samples than sampleLimit, so that all of them are dropped',
    fix: 'Raise sampleLimit of the ServiceMonitor.',
  },
  {
    pattern: /label_limit|label limit|body size limit|body_size_limit/,
    meaning: 'the answer exceeds a limit of the scrape, so that all of it is dropped',
    fix: 'Raise the limit that the error names.',
  },
  {
    pattern: /context deadline exceeded|timeout/i,
    meaning: "the kubelet's /metrics is slow, or a firewall drops the packets",
    fix: 'Raise scrapeTimeout, or open port 10250 between Prometheus and the node.',
  },
  {
    pattern: /:10255.*connection refused|connection refused.*:10255/,
    meaning: 'the read-only port of the kubelet is off, as it is by default',
    fix: 'Scrape port 10250 over https with a token.',
  },
  {
    pattern: /connection refused/,
    meaning: 'nothing listens at that address',
    fix: "Check that the kubelet runs, and the target's address and port (10250).",
  },
  {
    pattern: /no such host|no route to host|network is unreachable/,
    meaning: 'the address cannot be reached from Prometheus',
    fix: "Check the node's address in the Endpoints of the kubelet's Service, and the network policies.",
  },
  {
    pattern: /server gave HTTP response to HTTPS client|malformed HTTP response/,
    meaning: 'the scheme is wrong: one side speaks http, the other https',
    fix: 'Scrape port 10250 with the scheme https.',
  },
];

/** What an error of a scrape means, and what to do. */
export function scrapeErrorMeaning(lastError: string): { readonly meaning: string; readonly fix: string } {
  const found = SCRAPE_ERRORS.find(({ pattern }) => pattern.test(lastError));
  return found ?? { meaning: 'the scrape fails', fix: 'Look at the target in Prometheus, Status > Targets.' };
}
