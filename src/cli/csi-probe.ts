import type { NodeCapabilities } from '../csi/index.js';
import {
  NodeServiceCapability_RPC_Type as NodeCapability,
  PluginCapability_Service_Type as Service,
  PluginCapability_VolumeExpansion_Type as Expansion,
  type PluginCapability,
} from '../csi/v1/index.js';
import { CsiSession, told, type CsiRequest, type Field } from './csi-session.js';

const WITH_STATS = 'yes: it advertises GET_VOLUME_STATS';

const WITHOUT_STATS =
  'no: it does not advertise GET_VOLUME_STATS, so the kubelet never asks it for numbers. That is why its volumes are not in ' +
  'kubelet_volume_stats_* and are empty in Grafana; only the driver can change that.';

/** Asks a driver who it is and what it can do, and prints it. Returns whether it answered everything and is ready. */
export async function csiProbe(request: CsiRequest): Promise<boolean> {
  const session = new CsiSession(request);
  const { client } = session;
  const identity = await session.ask((options) => client.getPluginInfo(options));
  const driver = identity.answer && { name: identity.answer.name, version: identity.answer.vendorVersion };
  const said: Field = ['driver', told(identity, ({ name, vendorVersion }) => `${name} ${vendorVersion}`)];
  if (identity.failure && identity.isAway) {
    client.close();
    await session.print('csi probe', { errors: [identity.failure] }, [said]);
    return false;
  }
  const [ready, plugin, node, info] = await Promise.all([
    session.ask((options) => client.probe(options)),
    session.ask((options) => client.getPluginCapabilities(options)),
    session.ask((options) => client.nodeGetCapabilities(options)),
    session.ask((options) => client.nodeGetInfo(options)),
  ]);
  client.close();

  const pluginCapabilities = plugin.answer?.capabilities.map(pluginCapability);
  const nodeCapabilities = node.answer && [...node.answer].map(nodeCapability);
  const volumeStats = node.answer?.has(NodeCapability.GET_VOLUME_STATS);
  const errors = [identity, ready, plugin, node, info].flatMap(({ failure }) => failure ?? []);
  await session.print(
    'csi probe',
    {
      driver,
      ready: ready.answer,
      node: info.answer && { id: info.answer.nodeId, maxVolumes: info.answer.maxVolumesPerNode },
      pluginCapabilities,
      nodeCapabilities,
      volumeStats,
      errors,
    },
    [
      said,
      ['ready', told(ready, (isReady) => (isReady ? 'yes' : 'not yet: it is starting'))],
      ['node', told(info, ({ nodeId }) => nodeId)],
      ['plugin', told(plugin, () => listed(pluginCapabilities))],
      ['node service', told(node, () => listed(nodeCapabilities))],
      ['volume stats', told(node, () => (volumeStats === true ? WITH_STATS : WITHOUT_STATS))],
      ['volume health', told(node, health)],
    ],
  );
  return errors.length === 0 && ready.answer === true;
}

function listed(names: readonly string[] = []): string {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

function health(capabilities: NodeCapabilities): string {
  if (capabilities.has(NodeCapability.GET_VOLUME_HEALTH))
    return 'yes: it advertises GET_VOLUME_HEALTH (CSI 1.13)';
  if (capabilities.has(NodeCapability.VOLUME_CONDITION))
    return 'yes: it advertises VOLUME_CONDITION (before CSI 1.13)';
  return 'no';
}

/** A type without a name is one of a newer CSI. */
function nodeCapability(type: NodeCapability): string {
  return NodeCapability[type] ?? `type ${String(type)}`;
}

function pluginCapability({ service, volumeExpansion }: PluginCapability): string {
  if (service) return Service[service.type] ?? `service ${String(service.type)}`;
  if (!volumeExpansion) return 'an entry without a type';
  const { type } = volumeExpansion;
  return `volume expansion ${Expansion[type] ?? String(type)}`;
}
