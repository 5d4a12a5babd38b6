/** CSI allows a domain name of at most 63 characters; Kubernetes takes it in either case. */
export function isDriverName(name: string): boolean {
  return name.length <= 63 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/i.test(name);
}
