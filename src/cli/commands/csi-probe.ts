import type { NodeCapabilities } from '../../csi/index.js';
import type { PluginCapability } from '../../csi/v1/index.js';
import type { CliCommand } from '../command.js';
import { CSI_OPTIONS, CsiSession, told, type CsiOptions } from '../csi-session.js';

const WITH_STATS = 'yes: it advertises GET_VOLUME_STATS';

const WITHOUT_STATS =
  'no: it does not advertise GET_VOLUME_STATS, so the kubelet never asks it for numbers. That is why its volumes are ' +
  'missing from kubelet_volume_stats_* and are empty in Grafana; only the driver can change that.';

/** The names of the protocol's numbers. */
type Protocol = typeof import('../../csi/v1/index.js');

export const CSI_PROBE: CliCommand<CsiOptions> = {
  group: 'csi',
  name: 'probe',
  summary: 'what a CSI driver can do, and whether it reports numbers',
  description:
    'Asks a CSI driver for its name, whether it is ready and what it can do, and says whether it reports numbers for its volumes.',
  options: CSI_OPTIONS,
  incomplete: 'the driver did not answer everything, or is not ready',
  examples: ['--endpoint /var/lib/kubelet/plugins/hostpath.csi.k8s.io/csi.sock'],
  run: async (_, options, signal) => {
    const session = await CsiSession.open(options, signal);
    const { client } = session;
    const identity = await session.ask((limits) => client.getPluginInfo(limits));
    const driver = identity.answer && { name: identity.answer.name, version: identity.answer.vendorVersion };
    const said = told('driver', identity, ({ name, vendorVersion }) => `${name} ${vendorVersion}`);
    if (identity.failure && identity.isAway) {
      client.close();
      return session.answer('csi probe', { errors: [identity.failure] }, said, false);
    }
    const [ready, plugin, node, info] = await Promise.all([
      session.ask((limits) => client.probe(limits)),
      session.ask((limits) => client.getPluginCapabilities(limits)),
      session.ask((limits) => client.nodeGetCapabilities(limits)),
      session.ask((limits) => client.nodeGetInfo(limits)),
    ]);
    client.close();

    const protocol = await import('../../csi/v1/index.js');
    const { NodeServiceCapability_RPC_Type: NodeCapability } = protocol;
    const pluginCapabilities = plugin.answer?.capabilities.map((each) => pluginCapability(protocol, each));
    // A type without a name is one of a newer CSI.
    const nodeCapabilities =
      node.answer && [...node.answer].map((type) => NodeCapability[type] ?? `type ${String(type)}`);
    const volumeStats = node.answer?.has(NodeCapability.GET_VOLUME_STATS);
    const errors = [identity, ready, plugin, node, info].flatMap(({ failure }) => failure ?? []);
    const json = {
      driver,
      ready: ready.answer,
      node: info.answer && { id: info.answer.nodeId, maxVolumes: info.answer.maxVolumesPerNode },
      pluginCapabilities,
      nodeCapabilities,
      volumeStats,
      errors,
    };
    const fields = [
      ...said,
      ...told('ready', ready, (isReady) => (isReady ? 'yes' : 'not yet: it is starting')),
      ...told('node', info, ({ nodeId }) => nodeId),
      ...told('plugin', plugin, () => listed(pluginCapabilities)),
      ...told('node service', node, () => listed(nodeCapabilities)),
      ...(node.answer === undefined
        ? []
        : [
            { name: 'volume stats', ...(volumeStats === true ? YES : NO) },
            { name: 'volume health', value: health(protocol, node.answer) },
          ]),
    ];
    return session.answer('csi probe', json, fields, errors.length === 0 && ready.answer === true);
  },
};

const YES = { value: WITH_STATS, style: 'green' } as const;
const NO = { value: WITHOUT_STATS, style: 'yellow' } as const;

function listed(names: readonly string[] = []): string {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

function health({ NodeServiceCapability_RPC_Type: Type }: Protocol, capabilities: NodeCapabilities): string {
  if (capabilities.has(Type.GET_VOLUME_HEALTH)) return 'yes: it advertises GET_VOLUME_HEALTH (CSI 1.13)';
  if (capabilities.has(Type.VOLUME_CONDITION)) {
    return 'yes: it advertises VOLUME_CONDITION (before CSI 1.13)';
  }
  return 'no';
}

function pluginCapability(protocol: Protocol, { service, volumeExpansion }: PluginCapability): string {
  const { PluginCapability_Service_Type: Service, PluginCapability_VolumeExpansion_Type: Expansion } =
    protocol;
  if (service) return Service[service.type] ?? `service ${String(service.type)}`;
  if (!volumeExpansion) return 'an entry without a type';
  const { type } = volumeExpansion;
  return `volume expansion ${Expansion[type] ?? String(type)}`;
}
